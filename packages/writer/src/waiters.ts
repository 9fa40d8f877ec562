interface Waiter {
  readonly lsn: number;
  readonly resolve: (lsn: number) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Who waits for which LSN to become durable, in LSN order, so that telling them is a walk from the front and no scan, and a
 * waiter for a lower LSN is always told before one for a higher.
 */
export class DurabilityWaiters {
  #waiters: Waiter[] = [];
  /** The waiters before this index have been told; they are cut off in bulk. */
  #head = 0;

  get size(): number {
    return this.#waiters.length - this.#head;
  }

  /** Resolves to `lsn` once it is durable. */
  wait(lsn: number): Promise<number> {
    return new Promise((resolve, reject) => this.#insert({ lsn, resolve, reject }));
  }

  #insert(waiter: Waiter): void {
    const waiters = this.#waiters;
    let at = waiters.length;
    // Commits come in LSN order, so the place is nearly always the end.
    while (at > this.#head && (waiters[at - 1] as Waiter).lsn > waiter.lsn) at -= 1;
    if (at === waiters.length) waiters.push(waiter);
    else waiters.splice(at, 0, waiter);
  }

  resolveThrough(durableLsn: number): void {
    const waiters = this.#waiters;
    let head = this.#head;
    for (; head < waiters.length; head += 1) {
      const waiter = waiters[head] as Waiter;
      if (waiter.lsn > durableLsn) break;
      waiter.resolve(waiter.lsn);
    }
    this.#head = head;
    if (head === waiters.length) {
      waiters.length = 0;
      this.#head = 0;
    } else if (head > 1024 && head * 2 > waiters.length) {
      this.#waiters = waiters.slice(head);
      this.#head = 0;
    }
  }

  rejectAll(error: Error): void {
    const waiters = this.#waiters.slice(this.#head);
    this.#waiters = [];
    this.#head = 0;
    for (const waiter of waiters) waiter.reject(error);
  }
}
