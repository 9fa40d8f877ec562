// A worker commits one record and does nothing else; nobody closes anything.
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { pwrite } from "@stonewal/io-pwrite";
import { attachLog, SharedLog } from "@stonewal/threads";
import { openLog } from "@stonewal/writer";

if (isMainThread) {
  const wal = await openLog({ io: pwrite(), directory: process.argv[2] });
  const link = new SharedLog(wal).link();
  const worker = new Worker(new URL(import.meta.url), { workerData: link, transferList: [link.port] });
  worker.once("exit", () => process.stdout.write("worker ended\n"));
} else {
  const log = attachLog(workerData);
  void log.commit({ payload: new Uint8Array(10) }).then((lsn) => process.stdout.write(`durable ${lsn}\n`));
}
