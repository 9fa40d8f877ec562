// A process that fills the log in argv[2], with segments of argv[4] bytes, up to argv[3] bytes, says so, and commits until it is killed.
import { openWal } from "stonewal";
import type { Filled } from "./experiments/opening.js";
import { segmentFiles } from "./segment-files.js";

const payload = Buffer.alloc(1024, "stonewal");
/** A chain of a group commit: 64 KiB in a frame. */
const COMMITTERS = 64;

const [dir, ...sizes] = process.argv.slice(2);
if (dir === undefined || sizes.length !== 2) throw new Error("killed-writer DIRECTORY BYTES SEGMENT_BYTES");
const [logBytes, segmentBytes] = sizes.map(Number) as [number, number];
const wal = await openWal({ dir, segmentBytes });
// What earlier processes wrote, to the segment.
const full = (await segmentFiles(dir)).length - 1;
const before = full * segmentBytes;
let said = false;
for (;;) {
  await Promise.all(Array.from({ length: COMMITTERS }, () => wal.commit({ payload })));
  if (said || before + wal.stats().segmentBytesWritten < logBytes) continue;
  said = true;
  const filled: Filled = { logBytes, direct: wal.direct };
  process.send?.(filled);
}
