import { Latencies } from "./latencies.js";
import { payloadsOf } from "./payloads.js";
import { processCounters, usedSince } from "./process-counters.js";
import type { Figures, Round, RoundLimits, Side } from "./round.js";
import type { Store } from "./stores/store.js";

/** What is committed, and by how many at a time. */
export interface Workload {
  /** How many commit, each again as soon as its commit is durable. */
  readonly committers: number;
  readonly payloadBytes: number;
  /** How many records a committer makes durable together; default 1. */
  readonly bulk?: number;
}

/** Commits to a store as fast as it answers. */
export function closedLoop(store: Store, workload: Workload): Side {
  return { name: store.name, round: (limits) => commitRound(store, workload, limits) };
}

async function commitRound(
  store: Store,
  { committers, payloadBytes, bulk }: Workload,
  limits: RoundLimits,
): Promise<Round> {
  const payloads = payloadsOf(payloadBytes);
  const perCommit = bulk ?? 1;
  const latencies = new Latencies();
  const commit = bulk === undefined ? () => store.commit(payloads()) : () => store.bulk(payloads, bulk);
  await store.beginRound?.();
  const before = await processCounters();
  let over = false;
  const start = performance.now();
  const committer = async (index: number) => {
    for (let last = start; !over; ) {
      await commit();
      const now = performance.now();
      latencies.add(now - last);
      last = now;
      // Decided by the first alone, for all: else the last trip to the disk would carry only some of them.
      if (index > 0) continue;
      const bytes = latencies.count * perCommit * payloadBytes;
      over = now - start >= limits.milliseconds || bytes >= limits.bytes;
    }
  };
  await Promise.all(Array.from({ length: committers }, (_, index) => committer(index)));
  const milliseconds = performance.now() - start;
  const after = await processCounters();
  const own = store.endRound?.();

  const records = latencies.count * perCommit;
  const figures: Figures = {
    perSecond: (records / milliseconds) * 1000,
    bytesPerSecond: ((records * payloadBytes) / milliseconds) * 1000,
    p50Us: latencies.quantileUs(0.5) as number,
  };
  return { figures: { ...figures, ...usedSince(before, after, records, payloadBytes), ...own }, latencies };
}
