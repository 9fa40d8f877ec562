// The child that is killed: opens the log, goes on with the file where the log ends, and tells its parent of every attempt and of
// every acknowledgement, in that order, until the file is in the log.
import { performance } from "node:perf_hooks";
import { openWal, type Wal } from "stonewal";
import { tell } from "./messages.js";
import { readRecords } from "./records.js";
import type { AppenderSettings } from "./settings.js";

const { file, committers, ...options } = JSON.parse(process.argv[2] as string) as AppenderSettings;

tell({ kind: "opening" });
const wal = await openWal(options);
const { fileSystem } = await wal.io.probe(wal.directory);
const recovered = wal.nextLsn - 1;
tell({
  kind: "opened",
  io: wal.io.name,
  direct: wal.direct,
  dwb: wal.protection === "off" ? "off" : (options.dwb ?? (wal.direct ? "direct" : "buffered")),
  fileSystem,
  recovered,
  restoredFrames: wal.recovery?.restored.length ?? 0,
  tornBytes: wal.recovery?.tornTail?.bytes ?? 0,
});

const tellWritten = oncePerTurn(() => {
  const { segmentBytesWritten, dwbBytesWritten, preparedBytes } = wal.stats();
  tell({
    kind: "written",
    segmentBytes: segmentBytesWritten,
    dwbBytes: dwbBytesWritten,
    preparedBytes,
  });
});

// Each committer takes the next record when its last one is acknowledged, so up to `committers` of them share a flush.
const records = remainingRecords(recovered);
await Promise.all(Array.from({ length: committers }, () => commitNext(wal)));
await wal.close();
tellWritten.now();
tell({ kind: "finished" });

async function commitNext(log: Wal): Promise<void> {
  for (;;) {
    const { value, done } = await records.next();
    if (done) return;
    const { record, payload } = value;
    tell({ kind: "attempt", record });
    const start = performance.now();
    const lsn = await log.commit({ payload });
    const microseconds = Math.max(1, Math.round((performance.now() - start) * 1000));
    if (lsn !== record) throw new Error(`record ${record} of the file was given LSN ${lsn}`);
    tell({ kind: "acknowledged", record, microseconds });
    tellWritten();
  }
}

async function* remainingRecords(present: number) {
  let record = 0;
  for await (const payload of readRecords(file)) {
    record += 1;
    if (record > present) yield { record, payload };
  }
}

function oncePerTurn(work: () => void): (() => void) & { now(): void } {
  let due = false;
  const schedule = () => {
    if (due) return;
    due = true;
    setImmediate(() => {
      due = false;
      work();
    });
  };
  return Object.assign(schedule, { now: work });
}
