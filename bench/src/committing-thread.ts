// A worker thread that commits to the log it is lent, whenever it is asked to.
import { parentPort, workerData } from "node:worker_threads";
import { attachLog } from "stonewal/threads";
import { commitFromThread, type ThreadRound } from "./experiments/threads.js";

const log = attachLog(workerData);
parentPort?.on("message", (round: ThreadRound) => {
  void commitFromThread((payload) => log.commit({ payload }), round).then((latencies) =>
    parentPort?.postMessage(latencies, [latencies.buffer as ArrayBuffer]),
  );
});
parentPort?.postMessage("ready");
