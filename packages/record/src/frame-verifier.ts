import { firstNonZero, requireBlockBytes, viewOf } from "./binary.js";
import { remaskFrame, unmaskFrame } from "./boundary-mask.js";
import { FRAME_HEADER_BYTES } from "./constants.js";
import { type ChecksumRanges, checksumRanges, crc32cWords } from "./crc32c.js";
import { RecordError } from "./errors.js";
import { type FrameHeader, paddedFrameBytes } from "./frame-header.js";
import { alignedBytes } from "./packed-body.js";
import { recordEnd } from "./record.js";

/** A frame in a chunk of bytes: what `readFrameHeader(bytes, at)` answered, and where. */
export interface FramePlace {
  readonly header: FrameHeader;
  readonly at: number;
}

/** Verifies the bodies of frames, a whole chunk of them with one call of `checksum`. Keeps its arrays between calls. */
export class FrameVerifier {
  /** In bytes. */
  readonly blockBytes: number;
  readonly #checksum: ChecksumRanges;
  #ranges = new Uint32Array(0);
  #sums = new Uint32Array(0);

  /** @throws RecordError `RECORD_ARGUMENT` for a block size that isn't a power of two from 4,096 to 65,536. */
  constructor(blockBytes: number, checksum: ChecksumRanges = checksumRanges) {
    requireBlockBytes(blockBytes);
    this.blockBytes = blockBytes;
    this.#checksum = checksum;
  }

  /**
   * For each frame, whether everything behind its header is right: the records fill the body exactly, their checksums,
   * the body checksum, and the zeros to the end of the last block. Judged one by one; what a frame must be because of the
   * one before it (log id, offset, frame number, LSN, chain) is the caller's to compare.
   *
   * A frame with a boundary mask comes back with the mask undone in place, so that its records can be read; this happens
   * once for a header, and verifying again is fine. A frame found wrong is left as it was: a search for frames behind it
   * must not meet what a payload holds. The bytes of a good frame are those on disk again after `remaskFrame`.
   *
   * @throws RecordError `RECORD_ARGUMENT` when a frame isn't wholly inside the bytes, padding included. It is no verdict:
   * either the caller has to read more, or the frame doesn't fit its segment, which is to be compared first.
   */
  verify(bytes: Uint8Array, frames: readonly FramePlace[]): boolean[] {
    const view = viewOf(bytes);
    let needed = 0;
    for (const { header, at } of frames) {
      if (!(at >= 0 && at + paddedFrameBytes(header.length, this.blockBytes) <= bytes.length)) {
        throw new RecordError(
          "RECORD_ARGUMENT",
          `the frame at ${at}, ${header.length} bytes long, is not wholly inside ${bytes.length} bytes`,
        );
      }
      needed += inTheClear(header) + 1;
    }
    // Bounded by the bytes that are there: a header with more records than fit its length isn't one.
    if (needed > this.#sums.length) {
      this.#ranges = new Uint32Array(2 * needed);
      this.#sums = new Uint32Array(needed);
    }

    const ranges = this.#ranges;
    const sums = this.#sums;
    let count = 0;
    const verdicts = frames.map(({ header, at }) => {
      unmaskFrame(bytes, at, header);
      const added = this.#addRanges(bytes, view, header, at, count);
      count += added;
      return added > 0;
    });
    this.#checksum(bytes, ranges, count, sums);

    let next = 0;
    for (let f = 0; f < frames.length; f++) {
      const { header, at } = frames[f]!;
      if (verdicts[f]) {
        const first = next;
        const count = inTheClear(header) + 1;
        next += count;
        let right = crc32cWords(sums, first, count) === header.bodyChecksum;
        for (let i = first; right && i < next - 1; i++) {
          right = view.getUint32(ranges[2 * i]! - 4, true) === sums[i];
        }
        verdicts[f] = right;
      }
      if (!verdicts[f]) remaskFrame(bytes, at, header);
    }
    return verdicts;
  }

  /** Adds a frame's ranges from index `first` on and answers how many; 0 when records or padding can't be right. */
  #addRanges(bytes: Uint8Array, view: DataView, header: FrameHeader, at: number, first: number): number {
    const ranges = this.#ranges;
    const end = at + header.length;
    const paddedEnd = at + paddedFrameBytes(header.length, this.blockBytes);
    const records = inTheClear(header);
    let record = at + FRAME_HEADER_BYTES;
    let i = first;
    for (const last = first + records; i < last; i++) {
      const next = recordEnd(bytes, view, record, end);
      if (next === -1) return 0;
      ranges[2 * i] = record + 4;
      ranges[2 * i + 1] = next - record - 4;
      record = next;
    }
    if (records > 0 && record !== end) return 0;
    if (firstNonZero(bytes, end - unusedBytes(header), paddedEnd) !== -1) return 0;
    ranges[2 * i] = record;
    ranges[2 * i + 1] = paddedEnd - record;
    return records + 1;
  }
}

/** Records whose own checksums stand in the frame; what is compressed or encrypted is checked as a whole. */
function inTheClear(header: FrameHeader): number {
  return header.packed === undefined ? header.recordCount : 0;
}

/** Zeros at the end of a packed body, to a multiple of 8. */
function unusedBytes({ packed }: FrameHeader): number {
  return packed === undefined ? 0 : alignedBytes(packed.storedBytes) - packed.storedBytes;
}
