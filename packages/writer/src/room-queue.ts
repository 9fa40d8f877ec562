import type { RecordInput } from "@stonewal/record";

interface Entry {
  /** `undefined`: only wants to know that there is room. */
  readonly record: RecordInput | undefined;
  readonly resolve: (lsn: number) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Those for whom there was no room in the log, in order of arrival: nobody who comes later gets an LSN before them.
 */
export class RoomQueue {
  readonly #append: (record: RecordInput | undefined) => number | undefined;
  #entries: Entry[] = [];

  /** `append` answers `undefined` while there is no room, and throws what can't be helped by waiting. */
  constructor(append: (record: RecordInput | undefined) => number | undefined) {
    this.#append = append;
  }

  get waiting(): number {
    return this.#entries.length;
  }

  /** Resolves to the record's LSN once it has been appended. */
  enter(record: RecordInput | undefined): Promise<number> {
    const entered = new Promise<number>((resolve, reject) => this.#entries.push({ record, resolve, reject }));
    this.retry();
    return entered;
  }

  /** Something has become free. */
  retry(): void {
    while (this.#entries.length > 0) {
      const entry = this.#entries[0] as Entry;
      try {
        const lsn = this.#append(entry.record);
        if (lsn === undefined) return;
        entry.resolve(lsn);
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
