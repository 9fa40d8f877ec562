// A process that opens the log in argv[2] for writing, says how long that took, and closes it.
import { openWal } from "stonewal";
import type { Opened } from "./experiments/opening.js";

const [dir] = process.argv.slice(2);
if (dir === undefined) throw new Error("opener DIRECTORY");
const start = performance.now();
const wal = await openWal({ dir });
const opened: Opened = {
  milliseconds: performance.now() - start,
  // Kilobytes.
  maxRssMiB: process.resourceUsage().maxRSS / 1024,
};
await wal.close();
process.send?.(opened);
process.disconnect?.();
