// A worker that owns a log and lends it to the thread that started it.
import { parentPort, workerData } from "node:worker_threads";
import { pwrite } from "@stonewal/io-pwrite";
import { SharedLog } from "@stonewal/threads";
import { openLog } from "@stonewal/writer";

const wal = await openLog({ io: pwrite(), directory: workerData });
const link = new SharedLog(wal).link({ ringBytes: 65_536 });
parentPort.postMessage(link, [link.port]);
setInterval(() => undefined, 1000);
