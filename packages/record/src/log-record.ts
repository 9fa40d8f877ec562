import { RECORD_HEADER_BYTES, REQUIRED_TYPE } from "./constants.js";
import type { RecordFields } from "./record.js";
import { recordBytes } from "./record.js";

/** What the records of one frame share. */
export interface RecordSource {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly firstLsn: number;
  readonly time: number;
}

/**
 * A record as it lies in the bytes of its frame. Nothing is decoded before it is asked for and nothing is copied, so it
 * is as good as the bytes are: keep a copy of what must outlive the buffer. It is a valid `RecordInput`.
 */
export class LogRecord implements RecordFields {
  readonly #source: RecordSource;
  readonly #at: number;
  /** The record's number in the log. */
  readonly lsn: number;

  /** @internal Made by the readers of this package, which have checked that the record lies inside the bytes. */
  constructor(source: RecordSource, at: number, index: number) {
    this.#source = source;
    this.#at = at;
    this.lsn = source.firstLsn + index;
  }

  /** When its frame was sealed, in milliseconds since the Unix epoch. */
  get time(): number {
    return this.#source.time;
  }

  /** u32, the required bit included. */
  get type(): number {
    return this.#source.view.getUint32(this.#at + 8, true);
  }

  /** A reader that doesn't know the type must stop, not skip. */
  get required(): boolean {
    return this.type >= REQUIRED_TYPE;
  }

  /** u32. */
  get shard(): number {
    return this.#source.view.getUint32(this.#at + 12, true);
  }

  /** u64. */
  get tenant(): bigint {
    return this.#source.view.getBigUint64(this.#at + 16, true);
  }

  /** u64. */
  get database(): bigint {
    return this.#source.view.getBigUint64(this.#at + 24, true);
  }

  /** Length of the payload, in bytes. */
  get payloadBytes(): number {
    return this.#source.view.getUint32(this.#at + 4, true);
  }

  /** The payload: a view of the frame's bytes, made at each call. */
  get payload(): Uint8Array {
    return this.#slice(this.#at + RECORD_HEADER_BYTES, this.payloadBytes);
  }

  /** The whole encoded record, as `FrameBuilder.appendEncoded` takes it: a view, made at each call. */
  get encoded(): Uint8Array {
    return this.#slice(this.#at, recordBytes(this.payloadBytes));
  }

  // Not subarray(): on a Buffer that would be a Buffer.
  #slice(at: number, length: number): Uint8Array {
    const { bytes } = this.#source;
    return new Uint8Array(bytes.buffer, bytes.byteOffset + at, length);
  }
}
