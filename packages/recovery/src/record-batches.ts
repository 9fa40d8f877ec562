import { type IoBackend, IoError } from "@stonewal/io";
import { frameRecords, type LogRecord, REQUIRED_TYPE } from "@stonewal/record";
import { RecoveryError } from "./errors.js";
import { type FeedChunk, FrameFeed, trimmed } from "./frame-feed.js";
import type { LogView, ReadOptions } from "./model.js";

/** Which records of a chunk are wanted, and where reading ends. */
export class RecordSelection {
  readonly #from: number;
  readonly #to: number;
  readonly #untilTime: number;
  readonly #types: ReadonlySet<number> | undefined;
  readonly #filter: ((record: LogRecord) => boolean) | undefined;
  readonly #knownTypes: ((type: number) => boolean) | undefined;
  #ended = false;
  #pastTime = false;
  #unknown: RecoveryError | undefined;

  constructor(options: ReadOptions & { untilTime?: number | undefined }, from: number, to: number) {
    this.#from = from;
    this.#to = to;
    this.#untilTime = options.untilTime ?? Number.POSITIVE_INFINITY;
    this.#types = options.types === undefined ? undefined : new Set(options.types);
    this.#filter = options.filter;
    this.#knownTypes = options.knownTypes;
  }

  /** Nothing that comes later is wanted. */
  get ended(): boolean {
    return this.#ended;
  }

  /** It ended because of `untilTime`. */
  get pastTime(): boolean {
    return this.#pastTime;
  }

  /** What keeps reading from going on behind the records taken last. */
  get unknown(): RecoveryError | undefined {
    return this.#unknown;
  }

  take(chunk: FeedChunk): LogRecord[] {
    const records: LogRecord[] = [];
    const to = Math.min(this.#to, chunk.lastLsn);
    for (const { header, at, unpacked } of chunk.frames) {
      if (header.time > this.#untilTime) this.#pastTime = this.#ended = true;
      if (this.#ended) break;
      if (header.nextLsn <= this.#from) continue;
      const cursor = frameRecords(chunk.bytes, at, header, unpacked);
      cursor.skipTo(this.#from);
      for (let record = cursor.read(); record !== undefined && record.lsn <= to; record = cursor.read()) {
        if (this.#isUnknown(record)) return records;
        if (this.#types !== undefined && !this.#types.has(record.type)) continue;
        if (this.#filter !== undefined && !this.#filter(record)) continue;
        records.push(record);
      }
      // A frame that a cut divides reaches beyond what counts of it: the log goes on in the next segment.
      if (Math.min(header.nextLsn - 1, chunk.lastLsn) >= this.#to) this.#ended = true;
    }
    return records;
  }

  /** A required type that the caller does not know stops it, wanted or not: what follows may mean something else without it. */
  #isUnknown(record: LogRecord): boolean {
    if (this.#knownTypes === undefined || record.type < REQUIRED_TYPE || this.#knownTypes(record.type))
      return false;
    const message = `LSN ${record.lsn} has the required type ${record.type}, which is not known`;
    this.#unknown = new RecoveryError("WAL_UNKNOWN_TYPE", message, {
      firstLsn: record.lsn,
      lastLsn: record.lsn,
    });
    this.#ended = true;
    return true;
  }
}

/** Where reading begins: checks what the caller asked for against what is there. */
export function firstWanted(view: LogView, options: ReadOptions): number {
  const { from } = options;
  const firstThere = Math.max(view.trimLsn() + 1, view.segments()[0]?.preamble.firstLsn ?? 1);
  if (from === undefined) return firstThere;
  requireLsn(from, "from");
  if (from < firstThere) throw trimmed(from, firstThere - 1);
  return from;
}

export function requireLsn(lsn: number, name: string): void {
  if (Number.isSafeInteger(lsn) && lsn >= 1) return;
  throw new RecoveryError(
    "WAL_ARGUMENT",
    `${name} must be an LSN, a safe integer from 1, not ${String(lsn)}`,
  );
}

/** A feed for a reader, known to the view while it lasts. */
export async function* withFeed<T>(
  io: IoBackend,
  view: LogView,
  options: ReadOptions,
  from: number,
  read: (feed: FrameFeed) => AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const { direct, chunkBytes } = options;
  const feed = new FrameFeed(io, view, { from, direct, chunkBytes });
  const letGo = view.hold?.(() => feed.delivered);
  try {
    yield* read(feed);
  } catch (error) {
    if (!(error instanceof IoError && error.code === "IO_CLOSED" && view.closed())) throw error;
    throw new RecoveryError("WAL_CLOSED", "the log was closed while it was being read", { cause: error });
  } finally {
    letGo?.();
    await feed.close();
  }
}

/** `batches`; `onAbort` is called if `signal` has aborted, or does before they end. */
export async function* heeding<T>(
  batches: AsyncGenerator<T, void, undefined>,
  signal: AbortSignal | undefined,
  onAbort: () => void,
): AsyncGenerator<T, void, undefined> {
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    yield* batches;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * Hands out the records of batches one by one. Not an async generator: that would cost several promises per record,
 * and a `return` could not reach one that waits for news.
 */
export class RecordIterator implements AsyncIterableIterator<LogRecord> {
  readonly #batches: AsyncGenerator<LogRecord[], void, undefined>;
  readonly #onReturn: () => void;
  #batch: readonly LogRecord[] = [];
  #next = 0;
  #ended = false;
  #dropped = false;
  #pulling: Promise<unknown> | undefined;

  constructor(batches: AsyncGenerator<LogRecord[], void, undefined>, onReturn: () => void = () => {}) {
    this.#batches = batches;
    this.#onReturn = onReturn;
  }

  next(): Promise<IteratorResult<LogRecord, undefined>> {
    if (this.#pulling !== undefined) return this.#pulling.then(() => this.next());
    if (this.#next < this.#batch.length) {
      return Promise.resolve({ done: false, value: this.#batch[this.#next++]! });
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    const pulled = this.#pull();
    this.#pulling = pulled.catch(() => undefined);
    return pulled;
  }

  async #pull(): Promise<IteratorResult<LogRecord, undefined>> {
    try {
      let value: LogRecord | undefined;
      while (value === undefined && !this.#ended) {
        const batch = await this.#batches.next();
        if (batch.done) this.#ended = true;
        else if (!this.#dropped) [this.#batch, this.#next, value] = [batch.value, 1, batch.value[0]];
      }
      if (this.#ended) this.#batch = [];
      return value === undefined ? { done: true, value: undefined } : { done: false, value };
    } catch (error) {
      this.#ended = true;
      this.#batch = [];
      throw error;
    } finally {
      this.#pulling = undefined;
    }
  }

  /** No more records are wanted, not even those that have been read ahead: only how the batches end. */
  drop(): void {
    this.#batch = [];
    this.#dropped = true;
  }

  async return(): Promise<IteratorResult<LogRecord, undefined>> {
    this.#ended = true;
    this.#batch = [];
    this.#onReturn();
    await this.#batches.return();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
