interface Entry {
  /** Answers whether it is done with this entry; throws what can't be helped by waiting. */
  readonly attempt: () => boolean;
  readonly reject: (error: Error) => void;
}

/**
 * Those for whom there was no room in the log, in order of arrival: nobody who comes later gets an LSN before them.
 */
export class RoomQueue {
  #entries: Entry[] = [];

  get waiting(): number {
    return this.#entries.length;
  }

  /**
   * Resolves to what `append` answers, once that isn't `undefined`: there was no room. Rejects with what it throws.
   */
  enter<T>(append: () => T | undefined): Promise<T> {
    const entered = new Promise<T>((resolve, reject) => {
      const attempt = () => {
        const appended = append();
        if (appended !== undefined) resolve(appended);
        return appended !== undefined;
      };
      this.#entries.push({ attempt, reject });
    });
    this.retry();
    return entered;
  }

  /** Something has become free. */
  retry(): void {
    while (this.#entries.length > 0) {
      const entry = this.#entries[0] as Entry;
      try {
        if (!entry.attempt()) return;
      } catch (error) {
        entry.reject(error as Error);
      }
      // A failure may have emptied the queue meanwhile.
      if (this.#entries[0] === entry) this.#entries.shift();
    }
  }

  fail(error: Error): void {
    const entries = this.#entries;
    this.#entries = [];
    for (const entry of entries) entry.reject(error);
  }
}
