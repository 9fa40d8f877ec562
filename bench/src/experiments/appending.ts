import { type Bench, type Experiment, runCase, withStores } from "../experiment.js";
import { payloadsOf } from "../payloads.js";
import { processCounters, usedSince } from "../process-counters.js";
import type { Round, Side } from "../round.js";
import { StonewalStore, stonewal } from "../stores/stonewal.js";

const MIB = 1024 * 1024;
const PAYLOAD_BYTES = 100;

/** Room for everything that one round appends: this is about the thread that appends, not about the disk. */
const LOG = stonewal("stonewal", { bufferBytes: 256 * MIB });

/** What a thread can append while the disk doesn't matter. */
export const appending: Experiment = {
  name: "appending",
  title: "records of 100 B appended into memory, one thread, nobody waits",
  run: (bench: Bench) =>
    withStores(bench, [LOG], async function* ([log]) {
      if (!(log instanceof StonewalStore)) return;
      const { appends } = bench.plan;
      const sides: Side[] = [
        {
          name: "append",
          round: () => appendRound(log, appends, (payload) => void log.wal.append({ payload })),
        },
        { name: "commit", round: () => appendRound(log, appends, commitUnawaited(log)) },
      ];
      yield await runCase(
        bench,
        {
          experiment: "appending",
          name: "append without waiting",
          parameters: { records: appends, payloadBytes: PAYLOAD_BYTES },
        },
        sides,
      );
    }),
};

/** Everybody has a promise, and waits for it only when all are given. */
function commitUnawaited(log: StonewalStore): (payload: Uint8Array) => void {
  const fail = (error: unknown) => {
    throw error;
  };
  return (payload) => {
    log.commit(payload).catch(fail);
  };
}

async function appendRound(
  log: StonewalStore,
  records: number,
  append: (payload: Uint8Array) => void,
): Promise<Round> {
  const payloads = payloadsOf(PAYLOAD_BYTES);
  await log.freshSegment();
  const before = await processCounters();
  const start = performance.now();
  for (let count = 0; count < records; count += 1) append(payloads());
  const milliseconds = performance.now() - start;
  const { cpuUsPerRecord } = usedSince(before, await processCounters(), records, PAYLOAD_BYTES);
  await log.wal.sync();
  const perSecond = (records / milliseconds) * 1000;
  return { figures: { perSecond, bytesPerSecond: perSecond * PAYLOAD_BYTES, cpuUsPerRecord } };
}
