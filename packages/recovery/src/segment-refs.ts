import type { Examination } from "./examine.js";
import type { LogView, SegmentRef } from "./model.js";

/** What was examined, as something to read from: with the images that nobody has written home. */
export function refsOf(found: Examination): SegmentRef[] {
  return found.segments.map(({ walked, restores }) => ({
    sequence: walked.file.sequence,
    path: walked.file.path,
    preamble: walked.preamble,
    overlay: restores.map(({ offset, bytes }) => ({ offset, bytes })),
  }));
}

/** The readable part of a log as it was found. */
export function viewOf(found: Examination, live: boolean): LogView {
  const refs = refsOf(found);
  const { frameNumber, nextLsn } = found.position;
  const durable = live ? found.durable.point : { lsn: nextLsn - 1, frameNumber: frameNumber - 1 };
  return {
    logId: new Uint8Array(16),
    blockBytes: 0,
    keys: found.keys,
    segments: () => refs,
    durable: () => durable,
    trimLsn: () => found.trimLsn,
    changed: () => Promise.resolve(),
    closed: () => false,
  };
}
