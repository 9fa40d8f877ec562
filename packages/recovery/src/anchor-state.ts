import { type Anchor, encodeAnchor, type FrameHeader, PREAMBLE_COPY_OFFSET } from "@stonewal/record";
import type { AnchorFile, Copy } from "./copies.js";
import type { Corruption } from "./model.js";
import type { Problem, Walk } from "./walk.js";

export interface AnchorVerdict {
  readonly problem: Problem | undefined;
  readonly repairable: readonly Corruption[];
  /** Copies whose last write was interrupted: mended like damage, and none. */
  readonly interrupted: readonly Corruption[];
}

/** What the state of the anchor means, given what the segments say. */
export function judgeAnchor(
  file: AnchorFile,
  walk: Walk,
  log: {
    readonly lastFrame: FrameHeader | undefined;
    readonly records: number;
    readonly closedCleanly: boolean;
  },
): AnchorVerdict {
  const { copies, path, anchor } = file;
  if (anchor !== undefined && copies !== "absent") {
    const repairable: Corruption[] = [];
    const interrupted: Corruption[] = [];
    for (const [i, copy] of copies.entries()) {
      if (copy.state === "intact") continue;
      const other = copies[1 - i]!.value;
      const shownByOther = log.closedCleanly && other?.generation === anchor.generation;
      const torn = mayBeTorn(anchor, copy, i, shownByOther);
      (torn ? interrupted : repairable).push(copyEntry(path, copy, i));
    }
    return { problem: undefined, repairable, interrupted };
  }
  const unreadable = copies !== "absent" && copies.some((copy) => copy.state === "unreadable");
  if (unreadable) {
    const message = `${path}: the device can read no intact copy of the anchor`;
    return {
      problem: { code: "WAL_UNREADABLE", message, details: { file: path } },
      repairable: [],
      interrupted: [],
    };
  }
  // The anchor is first written when the first segment has its name, so until it has been, the log is one segment
  // that begins at the beginning, and nothing has been trimmed.
  const wholeLog = walk.problems.length === 0 && walk.run[0]?.preamble.previousSequence === 0;
  const empty = walk.run.length === 1 && log.records === 0;
  const garbled = copies !== "absent" && copies.some((copy) => copy.state === "damaged");
  if (garbled && !(wholeLog && empty)) {
    const message = `${path}: neither copy of the anchor is intact`;
    return {
      problem: { code: "WAL_CORRUPT", message, details: { file: path, offset: 0 } },
      repairable: [],
      interrupted: [],
    };
  }
  // A missing anchor loses the trim point, which matters only where the segments do not begin at the beginning; that
  // is found by the walk. A log that got this far had one.
  const expected = walk.run.length > 1 || log.lastFrame?.kind === "close";
  const message = `${path}: the anchor is missing`;
  const entry: Corruption = { code: "WAL_CORRUPT", message, file: path, offset: 0, repairable: true };
  return { problem: undefined, repairable: expected ? [entry] : [], interrupted: [] };
}

/** More than this is not the work of rot, but may be of a sector that was torn. */
const ROT_BYTES = 8;

/**
 * Whether an ordinary crash can have left a copy so. The copies are written one after the other: once a log that was closed shows, by the
 * other copy (`shownByOther`), that its last anchor was written, only the second copy can have been in flight. What was in flight is a
 * sector in disorder, not a few bits; damage behind the first block, or that the device can't read, never was.
 */
function mayBeTorn(anchor: Anchor, copy: Copy<Anchor>, index: number, shownByOther: boolean): boolean {
  const at = index * PREAMBLE_COPY_OFFSET;
  if (copy.state === "unreadable") return false;
  if (copy.state === "untidy" && copy.offset >= at + copy.head.length) return false;
  if (!shownByOther) return true;
  if (index === 0) return false;
  const whole = encodeAnchor(anchor).subarray(at, at + copy.head.length);
  return whole.reduce((count, byte, i) => count + (byte === copy.head[i] ? 0 : 1), 0) > ROT_BYTES;
}

function copyEntry(path: string, copy: Copy<unknown>, index: number): Corruption {
  const code = copy.state === "unreadable" ? "WAL_UNREADABLE" : "WAL_CORRUPT";
  const message = `${path} at ${copy.offset}: copy ${index + 1} of the anchor is ${copy.state}`;
  return { code, message, file: path, offset: copy.offset, repairable: true };
}
