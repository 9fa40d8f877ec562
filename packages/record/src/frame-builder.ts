import { requireBlockBytes, requireChecksum, requireCount, requireId, setCount, viewOf } from "./binary.js";
import { chooseBoundaryMask, toggleMask } from "./boundary-mask.js";
import { type Compression, compress } from "./compression.js";
import {
  FRAME_HEADER_BYTES,
  FRAMES_START,
  MAX_LSN,
  MAX_PACKED_BYTES,
  OPEN_BODY_BYTES,
  ROUTING_BYTES,
  TAG_BYTES,
} from "./constants.js";
import { type ChecksumRanges, checksumRanges, crc32c, crc32cWords } from "./crc32c.js";
import { RecordError } from "./errors.js";
import { FRAME_KINDS, type FrameKind, frameChecksum, paddedFrameBytes } from "./frame-header.js";
import type { LogCipher } from "./log-cipher.js";
import { FRAME_MAGIC } from "./magic.js";
import type { OpenBody } from "./open-body.js";
import { writeOpenBody } from "./open-body.js";
import {
  authenticatedBytes,
  NO_TAG,
  type PackedBody,
  packedFrameBytes,
  writePackedFields,
} from "./packed-body.js";
import { type RecordInput, recordBytes, verifyRecord, writeRecord } from "./record.js";
import { routingTable } from "./routing-table.js";

/** What a frame's header states besides what the builder knows. All numbers are safe integers. */
export interface FrameFields {
  /** A data frame needs at least one record, the others must have none. */
  readonly kind: FrameKind;
  /** 16 bytes. */
  readonly logId: Uint8Array;
  /** 16 bytes. */
  readonly incarnation: Uint8Array;
  /** Of the segment, from 1. */
  readonly sequence: number;
  /** Where the frame will be in the segment: a multiple of the block size, at least {@link FRAMES_START}. */
  readonly offset: number;
  /** From 1. */
  readonly frameNumber: number;
  /** Of the first record, or, without records, of the next record to come; from 1. */
  readonly firstLsn: number;
  /** Every frame with a number below this one is durable. At most `frameNumber`. */
  readonly watermark: number;
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  /** The `checksum` of the frame before; 0n for a log's first frame. */
  readonly chain: bigint;
  /** An open frame's body; only that kind has one, and must. */
  readonly open?: OpenBody;
  /** For an encrypted frame, and needed there: the tag of the frame or preamble before it, 16 bytes. */
  readonly previousTag?: Uint8Array;
}

/** How the records of a frame are to be stored, where it isn't as they are. */
export interface Packing {
  /** What `checkCompression` answered. A frame is compressed only where that saves a block. */
  readonly compression?: Required<Compression> | undefined;
  readonly cipher?: LogCipher | undefined;
  /** With a cipher: whether type, shard, tenant and database of each record can be read without the key. Default `encrypted`. */
  readonly routing?: "encrypted" | "readable" | undefined;
}

/** A frame ready to be written: `paddedLength` bytes from the builder's `start`. */
export interface SealedFrame {
  /** Header and body, in bytes. */
  readonly length: number;
  /** To the end of the last block, in bytes: what is to be written. */
  readonly paddedLength: number;
  /** What the next frame's `chain` must be. */
  readonly checksum: bigint;
  /** What the next frame's `previousTag` must be; zeros unless encrypted. */
  readonly tag: Uint8Array;
}

/**
 * Builds frames in place, one after another, in memory handed in (the back end's arena). One copy of each payload,
 * nothing allocated per record, one call of `checksum` per frame: `begin`, any number of `append`s, `seal`.
 */
export class FrameBuilder {
  /** In bytes. */
  readonly blockBytes: number;
  readonly #checksum: ChecksumRanges;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = viewOf(this.#bytes);
  #start = 0;
  #end = 0;
  #limit = 0;
  #recordCount = 0;
  #open = false;
  #packing: Packing | undefined;
  /** Bytes that a record takes besides its own: in a routing table. */
  #routingBytes = 0;
  /** (start, length) of what each record's checksum covers, and at the end of the rest. Grows, never shrinks. */
  #ranges = new Uint32Array(2 * 64);
  #sums = new Uint32Array(64);

