/** A list that forgets its oldest entries rather than growing without end: a soak that runs for days keeps the last of what happened. */
export class BoundedLog<T> {
  readonly entries: T[] = [];
  readonly #limit: number;
  /** How many are no longer there. */
  forgotten = 0;

  constructor(limit: number) {
    if (!Number.isSafeInteger(limit) || limit < 2) throw new RangeError(`a log of at most ${limit} entries`);
    this.#limit = limit;
  }

  push(entry: T): void {
    // Half at a time: a shift per entry would cost as much as the list is long.
    if (this.entries.length >= this.#limit) this.forgotten += this.entries.splice(0, this.#limit >> 1).length;
    this.entries.push(entry);
  }
}
