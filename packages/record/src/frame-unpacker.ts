import { viewOf } from "./binary.js";
import { isUnmasked } from "./boundary-mask.js";
import { expand } from "./compression.js";
import { FRAME_HEADER_BYTES, OPEN_BODY_BYTES, ROUTING_BYTES } from "./constants.js";
import { type ChecksumRanges, checksumRanges } from "./crc32c.js";
import { RecordError } from "./errors.js";
import type { FrameHeader } from "./frame-header.js";
import type { LogDecipher } from "./log-cipher.js";
import { authenticatedBytes } from "./packed-body.js";
import { recordEnd } from "./record.js";

/** Decrypts and expands the records of verified frames, and so finds out whether they are authentic. */
export class FrameUnpacker {
  readonly #decipher: LogDecipher | undefined;
  readonly #checksum: ChecksumRanges;
  #ranges = new Uint32Array(0);
  #sums = new Uint32Array(0);

  /** Without a `decipher` only frames that aren't encrypted can be unpacked. */
  constructor(decipher: LogDecipher | undefined, checksum: ChecksumRanges = checksumRanges) {
    this.#decipher = decipher;
    this.#checksum = checksum;
  }

  /**
   * The records of a frame that `FrameVerifier` found right, for `frameRecords`: memory of their own. `undefined` for a frame that stores
   * them as they are. An empty encrypted frame is authenticated too.
   *
   * That the frame belongs where it is (its tag follows on the one before) is the caller's to compare: here it is only authentic.
   *
   * @throws RecordError `KEY_MISSING`; `NOT_AUTHENTIC`; `UNSUPPORTED_FORMAT` for a compression that this Node.js lacks; `RECORD_MALFORMED` or
   * `RECORD_CHECKSUM` when what comes out isn't the records that the header states; `RECORD_ARGUMENT` when the frame isn't
   * wholly inside the bytes or has not been verified.
   */
  unpack(bytes: Uint8Array, at: number, header: FrameHeader): Uint8Array | undefined {
    const { packed } = header;
    if (packed === undefined) return undefined;
    if (!(at >= 0 && at + header.length <= bytes.length)) {
      throw new RecordError(
        "RECORD_ARGUMENT",
        `the frame at ${at} is not wholly inside ${bytes.length} bytes`,
      );
    }
    if (!isUnmasked(header)) throw new RecordError("RECORD_ARGUMENT", "the frame has not been verified");
    const clearBytes =
      header.kind === "open" ? OPEN_BODY_BYTES : packed.routing ? header.recordCount * ROUTING_BYTES : 0;
    const body = at + FRAME_HEADER_BYTES + clearBytes;
    const stored = bytes.subarray(body, body + packed.storedBytes);
    const decrypted = packed.encrypted
      ? this.#decrypt(bytes, at, header, clearBytes, stored, packed.keyId, packed.tag)
      : stored;
    if (header.recordCount === 0) return decrypted;
    const records =
      packed.compression === undefined ? decrypted : expand(decrypted, packed.compression, packed.plainBytes);
    this.#verify(records, header);
    return records;
  }

  #decrypt(
    bytes: Uint8Array,
    at: number,
    header: FrameHeader,
    clearBytes: number,
    stored: Uint8Array,
    keyId: number,
    tag: Uint8Array,
  ): Uint8Array {
    if (this.#decipher === undefined) {
      throw new RecordError("KEY_MISSING", `the log is encrypted with key ${keyId}, and no keys were given`, {
        keyId,
      });
    }
    const { logId, incarnation, frameNumber } = header;
    const authenticated = authenticatedBytes(bytes, at, clearBytes);
    const place = { keyId, logId, incarnation };
    return this.#decipher.decrypt("frame", place, frameNumber, authenticated, stored, tag);
  }

  /** What comes out is checked as what lies in a frame in the clear: neither cipher nor compression says that it is records. */
  #verify(records: Uint8Array, { recordCount, frameNumber }: FrameHeader): void {
    if (recordCount > this.#sums.length) {
      this.#ranges = new Uint32Array(2 * recordCount);
      this.#sums = new Uint32Array(recordCount);
    }
    const view = viewOf(records);
    let record = 0;
    for (let i = 0; i < recordCount; i++) {
      const next = recordEnd(records, view, record, records.length);
      if (next === -1) throw malformed(frameNumber);
      this.#ranges[2 * i] = record + 4;
      this.#ranges[2 * i + 1] = next - record - 4;
      record = next;
    }
    if (record !== records.length) throw malformed(frameNumber);
    this.#checksum(records, this.#ranges, recordCount, this.#sums);
    for (let i = 0; i < recordCount; i++) {
      if (view.getUint32(this.#ranges[2 * i]! - 4, true) !== this.#sums[i]) {
        throw new RecordError("RECORD_CHECKSUM", `a record in frame ${frameNumber} has a wrong checksum`);
      }
    }
  }
}

function malformed(frameNumber: number): RecordError {
  return new RecordError("RECORD_MALFORMED", `what frame ${frameNumber} unpacks to is not its records`);
}
