import { payloadsOf } from "./payloads.js";
import { processCounters, usedSince } from "./process-counters.js";
import type { Figures, Side } from "./round.js";
import { StonewalStore } from "./stores/stonewal.js";
import type { Store } from "./stores/store.js";

/** Payloads of the records that are read back. */
export const REPLAYED_SIZES = [
  { name: "100 B", payloadBytes: 100 },
  { name: "4 KiB", payloadBytes: 4096 },
];

/** Records that are made durable together while a store is filled. */
export const BATCH = 1000;

/** Resolves to milliseconds. With what is prepared ahead, zeros too. */
export async function fill(store: Store, batches: number, payloadBytes: number): Promise<number> {
  const payloads = payloadsOf(payloadBytes);
  const start = performance.now();
  for (let batch = 0; batch < batches; batch += 1) {
    if (store instanceof StonewalStore) await appendWithRoom(store, payloads, BATCH);
    else await store.bulk(payloads, BATCH);
  }
  return performance.now() - start;
}

/** Where the disk falls behind, the writer waits for the next segment. */
async function appendWithRoom(
  { wal }: StonewalStore,
  payloads: () => Uint8Array,
  count: number,
): Promise<void> {
  const records = Array.from({ length: count }, () => wal.commit({ payload: payloads() }));
  await Promise.all(records);
}

/** Reads everything, and makes sure that it is everything. */
export function replaySide(
  name: string,
  replay: () => Promise<number | undefined>,
  records: number,
  payloadBytes: number,
): Side {
  return {
    name,
    round: async () => {
      const before = await processCounters();
      const start = performance.now();
      const count = await replay();
      const milliseconds = performance.now() - start;
      const { cpuUsPerRecord } = usedSince(before, await processCounters(), records, payloadBytes);
      if (count !== records) throw new Error(`${name} has ${count} records, not ${records}`);
      return { figures: { ...replayFigures(records, payloadBytes, milliseconds), cpuUsPerRecord } };
    },
  };
}

export function replayFigures(records: number, payloadBytes: number, milliseconds: number): Figures {
  const perSecond = (records / milliseconds) * 1000;
  return { perSecond, bytesPerSecond: perSecond * payloadBytes, milliseconds };
}
