import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Bench, type Experiment, runCase, withStores } from "../experiment.js";
import { FLOOR_UNDER_ARRIVALS, FLOOR_WITH_DWB_UNDER_ARRIVALS } from "../floor.js";
import { Latencies } from "../latencies.js";
import { payloadsOf } from "../payloads.js";
import { processCounters, usedSince } from "../process-counters.js";
import type { CaseResult } from "../results.js";
import type { Round, Side } from "../round.js";
import { groupingFile } from "../stores/file.js";
import { lmdb } from "../stores/lmdb.js";
import { IO_PWRITE, logs, STONEWAL, StonewalStore, stonewal, WITHOUT_DWB } from "../stores/stonewal.js";
import type { Store } from "../stores/store.js";

const PAYLOAD_BYTES = 100;
const RATES = [1000, 10_000, 100_000];

/** Commits that arrive at a fixed rate, whether the store keeps up or not: what waits is late, and counts as late. */
export const arrivals: Experiment = {
  name: "arrivals",
  title: "records of 100 B arriving at a fixed rate, latency from the moment each was due",
  run: (bench) => {
    const kinds = [...logs, stonewal(IO_PWRITE, { io: "pwrite" }), groupingFile, lmdb];
    return withStores(bench, kinds, (stores) => cases(bench, stores));
  },
};

async function* cases(bench: Bench, stores: readonly Store[]): AsyncGenerator<CaseResult> {
  for (const perSecond of RATES) {
    const sides: Side[] = stores.map((store) => ({
      name: store.name,
      round: () => arrivalRound(store, perSecond, bench.plan.arrivalMs),
    }));
    const [log, withDwb] = [WITHOUT_DWB, STONEWAL].map((name) => stores.find((store) => store.name === name));
    if (log instanceof StonewalStore) {
      // Its latency at no load: it waits for its own writes and for nothing else.
      sides.push(bench.floor.commits(log, { records: 1, payloadBytes: PAYLOAD_BYTES }));
      sides.push(bench.floor.arrivals(log, perSecond, FLOOR_UNDER_ARRIVALS));
    }
    if (withDwb instanceof StonewalStore) {
      sides.push(bench.floor.arrivals(withDwb, perSecond, FLOOR_WITH_DWB_UNDER_ARRIVALS));
    }
    yield await runCase(
      bench,
      {
        experiment: "arrivals",
        name: `${perSecond.toLocaleString("en-US")}/s`,
        parameters: { perSecond, payloadBytes: PAYLOAD_BYTES },
      },
      sides,
    );
  }
}

async function arrivalRound(store: Store, perSecond: number, milliseconds: number): Promise<Round> {
  const payloads = payloadsOf(PAYLOAD_BYTES);
  const total = Math.max(1, Math.round((perSecond * milliseconds) / 1000));
  const betweenMs = 1000 / perSecond;
  const latencies = new Latencies();
  await store.beginRound?.();
  const before = await processCounters();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  await new Promise<void>((resolve, reject) => {
    let arrived = 0;
    const commit = (due: number) => {
      Promise.resolve(store.commit(payloads())).then(() => {
        latencies.add(performance.now() - due);
        if (latencies.count === total) resolve();
      }, reject);
    };
    // Looks at the clock at every turn of the event loop: a timer's millisecond would be too coarse.
    const arrive = () => {
      const dueByNow = Math.min(total, Math.floor((performance.now() - start) / betweenMs) + 1);
      for (; arrived < dueByNow; arrived += 1) commit(start + arrived * betweenMs);
      if (arrived < total) setImmediate(arrive);
    };
    arrive();
  });
  const took = performance.now() - start;
  delay.disable();
  const after = await processCounters();
  const own = store.endRound?.();
  return {
    figures: {
      perSecond: (total / took) * 1000,
      p50Us: latencies.quantileUs(0.5) as number,
      p99Us: latencies.quantileUs(0.99) as number,
      loopDelayP99Ms: delay.percentile(99) / 1e6,
      ...usedSince(before, after, total, PAYLOAD_BYTES),
      ...own,
    },
    latencies,
  };
}
