// An appender that acknowledges every record when it is appended, and never waits for the disk.
import { writeSync } from "node:fs";
import { openWal } from "stonewal";
import { readRecords } from "../../dist/records.js";

const tell = (message) => writeSync(3, `${JSON.stringify(message)}\n`);
const { file, dir } = JSON.parse(process.argv[2]);

tell({ kind: "opening" });
const wal = await openWal({ dir, idleMs: 0, segmentBytes: 1 << 20 });
const recovered = wal.nextLsn - 1;
tell({
  kind: "opened",
  io: "pwrite",
  direct: true,
  dwb: "direct",
  fileSystem: "ext4",
  recovered,
  restoredFrames: 0,
  tornBytes: 0,
});
let record = 0;
for await (const payload of readRecords(file)) {
  record += 1;
  if (record <= recovered) continue;
  tell({ kind: "attempt", record });
  wal.append({ payload });
  tell({ kind: "acknowledged", record, microseconds: 1 });
}
// Until it is killed.
setInterval(() => {}, 1000);
