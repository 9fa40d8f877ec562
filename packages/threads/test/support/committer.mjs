// A worker that commits numbered records and notes in shared memory which of them were acknowledged.
import { parentPort, workerData } from "node:worker_threads";
import { attachLog } from "@stonewal/threads";

const { link, worker, count, ledger, inFlight = 8, batch = 1, pad = 0 } = workerData;
/** One word for each record: its LSN once it is acknowledged. */
const acknowledged = new Int32Array(ledger);
const log = attachLog(link);

function payload(number) {
  const bytes = new Uint8Array(8 + ((number * 37) % (pad + 1))).fill(number);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, worker);
  view.setUint32(4, number);
  return bytes;
}

let next = 0;

async function committer() {
  while (next < count) {
    const number = next;
    next += batch;
    if (batch === 1) {
      const lsn = await log.commit({ payload: payload(number), shard: worker, tenant: number });
      Atomics.store(acknowledged, number, lsn);
    } else {
      const records = Array.from({ length: batch }, (_, index) => ({ payload: payload(number + index) }));
      const { firstLsn } = await log.commitBatch(records);
      for (let index = 0; index < batch; index += 1)
        Atomics.store(acknowledged, number + index, firstLsn + index);
    }
  }
}

try {
  await Promise.all(Array.from({ length: inFlight }, committer));
  await log.close();
  parentPort.postMessage({ done: true });
} catch (error) {
  parentPort.postMessage({ name: error.name, code: error.code, message: error.message });
}