  /** @throws RecordError `RECORD_ARGUMENT` for a block size that isn't a power of two from 4,096 to 65,536. */
  constructor(blockBytes: number, checksum: ChecksumRanges = checksumRanges) {
    requireBlockBytes(blockBytes);
    this.blockBytes = blockBytes;
    this.#checksum = checksum;
  }

  /**
   * Begins a frame at `bytes[start]`, for at most `capacity` bytes. What is there is overwritten, padding included; what
   * had been begun before and not sealed is given up. With `packing`, records lie in these bytes in the clear until the frame is sealed.
   *
   * @throws RecordError `RECORD_ARGUMENT` when start or capacity isn't a multiple of the block size, the capacity is 0,
   * or they aren't inside the bytes (of which only the first 4 GiB count).
   */
  begin(bytes: Uint8Array, start: number, capacity: number, packing?: Packing): void {
    requireCount(start, 0, "the start of a frame");
    requireCount(capacity, this.blockBytes, "the capacity of a frame");
    const end = start + capacity;
    if (start % this.blockBytes !== 0 || capacity % this.blockBytes !== 0) {
      throw new RecordError(
        "RECORD_ARGUMENT",
        `start ${start} and capacity ${capacity} of a frame must be multiples of ${this.blockBytes}`,
      );
    }
    if (end > bytes.length || end > 0xffffffff) {
      throw new RecordError(
        "RECORD_ARGUMENT",
        `a frame up to byte ${end} is outside of ${bytes.length} bytes`,
      );
    }
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = viewOf(bytes);
    }
    this.#start = start;
    this.#end = start + FRAME_HEADER_BYTES;
    this.#limit = end;
    this.#recordCount = 0;
    this.#packing = packing;
    this.#routingBytes = packing?.cipher !== undefined && packing.routing === "readable" ? ROUTING_BYTES : 0;
    if (packing !== undefined) {
      this.#limit = Math.min(end, start + FRAME_HEADER_BYTES + MAX_PACKED_BYTES);
    }
    this.#open = true;
  }

  /** Is there room for records of this many bytes together (headers and padding included: `recordBytes`, `validateRecord`)? */
  fits(bytes: number, records = 1): boolean {
    return (
      this.#open && this.#end + bytes + this.#routingBytes * (this.#recordCount + records) <= this.#limit
    );
  }

  /** Records appended since `begin`. */
  get recordCount(): number {
    return this.#recordCount;
  }

  /** Bytes of header and records so far, as they are; packing makes that less. */
  get length(): number {
    return this.#end - this.#start + this.#routingBytes * this.#recordCount;
  }

  /** Bytes to the end of the last block so far. */
  get paddedLength(): number {
    return paddedFrameBytes(this.length, this.blockBytes);
  }

  /**
   * Appends a record that passed `validateRecord`; its payload is copied. Answers how many bytes that has.
   *
   * @throws RecordError `RECORD_TOO_LARGE` when it doesn't fit, and whatever reading the record throws; nothing has changed then.
   */
  append(input: RecordInput): number {
    // Asked for once: who makes it anew each time may make another.
    const { payload } = input;
    const at = this.#claim(recordBytes(payload.length));
    this.#add(at, writeRecord(this.#bytes, this.#view, at, payload, input));
    return payload.length;
  }

  /** As `append`, all of them or none. */
  appendAll(inputs: readonly RecordInput[]): number {
    const [end, recordCount] = [this.#end, this.#recordCount];
    let payloadBytes = 0;
    try {
      for (const input of inputs) payloadBytes += this.append(input);
    } catch (error) {
      this.#end = end;
      this.#recordCount = recordCount;
      throw error;
    }
    return payloadBytes;
  }

  /**
   * Appends a record encoded beforehand. Its LSN follows from its place, as ever. Answers how many bytes its payload has.
   *
   * @throws RecordError `RECORD_MALFORMED` when the bytes aren't exactly one record; `RECORD_CHECKSUM`;
   * `RECORD_TOO_LARGE` when it doesn't fit. The frame is as before then.
   */
  appendEncoded(encoded: Uint8Array): number {
    const { length } = encoded;
    const at = this.#claim(length);
    // Copied first, and looked at where it is now: the caller's bytes may be shared memory.
    this.#bytes.set(encoded, at);
    const end = at + length;
    verifyRecord(this.#bytes, this.#view, at, end);
    this.#add(at, end);
    return this.#view.getUint32(at + 4, true);
  }

  /**
   * Completes the frame: packing, checksums, padding, boundary mask, header. After it the builder waits for the next `begin`.
   * Of an encrypted frame nothing in the clear is left in the bytes.
   *
   * @throws RecordError `RECORD_ARGUMENT` when a field can't be or doesn't fit the records; `LSN_EXHAUSTED` when the
   * last record's LSN would be above {@link MAX_LSN}. The frame can be sealed with other fields then.
   */
  seal(fields: FrameFields): SealedFrame {
    this.#validate(fields);
    return (
      (this.#packing !== undefined && this.#sealPacked(fields, this.#packing)) || this.#sealPlain(fields)
    );
  }

  #sealPlain(fields: FrameFields): SealedFrame {
    const bytes = this.#bytes;
    const view = this.#view;
    const start = this.#start;
    const recordCount = this.#recordCount;
    // Without records, the rest begins behind the header and an open frame's body is in it.
    const restStart = this.#end;
    const end = fields.open === undefined ? restStart : restStart + OPEN_BODY_BYTES;
    const length = end - start;
    const paddedLength = paddedFrameBytes(length, this.blockBytes);
    if (fields.open !== undefined) writeOpenBody(bytes, view, restStart, fields.open);
    bytes.fill(0, end, start + paddedLength);

    this.#reserve(recordCount + 1);
    const ranges = this.#ranges;
    const sums = this.#sums;
    ranges[2 * recordCount] = restStart;
    ranges[2 * recordCount + 1] = start + paddedLength - restStart;
    this.#checksum(bytes, ranges, recordCount + 1, sums);
    for (let i = 0; i < recordCount; i++) view.setUint32(ranges[2 * i]! - 4, sums[i]!, true);
    const bodyChecksum = crc32cWords(sums, 0, recordCount + 1);

    this.#writeHeader(fields, length);
    return this.#finish(length, paddedLength, bodyChecksum, NO_TAG);
  }

  /** `undefined`: there is nothing to encrypt with, and compressing would not save a block. */
  #sealPacked(fields: FrameFields, packing: Packing): SealedFrame | undefined {
    const { cipher } = packing;
    const bytes = this.#bytes;
    const view = this.#view;
    const start = this.#start;
    const recordCount = this.#recordCount;
    const restStart = start + FRAME_HEADER_BYTES;
    const plainEnd = this.#end;
    const plain = bytes.subarray(restStart, plainEnd);
    this.#writeRecordChecksums();
    const routing =
      this.#routingBytes > 0 ? routingTable(bytes, this.#recordStarts(), recordCount) : new Uint8Array(0);
    const compressed = recordCount > 0 ? this.#compress(plain, packing, routing.length) : undefined;
    if (cipher === undefined && compressed === undefined) return undefined;

    const stored = compressed ?? plain;
    const clear = fields.open === undefined ? routing : new Uint8Array(OPEN_BODY_BYTES);
    if (fields.open !== undefined) writeOpenBody(clear, viewOf(clear), 0, fields.open);
    const length = packedFrameBytes(clear.length, stored.length);
    const paddedLength = paddedFrameBytes(length, this.blockBytes);
    this.#writeHeader(fields, length);
    writePackedFields(bytes, view, start, {
      encrypted: cipher !== undefined,
      keyId: cipher?.keyId ?? 0,
      compression: compressed === undefined ? undefined : packing.compression!.algorithm,
      routing: routing.length > 0,
      plainBytes: plain.length,
      storedBytes: stored.length,
      tag: NO_TAG,
      previousTag: cipher === undefined ? NO_TAG : fields.previousTag!,
    } satisfies PackedBody);

    let body = stored;
    let tag = NO_TAG;
    if (cipher !== undefined) {
      const authenticated = new Uint8Array(FRAME_HEADER_BYTES + clear.length);
      authenticated.set(authenticatedBytes(bytes, start, 0));
      authenticated.set(clear, FRAME_HEADER_BYTES);
      const encrypted = cipher.encrypt("frame", fields.frameNumber, authenticated, stored);
      body = encrypted.stored;
      tag = encrypted.tag;
      bytes.set(tag, start + 144);
    }
    bytes.set(clear, restStart);
    bytes.set(body, restStart + clear.length);
    // What was there in the clear is gone with it.
    const bodyEnd = restStart + clear.length + body.length;
    bytes.fill(0, bodyEnd, Math.max(start + paddedLength, plainEnd));
    if (cipher !== undefined) compressed?.fill(0);

    this.#reserve(1);
    this.#ranges[0] = restStart;
    this.#ranges[1] = start + paddedLength - restStart;
    this.#checksum(bytes, this.#ranges, 1, this.#sums);
    return this.#finish(length, paddedLength, crc32cWords(this.#sums, 0, 1), tag);
  }

  /** The records compressed; `undefined` where that saves no block. */
  #compress(plain: Uint8Array, { compression }: Packing, routingBytes: number): Uint8Array | undefined {
    if (compression === undefined) return undefined;
    const blocks = (bytes: number) =>
      paddedFrameBytes(packedFrameBytes(routingBytes, bytes), this.blockBytes);
    if (blocks(plain.length) === blocks(1)) return undefined;
    const compressed = compress(plain, compression);
    return blocks(compressed.length) < blocks(plain.length) ? compressed : undefined;
  }

  /** All of a header but checksums, mask, and what a packed frame states besides. */
  #writeHeader(fields: FrameFields, length: number): void {
    const bytes = this.#bytes;
    const view = this.#view;
    const start = this.#start;
    bytes.fill(0, start, start + FRAME_HEADER_BYTES);
    bytes.set(FRAME_MAGIC, start);
    view.setUint32(start + 16, length, true);
    view.setUint32(start + 20, this.#recordCount, true);
    view.setUint16(start + 24, FRAME_KINDS.indexOf(fields.kind) + 1, true);
    bytes.set(fields.logId, start + 32);
    bytes.set(fields.incarnation, start + 48);
    setCount(view, start + 64, fields.sequence);
    setCount(view, start + 72, fields.offset);
    setCount(view, start + 80, fields.frameNumber);
    setCount(view, start + 88, fields.firstLsn);
    setCount(view, start + 96, fields.watermark);
    setCount(view, start + 104, fields.time);
    view.setBigUint64(start + 112, fields.chain, true);
  }

  /** Masks what is stored, and completes the header. */
  #finish(length: number, paddedLength: number, bodyChecksum: number, tag: Uint8Array): SealedFrame {
    const bytes = this.#bytes;
    const view = this.#view;
    const start = this.#start;
    const mask = chooseBoundaryMask(view, start, length);
    if (mask !== 0n) toggleMask(view, start, length, mask);
    view.setUint32(start + 12, bodyChecksum, true);
    view.setBigUint64(start + 120, mask, true);
    const headerChecksum = crc32c(bytes, start + 12, start + FRAME_HEADER_BYTES);
    view.setUint32(start + 8, headerChecksum, true);
    this.#open = false;
    return { length, paddedLength, checksum: frameChecksum(headerChecksum, bodyChecksum), tag };
  }

  #writeRecordChecksums(): void {
    const count = this.#recordCount;
    this.#checksum(this.#bytes, this.#ranges, count, this.#sums);
    for (let i = 0; i < count; i++) this.#view.setUint32(this.#ranges[2 * i]! - 4, this.#sums[i]!, true);
  }

  *#recordStarts(): Generator<number, void, undefined> {
    for (let i = 0; i < this.#recordCount; i++) yield this.#ranges[2 * i]! - 4;
  }

  /** Where a record of this many bytes goes. */
  #claim(bytes: number): number {
    if (!this.fits(bytes)) {
      throw new RecordError(
        "RECORD_TOO_LARGE",
        this.#open
          ? `a record of ${bytes} bytes does not fit the ${this.#limit - this.#start - this.length} left in this frame`
          : "no frame has been begun",
      );
    }
    return this.#end;
  }

  #add(at: number, end: number): void {
    const i = this.#recordCount;
    if (i === this.#sums.length) this.#reserve(i + 1);
    this.#ranges[2 * i] = at + 4;
    this.#ranges[2 * i + 1] = end - at - 4;
    this.#recordCount = i + 1;
    this.#end = end;
  }

  #reserve(count: number): void {
    if (count <= this.#sums.length) return;
    const size = Math.max(count, 2 * this.#sums.length);
    const ranges = new Uint32Array(2 * size);
    ranges.set(this.#ranges);
    this.#ranges = ranges;
    this.#sums = new Uint32Array(size);
  }

  #validate(fields: FrameFields): void {
    const { kind, open } = fields;
    if (!this.#open) throw argument("no frame has been begun");
    if (!FRAME_KINDS.includes(kind)) throw argument(`there is no frame kind ${String(kind)}`);
    if ((kind === "data") !== this.#recordCount > 0) {
      throw argument(`a frame of kind ${kind} can't have ${this.#recordCount} records`);
    }
    if ((kind === "open") !== (open !== undefined))
      throw argument("an open frame, and no other, has an open body");
    if (open !== undefined) {
      requireId(open.dwbId, "the DWB id");
      if (open.ack !== "wal" && open.ack !== "dwb") throw argument(`there is no ack ${String(open.ack)}`);
    }
    requireId(fields.logId, "the log id");
    requireId(fields.incarnation, "the incarnation");
    requireCount(fields.sequence, 1, "the segment sequence");
    requireCount(fields.offset, FRAMES_START, "the file offset");
    requireCount(fields.frameNumber, 1, "the frame number");
    requireCount(fields.firstLsn, 1, "the first LSN");
    requireCount(fields.watermark, 0, "the watermark");
    requireCount(fields.time, 0, "the time");
    requireChecksum(fields.chain, "the chain");
    if (this.#packing?.cipher !== undefined) {
      const { previousTag } = fields;
      if (!(previousTag instanceof Uint8Array) || previousTag.length !== TAG_BYTES) {
        throw argument(`an encrypted frame states the tag before it, ${TAG_BYTES} bytes`);
      }
    }
    if (fields.offset % this.blockBytes !== 0) {
      throw argument(`the file offset must be a multiple of ${this.blockBytes}, not ${fields.offset}`);
    }
    if (fields.watermark > fields.frameNumber) {
      throw argument(`the watermark ${fields.watermark} is above the frame number ${fields.frameNumber}`);
    }
    if (fields.firstLsn > MAX_LSN - this.#recordCount + 1) {
      throw new RecordError(
        "LSN_EXHAUSTED",
        `${this.#recordCount} records from LSN ${fields.firstLsn} on would go beyond ${MAX_LSN}`,
      );
    }
  }
}

function argument(message: string): RecordError {
  return new RecordError("RECORD_ARGUMENT", message);
}
