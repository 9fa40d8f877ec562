import { randomBytes } from "node:crypto";
import { type CompressionAlgorithm, KeyRing } from "stonewal";
import { closedLoop, type Workload } from "../closed-loop.js";
import { type Bench, type Experiment, runCase, withStores } from "../experiment.js";
import { BATCH, fill, REPLAYED_SIZES, replaySide } from "../replay.js";
import type { CaseResult } from "../results.js";
import { type LogMode, StonewalStore, stonewal } from "../stores/stonewal.js";
import type { StoreKind } from "../stores/store.js";

/** What the others are compared with. */
export const PLAIN = "plain";

const keys = new KeyRing({ current: 1, keys: { 1: randomBytes(32) } });

/** What may be done to a frame before it is written; an algorithm that this Node.js lacks is left out. */
const ENCODINGS: readonly { readonly name: string; readonly mode: LogMode }[] = [
  { name: PLAIN, mode: {} },
  { name: "AES-256-GCM", mode: { encryption: { keys } } },
  // 24 bytes more for each record.
  { name: "AES-256-GCM, routing: 'readable'", mode: { encryption: { keys, routing: "readable" } } },
  ...(["deflate-raw", "brotli", "zstd"] satisfies CompressionAlgorithm[]).map((compression) => ({
    name: compression,
    mode: { compression },
  })),
  { name: "AES-256-GCM, deflate-raw", mode: { encryption: { keys }, compression: "deflate-raw" } },
];

const WORKLOADS: readonly (Workload & { readonly name: string })[] = [
  { name: "1 committer", committers: 1, payloadBytes: 100 },
  { name: "64 committers", committers: 64, payloadBytes: 100 },
  { name: "1,024 committers", committers: 1024, payloadBytes: 100 },
  { name: "4 KiB, 64 committers", committers: 64, payloadBytes: 4096 },
];

/** The log as it is opened by default, with its frames as they are, encrypted, compressed, or both: writing it, and reading it back. */
export const encoding: Experiment = {
  name: "encoding",
  title: "the log plain, encrypted, compressed, and both",
  async *run(bench) {
    const kinds = ENCODINGS.map(({ name, mode }) => stonewal(name, mode));
    yield* commitCases(bench, kinds);
    for (const { name, payloadBytes } of REPLAYED_SIZES) yield* replayCase(bench, kinds, name, payloadBytes);
  },
};

function commitCases(bench: Bench, kinds: readonly StoreKind[]): AsyncGenerator<CaseResult> {
  return withStores(bench, kinds, async function* (stores) {
    for (const { name, ...workload } of WORKLOADS) {
      const sides = stores.map((store) => closedLoop(store, workload));
      yield await runCase(bench, { experiment: "encoding", name, parameters: workload }, sides);
    }
  });
}

/** Out of the page cache, where the disk hides nothing of what decoding costs. */
function replayCase(
  bench: Bench,
  kinds: readonly StoreKind[],
  name: string,
  payloadBytes: number,
): AsyncGenerator<CaseResult> {
  return withStores(bench, kinds, async function* (stores) {
    const batches = Math.ceil(bench.plan.replayBytes / payloadBytes / BATCH);
    const records = batches * BATCH;
    const logs = stores.filter((store) => store instanceof StonewalStore);
    for (const log of logs) {
      bench.signal.throwIfAborted();
      await fill(log, batches, payloadBytes);
    }
    const sides = logs.map((log) =>
      replaySide(log.name, () => log.replay({ direct: false }), records, payloadBytes),
    );
    const parameters = { records, payloadBytes };
    yield await runCase(bench, { experiment: "decoding", name, parameters }, sides);
  });
}
