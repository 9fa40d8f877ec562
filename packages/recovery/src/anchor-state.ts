import type { FrameHeader } from "@stonewal/record";
import type { AnchorFile, Copy } from "./copies.js";
import type { Corruption } from "./model.js";
import type { Problem, Walk } from "./walk.js";

export interface AnchorVerdict {
  readonly problem: Problem | undefined;
  readonly repairable: readonly Corruption[];
}

/** What the state of the anchor means, given what the segments say. */
export function judgeAnchor(
  file: AnchorFile,
  walk: Walk,
  log: { readonly lastFrame: FrameHeader | undefined; readonly records: number },
): AnchorVerdict {
  const { copies, path } = file;
  if (file.anchor !== undefined && copies !== "absent") {
    return { problem: undefined, repairable: copies.flatMap((copy, i) => copyEntry(path, copy, i)) };
  }
  const unreadable = copies !== "absent" && copies.some((copy) => copy.state === "unreadable");
  if (unreadable) {
    const message = `${path}: the device can read no intact copy of the anchor`;
    return { problem: { code: "WAL_UNREADABLE", message, details: { file: path } }, repairable: [] };
  }
  // The anchor is first written when the first segment has its name, so until it has been, the log is one segment
  // that begins at the beginning, and nothing has been trimmed.
  const wholeLog = walk.problems.length === 0 && walk.run[0]?.preamble.previousSequence === 0;
  const empty = walk.run.length === 1 && log.records === 0;
  const garbled = copies !== "absent" && copies.some((copy) => copy.state === "damaged");
  if (garbled && !(wholeLog && empty)) {
    const message = `${path}: neither copy of the anchor is intact`;
    return { problem: { code: "WAL_CORRUPT", message, details: { file: path, offset: 0 } }, repairable: [] };
  }
  // A missing anchor loses the trim point, which matters only where the segments do not begin at the beginning; that
  // is found by the walk. A log that got this far had one.
  const expected = walk.run.length > 1 || log.lastFrame?.kind === "close";
  const message = `${path}: the anchor is missing`;
  const entry: Corruption = { code: "WAL_CORRUPT", message, file: path, offset: 0, repairable: true };
  return { problem: undefined, repairable: expected ? [entry] : [] };
}

function copyEntry(path: string, copy: Copy<unknown>, index: number): Corruption[] {
  if (copy.state === "intact") return [];
  const code = copy.state === "unreadable" ? "WAL_UNREADABLE" : "WAL_CORRUPT";
  const message = `${path} at ${copy.offset}: copy ${index + 1} of the anchor is ${copy.state}`;
  return [{ code, message, file: path, offset: copy.offset, repairable: true }];
}
