import { quantileSorted } from "simple-statistics";

/** Durations, all of them kept: quantiles are exact, and adding one costs a store. */
export class Latencies {
  #values = new Float64Array(4096);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(milliseconds: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(2 * this.#count);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count++] = milliseconds;
  }

  addAll(other: Latencies): void {
    for (let index = 0; index < other.#count; index += 1) this.add(other.#values[index] as number);
  }

  /** A copy of all of them. */
  milliseconds(): Float64Array {
    return this.#values.slice(0, this.#count);
  }

  /** In microseconds; `undefined` while there is none. */
  quantileUs(quantile: number): number | undefined {
    if (this.#count === 0) return undefined;
    const sorted = this.#values.subarray(0, this.#count).sort();
    // The library's type asks for an array; it only indexes.
    return quantileSorted(sorted as unknown as number[], quantile) * 1000;
  }
}
