import { copyBytes, requireBlockBytes, viewOf } from "./binary.js";
import { isUnmasked, toggleMask } from "./boundary-mask.js";
import { FRAME_HEADER_BYTES } from "./constants.js";
import { crc32c, crc32cWords } from "./crc32c.js";
import { RecordError } from "./errors.js";
import { type FrameHeader, paddedFrameBytes } from "./frame-header.js";
import { LogRecord } from "./log-record.js";
import { recordEnd } from "./record.js";

/**
 * For salvage: the records of a damaged frame that are intact beyond doubt, in order; of a compressed or encrypted one, none.
 * The frame may be cut short by the end of the bytes, which are left as they are.
 *
 * A record's own checksum says that its bytes are right. It doesn't say that it is a record of this frame: behind a
 * damaged length the walk may enter a payload, and a payload may hold the image of a record. Up to the first record that
 * is wrong, each place follows from the intact header. Behind it, records are given only if the checksum fields met on
 * the way, right or wrong for their bytes, are together those the body checksum was made of: then every place, and so
 * every LSN, is proven.
 *
 * @throws RecordError `RECORD_ARGUMENT` for a wrong block size or a place outside the bytes.
 */
export function* intactRecords(
  bytes: Uint8Array,
  at: number,
  header: FrameHeader,
  blockBytes: number,
): Generator<LogRecord, void, undefined> {
  requireBlockBytes(blockBytes);
  // Compressed or encrypted, a frame is right as a whole or not at all.
  if (header.packed !== undefined) return;
  if (!(at >= 0 && at + FRAME_HEADER_BYTES <= bytes.length)) {
    throw new RecordError("RECORD_ARGUMENT", `no frame header at ${at} in ${bytes.length} bytes`);
  }
  const end = Math.min(at + header.length, bytes.length);
  if (!isUnmasked(header)) {
    // In a copy, as a search for frames must not meet what a payload holds. Rare, and no larger than what is there.
    bytes = copyBytes(bytes, at, end);
    at = 0;
    toggleMask(viewOf(bytes), 0, bytes.length, header.boundaryMask);
  }
  const view = viewOf(bytes);
  const limit = Math.min(at + header.length, bytes.length);
  const source = { bytes, view, firstLsn: header.firstLsn, time: header.time };
  let proven: boolean | undefined;
  let record = at + FRAME_HEADER_BYTES;
  for (let i = 0; i < header.recordCount; i++) {
    const next = recordEnd(bytes, view, record, limit);
    if (next === -1) return;
    if (view.getUint32(record, true) === crc32c(bytes, record + 4, next)) {
      yield new LogRecord(source, record, i);
    } else {
      proven ??= placesAreProven(bytes, view, at, header, blockBytes);
      if (!proven) return;
    }
    record = next;
  }
}

/** Do the checksum fields met by walking the lengths, and the padding that belongs behind, give the body checksum? */
function placesAreProven(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  header: FrameHeader,
  blockBytes: number,
): boolean {
  const end = at + header.length;
  if (end > bytes.length) return false;
  const sums = new Uint32Array(header.recordCount + 1);
  let record = at + FRAME_HEADER_BYTES;
  for (let i = 0; i < header.recordCount; i++) {
    const next = recordEnd(bytes, view, record, end);
    if (next === -1) return false;
    sums[i] = view.getUint32(record, true);
    record = next;
  }
  // Of the zeros that belong there, not of what is: damage to the padding takes no record with it.
  sums[header.recordCount] = crc32c(
    new Uint8Array(paddedFrameBytes(header.length, blockBytes) - header.length),
  );
  return crc32cWords(sums, 0, sums.length) === header.bodyChecksum;
}
