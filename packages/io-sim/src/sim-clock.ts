import type { Clock, Timer } from "@stonewal/io";

interface Pending {
  readonly due: number;
  readonly process: object;
  readonly callback: () => void;
}

/** Time that passes only when it is told to, or when nothing can go on before a slow call is done. */
export class SimTime {
  #elapsed = 0;
  #start: number;
  readonly #timers = new Set<Pending>();

  constructor(start: number) {
    this.#start = start;
  }

  copy(): SimTime {
    const copy = new SimTime(this.#start);
    copy.#elapsed = this.#elapsed;
    return copy;
  }

  /** Milliseconds since the start. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** Lets `ms` pass; timers that fall due are called in order. */
  advance(ms: number): void {
    this.advanceTo(this.#elapsed + ms);
  }

  advanceTo(end: number): void {
    for (;;) {
      let next: Pending | undefined;
      for (const timer of this.#timers)
        if (timer.due <= end && (next === undefined || timer.due < next.due)) next = timer;
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#elapsed = Math.max(this.#elapsed, next.due);
      next.callback();
    }
    this.#elapsed = Math.max(this.#elapsed, end);
  }

  /** Moves the wall clock alone, as an administrator or NTP does. */
  jump(ms: number): void {
    this.#start += ms;
  }

  /** Timers end with their process. */
  abandon(process: object): void {
    for (const timer of this.#timers) if (timer.process === process) this.#timers.delete(timer);
  }

  clockOf(process: object): Clock {
    return {
      now: () => Math.floor(this.#start + this.#elapsed),
      monotonic: () => this.#elapsed,
      after: (ms: number, callback: () => void): Timer => {
        const timer = { due: this.#elapsed + Math.max(0, ms), process, callback };
        this.#timers.add(timer);
        return { cancel: () => void this.#timers.delete(timer) };
      },
    };
  }
}
