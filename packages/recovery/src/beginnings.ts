import { IoError } from "@stonewal/io";
import { type Anchor, FRAMES_START, type Preamble } from "@stonewal/record";
import { readPreambles } from "./copies.js";
import { type SegmentFile, sameBytes } from "./directory.js";
import { type DiskAccess, openDisk, SMALLEST_BLOCK } from "./disk.js";
import { headerOf } from "./frame-scan.js";

/** What a file with a segment's name says of itself, however damaged it is. */
export interface Beginning {
  readonly file: SegmentFile;
  readonly size: number;
  /** One of the sequence in the file's name, and of this log where that is known. */
  readonly preamble: Preamble | undefined;
  /** Where the preamble is damaged its first frame may still tell; `undefined` where nothing does. */
  readonly firstLsn: number | undefined;
}

/** Of the files that are there, by sequence. A name alone is not believed: anybody can give one to a file. */
export async function readBeginnings(
  access: DiskAccess,
  files: readonly SegmentFile[],
  logId: Uint8Array | undefined,
): Promise<Beginning[]> {
  const beginnings: Beginning[] = [];
  for (const file of files) {
    try {
      const beginning = await readBeginning(access, file, logId);
      beginnings.push(beginning);
    } catch (error) {
      if (!(error instanceof IoError && error.code === "IO_NOT_FOUND")) throw error;
    }
  }
  return beginnings;
}

async function readBeginning(
  access: DiskAccess,
  file: SegmentFile,
  logId: Uint8Array | undefined,
): Promise<Beginning> {
  const disk = await openDisk(access, file.path);
  try {
    const copies = await readPreambles(disk);
    const preamble = copies
      .map((copy) => copy.value)
      .find(
        (value) =>
          value?.sequence === file.sequence && (logId === undefined || sameBytes(value.logId, logId)),
      );
    const { size } = disk;
    if (preamble !== undefined || logId === undefined)
      return { file, size, preamble, firstLsn: preamble?.firstLsn };
    const arena = disk.arena(SMALLEST_BLOCK);
    const { length } = await disk.read(arena, FRAMES_START, SMALLEST_BLOCK);
    const segment = { logId, sequence: file.sequence };
    const header = headerOf(file.path, arena.bytes.subarray(0, length), 0, segment, FRAMES_START);
    return { file, size, preamble, firstLsn: header?.firstLsn };
  } finally {
    await disk.close();
  }
}

/**
 * The last LSN that may count in the segments up to `sequence`. When a later one got its name, the log went on behind what that begins with,
 * and whatever it leaves behind of higher LSNs had been cut away: so that holds whether or not that segment has been cut away itself since.
 * Of one that is gone the anchor, written when it had its name, knows no more than an LSN which it does not begin behind.
 */
export function lastLsnUpTo(
  sequence: number,
  beginnings: readonly Beginning[],
  anchor: Anchor | undefined,
): number {
  const later = beginnings.filter(({ file }) => file.sequence > sequence);
  const stated = later.map(({ firstLsn }) => (firstLsn ?? Number.MAX_SAFE_INTEGER) - 1);
  // One that does not call all frames before durable is not of that time.
  const frames = beginnings.map(({ preamble }) => preamble?.firstFrameNumber ?? 0);
  if (
    anchor !== undefined &&
    anchor.sequence > sequence &&
    frames.every((first) => first <= anchor.watermark)
  ) {
    stated.push(anchor.durableLsn);
  }
  return Math.min(Number.MAX_SAFE_INTEGER, ...stated);
}
