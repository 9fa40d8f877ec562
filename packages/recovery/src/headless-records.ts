import {
  decodeRecord,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  frameRecords,
  type LogRecord,
  RECORD_HEADER_BYTES,
  RecordError,
  recordBytes,
} from "@stonewal/record";
import type { DiskFile } from "./disk.js";

/** More than this is not read for a frame that nobody knows the length of. */
const LIMIT_BYTES = 1 << 26;

/**
 * The first records of a frame whose header is damaged. Its place and its first LSN are known from what precedes it, so each record
 * that is intact and follows directly on the one before has a known LSN; at the first that is not, they end. Not to be
 * asked of a recycled file: a record alone does not say which life of the file it is from.
 */
export async function headlessRecords(
  disk: DiskFile,
  offset: number,
  end: number,
  lsns: { readonly firstLsn: number; readonly lastLsn: number },
): Promise<LogRecord[]> {
  const arena = disk.arena(Math.min(end - offset, LIMIT_BYTES));
  const read = await disk.read(arena, offset, arena.bytes.length);
  const bytes = arena.bytes.subarray(0, read.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = FRAME_HEADER_BYTES;
  let recordCount = 0;
  while (lsns.firstLsn + recordCount <= lsns.lastLsn && at + RECORD_HEADER_BYTES <= bytes.length) {
    const next = at + recordBytes(view.getUint32(at + 4, true));
    if (next > bytes.length || !isRecord(bytes.subarray(at, next))) break;
    recordCount++;
    at = next;
  }
  if (recordCount === 0) return [];
  const header = {
    recordCount,
    length: at,
    firstLsn: lsns.firstLsn,
    time: 0,
    boundaryMask: 0n,
  } as FrameHeader;
  return [...frameRecords(bytes, 0, header)];
}

function isRecord(bytes: Uint8Array): boolean {
  try {
    decodeRecord(bytes);
    return true;
  } catch (error) {
    if (error instanceof RecordError) return false;
    throw error;
  }
}
