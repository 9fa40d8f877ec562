import type { FrameHeader } from "@stonewal/record";
import type { Examination } from "./examine.js";
import type { FramePlace, RecoveryReport, SavedAside, TornTail } from "./model.js";

export function placeOf(file: string, header: FrameHeader): FramePlace {
  const { sequence, offset, frameNumber, firstLsn, nextLsn } = header;
  return { file, sequence, offset, frameNumber, firstLsn, lastLsn: nextLsn - 1 };
}

/** The interrupted write behind the end, if one is proven. */
export function tornTailOf(found: Examination): TornTail | undefined {
  const { tear } = found;
  if (tear === undefined || !tear.torn) return undefined;
  return {
    file: tear.path,
    offset: tear.offset,
    bytes: tear.clear.reduce((sum, [from, to]) => sum + to - from, 0),
    frames: tear.frames.map((header) => placeOf(tear.path, header)),
  };
}

/** Names of files that belong to the log no more, and that opening for writing removes. A spare without a size is there no more. */
export function superfluous(found: Examination, spareBytes: ReadonlyMap<string, number>): string[] {
  const segmentBytes = found.segments.at(-1)?.walked.preamble.segmentBytes;
  const spares = found.listing.spares.filter(({ name, unfinished }) => {
    const bytes = spareBytes.get(name);
    return unfinished || (bytes !== undefined && bytes !== segmentBytes);
  });
  return [...found.walk.voids, ...spares].map((file) => file.name);
}

export function reportOf(
  found: Examination,
  removed: readonly string[],
  aside: readonly SavedAside[] | undefined,
): RecoveryReport {
  const tornTail = tornTailOf(found);
  const lastLsn = found.position.nextLsn - 1;
  return {
    firstLsn: found.firstLsn,
    lastLsn,
    records: lastLsn - found.firstLsn + 1,
    segments: found.segments.length,
    frames: found.frames,
    closedCleanly: found.closedCleanly,
    restored: found.restores.map((restore) => placeOf(restore.path, restore.header)),
    repaired: [...found.repairable, ...found.interrupted],
    tornTail,
    aside: aside ?? tornTail?.frames ?? [],
    removed,
  };
}
