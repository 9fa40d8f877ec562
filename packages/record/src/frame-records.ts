import { viewOf } from "./binary.js";
import { isUnmasked } from "./boundary-mask.js";
import { FRAME_HEADER_BYTES } from "./constants.js";
import { RecordError } from "./errors.js";
import type { FrameHeader } from "./frame-header.js";
import { LogRecord, type RecordSource } from "./log-record.js";
import { recordEnd } from "./record.js";

/**
 * Walks the records of a verified frame: `read()` without any allocation but the record's, or as an iterator. One pass.
 */
export class RecordCursor implements IterableIterator<LogRecord, undefined> {
  readonly #source: RecordSource;
  readonly #count: number;
  readonly #end: number;
  #at: number;
  #index = 0;

  /** @internal Use {@link frameRecords}. */
  constructor(bytes: Uint8Array, at: number, header: FrameHeader, unpacked: Uint8Array | undefined) {
    if (header.packed !== undefined) {
      if (unpacked === undefined && header.recordCount > 0) {
        throw new RecordError("RECORD_ARGUMENT", "the frame has not been unpacked");
      }
      bytes = unpacked ?? new Uint8Array(0);
      at = -FRAME_HEADER_BYTES;
    } else if (!(at >= 0 && at + header.length <= bytes.length)) {
      throw new RecordError(
        "RECORD_ARGUMENT",
        `the frame at ${at} is not wholly inside ${bytes.length} bytes`,
      );
    } else if (!isUnmasked(header))
      throw new RecordError("RECORD_ARGUMENT", "the frame has not been verified");
    this.#source = { bytes, view: viewOf(bytes), firstLsn: header.firstLsn, time: header.time };
    this.#count = header.recordCount;
    this.#end = header.packed === undefined ? at + header.length : bytes.length;
    this.#at = at + FRAME_HEADER_BYTES;
  }

  /** LSN of the record that `read` comes to next. */
  get nextLsn(): number {
    return this.#source.firstLsn + this.#index;
  }

  /**
   * The next record, or `undefined` behind the last.
   *
   * @throws RecordError `RECORD_MALFORMED` when a length leads out of the frame: it hasn't been verified.
   */
  read(): LogRecord | undefined {
    if (this.#index >= this.#count) return undefined;
    const at = this.#at;
    this.#step();
    return new LogRecord(this.#source, at, this.#index - 1);
  }

  /**
   * Passes over the records below `lsn`.
   *
   * @throws RecordError `RECORD_MALFORMED` as `read`.
   */
  skipTo(lsn: number): void {
    while (this.#index < this.#count && this.nextLsn < lsn) this.#step();
  }

  next(): IteratorResult<LogRecord, undefined> {
    const record = this.read();
    return record === undefined ? { done: true, value: undefined } : { done: false, value: record };
  }

  [Symbol.iterator](): this {
    return this;
  }

  #step(): void {
    const end = recordEnd(this.#source.bytes, this.#source.view, this.#at, this.#end);
    if (end === -1) throw new RecordError("RECORD_MALFORMED", `LSN ${this.nextLsn} leads out of its frame`);
    this.#at = end;
    this.#index++;
  }
}

/**
 * The records of a frame that {@link FrameVerifier} found right, as views of `bytes`, or of what {@link FrameUnpacker} made of
 * them. Nothing is verified here but that no length leads out of the frame.
 *
 * @throws RecordError `RECORD_ARGUMENT` when the frame isn't wholly inside the bytes, has a boundary mask that no
 * verifier has undone, or is compressed or encrypted and comes without what it was unpacked to.
 */
export function frameRecords(
  bytes: Uint8Array,
  at: number,
  header: FrameHeader,
  unpacked?: Uint8Array,
): RecordCursor {
  return new RecordCursor(bytes, at, header, unpacked);
}
