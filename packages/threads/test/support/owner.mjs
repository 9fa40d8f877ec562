// A process that lends its log to three workers and prints what they were told is durable, until it is killed.
import { Worker } from "node:worker_threads";
import { pwrite } from "@stonewal/io-pwrite";
import { SharedLog } from "@stonewal/threads";
import { openLog } from "@stonewal/writer";

const [, , directory] = process.argv;
const wal = await openLog({
  io: pwrite(),
  directory,
  segmentBytes: 1024 * 1024,
  frameBytes: 65_536,
  bufferBytes: 262_144,
});
const shared = new SharedLog(wal);
const first = wal.nextLsn;
for (let number = 0; number < 3; number += 1) {
  const link = shared.link({ ringBytes: 65_536 });
  new Worker(new URL("./teller.mjs", import.meta.url), {
    workerData: { link, worker: number, first },
    transferList: [link.port],
  });
}
