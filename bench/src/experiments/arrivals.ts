import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Bench, type Experiment, runCase, withStores } from "../experiment.js";
import { FLOOR_UNDER_ARRIVALS, FLOOR_WITH_DWB_UNDER_ARRIVALS } from "../floor.js";
import { Latencies } from "../latencies.js";
import { busyThread, type Load, requests, type Server } from "../loads.js";
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
export const arrivals = offered(
  "arrivals",
  "records of 100 B arriving at a fixed rate on a busy thread, latency from the moment each was due",
  busyThread,
);

/** The same on a thread that sleeps until something comes, as a server's does. */
export const requested = offered(
  "requests",
  "records of 100 B asked for at a fixed rate by another process, latency from the moment each was due",
  requests,
);

function offered(name: string, title: string, load: Load): Experiment {
  return {
    name,
    title,
    run: (bench) => {
      const kinds = [...logs, stonewal(IO_PWRITE, { io: "pwrite" }), groupingFile, lmdb];
      return withStores(bench, kinds, (stores) => cases(bench, name, load, stores));
    },
  };
}

async function* cases(
  bench: Bench,
  experiment: string,
  load: Load,
  stores: readonly Store[],
): AsyncGenerator<CaseResult> {
  const payloads = payloadsOf(PAYLOAD_BYTES);
  for (const perSecond of RATES) {
    const sides: Side[] = stores.map((store) => ({
      name: store.name,
      round: () => arrivalRound(store, payloads, perSecond, load, bench),
    }));
    const { tickMs } = load;
    const [log, withDwb] = [WITHOUT_DWB, STONEWAL].map((name) => stores.find((store) => store.name === name));
    if (log instanceof StonewalStore) {
      // Its latency at no load: it waits for its own writes and for nothing else.
      sides.push(bench.floor.commits(log, { records: 1, payloadBytes: PAYLOAD_BYTES }));
      sides.push(bench.floor.arrivals(log, { perSecond, tickMs, name: FLOOR_UNDER_ARRIVALS }));
    }
    if (withDwb instanceof StonewalStore) {
      sides.push(bench.floor.arrivals(withDwb, { perSecond, tickMs, name: FLOOR_WITH_DWB_UNDER_ARRIVALS }));
    }
    yield await runCase(
      bench,
      {
        experiment,
        name: `${perSecond.toLocaleString("en-US")}/s`,
        parameters: { perSecond, payloadBytes: PAYLOAD_BYTES },
      },
      sides,
    );
  }
}

async function arrivalRound(
  store: Store,
  payloads: () => Uint8Array,
  perSecond: number,
  load: Load,
  { plan, directory }: Bench,
): Promise<Round> {
  const total = Math.max(1, Math.round((perSecond * plan.arrivalMs) / 1000));
  const server = new CommittingServer(store, payloads, total);
  await store.beginRound?.();
  const ready = await load.prepare({ perSecond, total }, directory);
  const before = await processCounters();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  let took: number;
  try {
    ready.begin(server);
    await server.done;
    took = performance.now() - start;
  } finally {
    await ready.end();
  }
  delay.disable();
  const after = await processCounters();
  const own = store.endRound?.();
  const { latencies } = server;
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

/** Commits what arrives. Methods for the reason that loads.ts gives. */
class CommittingServer implements Server {
  readonly latencies = new Latencies();
  /** When so many are durable. */
  readonly done: Promise<void>;
  readonly #store: Store;
  readonly #payloads: () => Uint8Array;
  readonly #total: number;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor(store: Store, payloads: () => Uint8Array, total: number) {
    this.#store = store;
    this.#payloads = payloads;
    this.#total = total;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  arrive(due: number): void {
    void this.#commit(due);
  }

  fail(error: unknown): void {
    this.#reject(error);
  }

  async #commit(due: number): Promise<void> {
    try {
      await this.#store.commit(this.#payloads());
      this.latencies.add(performance.now() - due);
      if (this.latencies.count === this.#total) this.#resolve();
    } catch (error) {
      this.#reject(error);
    }
  }
}
