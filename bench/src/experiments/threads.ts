import { createHash } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { SharedLog } from "stonewal/threads";
import { type Bench, type Experiment, runCase, withStores } from "../experiment.js";
import { Latencies } from "../latencies.js";
import { processCounters, usedSince } from "../process-counters.js";
import type { CaseResult } from "../results.js";
import type { Round, RoundLimits, Side } from "../round.js";
import { STONEWAL, StonewalStore, stonewal } from "../stores/stonewal.js";

const PAYLOAD_BYTES = 100;
const COMMITTERS = 64;
const WORKERS = [1, 2, 4];

const WORKLOADS = [
  { name: "records that are there", hashedBytes: 0 },
  { name: "records that take a hash of 16 KiB to make", hashedBytes: 16 * 1024 },
];

/** What a thread is asked for. */
export interface ThreadRound {
  readonly milliseconds: number;
  readonly committers: number;
  readonly payloadBytes: number;
  /** How much is hashed to make a record. */
  readonly hashedBytes: number;
}

/** What it answers: how long each of its commits took, in milliseconds. */
export type ThreadLatencies = Float64Array;

/** Makes a record, and commits it, again and again, from `committers` places at a time. */
export async function commitFromThread(
  commit: (payload: Uint8Array) => Promise<unknown>,
  { milliseconds, committers, payloadBytes, hashedBytes }: ThreadRound,
): Promise<ThreadLatencies> {
  const payload = Buffer.alloc(payloadBytes, "stonewal");
  const hashed = Buffer.alloc(hashedBytes, "stonewal");
  const latencies = new Latencies();
  const start = performance.now();
  const committer = async () => {
    for (let last = start; last - start < milliseconds; ) {
      if (hashedBytes > 0) payload.set(createHash("sha256").update(hashed).digest());
      await commit(payload);
      const now = performance.now();
      latencies.add(now - last);
      last = now;
    }
  };
  await Promise.all(Array.from({ length: committers }, committer));
  return latencies.milliseconds();
}

/** The same committers on the thread that owns the log, and spread over workers that share it. */
export const threads: Experiment = {
  name: "threads",
  title: "64 committers of 100 B, on the log's own thread and on workers",
  run: (bench) =>
    withStores(bench, [stonewal(STONEWAL, {})], async function* ([log]) {
      if (!(log instanceof StonewalStore)) return;
      const shared = new SharedLog(log.wal);
      const crews: Worker[][] = [];
      try {
        for (const count of WORKERS) {
          crews.push(await Promise.all(Array.from({ length: count }, () => startWorker(shared))));
        }
        yield* cases(bench, log, crews);
      } finally {
        await Promise.all(crews.flat().map((worker) => worker.terminate()));
        await shared.close();
      }
    }),
};

async function* cases(
  bench: Bench,
  log: StonewalStore,
  crews: readonly (readonly Worker[])[],
): AsyncGenerator<CaseResult> {
  for (const { name, hashedBytes } of WORKLOADS) {
    const work = { payloadBytes: PAYLOAD_BYTES, hashedBytes };
    const alone: Side = {
      name: "the log's own thread",
      round: (limits) =>
        threadsRound(log, limits, async ({ milliseconds }) => [
          await commitFromThread((payload) => log.commit(payload), {
            ...work,
            milliseconds,
            committers: COMMITTERS,
          }),
        ]),
    };
    const shared = crews.map(
      (crew): Side => ({
        name: crew.length === 1 ? "1 worker" : `${crew.length} workers`,
        round: (limits) =>
          threadsRound(log, limits, ({ milliseconds }) =>
            Promise.all(
              crew.map((worker) =>
                ask(worker, { ...work, milliseconds, committers: COMMITTERS / crew.length }),
              ),
            ),
          ),
      }),
    );
    const parameters = { committers: COMMITTERS, payloadBytes: PAYLOAD_BYTES };
    yield await runCase(bench, { experiment: "threads", name, parameters }, [alone, ...shared]);
  }
}

async function threadsRound(
  log: StonewalStore,
  limits: RoundLimits,
  run: (limits: RoundLimits) => Promise<ThreadLatencies[]>,
): Promise<Round> {
  await log.beginRound();
  const before = await processCounters();
  const start = performance.now();
  const each = await run(limits);
  const milliseconds = performance.now() - start;
  const after = await processCounters();
  const own = log.endRound();
  const latencies = new Latencies();
  for (const thread of each) for (const latency of thread) latencies.add(latency);
  const used = usedSince(before, after, latencies.count, PAYLOAD_BYTES);
  const perSecond = (latencies.count / milliseconds) * 1000;
  return { figures: { perSecond, p50Us: latencies.quantileUs(0.5) as number, ...used, ...own }, latencies };
}

async function startWorker(shared: SharedLog): Promise<Worker> {
  const link = shared.link();
  // From where it was built: a thread of its own runs no TypeScript.
  const program = fileURLToPath(new URL("../../dist/committing-thread.js", import.meta.url));
  const worker = new Worker(program, { workerData: link, transferList: [link.port] });
  await once(worker, "message");
  return worker;
}

async function ask(worker: Worker, round: ThreadRound): Promise<ThreadLatencies> {
  worker.postMessage(round);
  const [latencies] = (await once(worker, "message")) as [ThreadLatencies];
  return latencies;
}
