import { closedLoop, type Workload } from "../closed-loop.js";
import { type Bench, type Experiment, runCase, withStores } from "../experiment.js";
import type { CaseResult } from "../results.js";
import { betterSqlite3 } from "../stores/better-sqlite3.js";
import { classicLevel } from "../stores/classic-level.js";
import { blockingFile, groupingFile } from "../stores/file.js";
import { lmdb } from "../stores/lmdb.js";
import { logs } from "../stores/stonewal.js";

const KIB = 1024;

/** Of a few committers, as far as anybody's records go; the last is for what is written per byte when many share a trip. */
const WORKLOADS: readonly (Workload & { readonly name: string })[] = [
  { name: "16 B", committers: 8, payloadBytes: 16 },
  { name: "100 B", committers: 8, payloadBytes: 100 },
  { name: "1 KiB", committers: 8, payloadBytes: KIB },
  { name: "16 KiB", committers: 8, payloadBytes: 16 * KIB },
  { name: "1 MiB", committers: 8, payloadBytes: KIB * KIB },
  { name: "4 KiB, 1,024 committers", committers: 1024, payloadBytes: 4 * KIB },
];

/** Commits of records of other sizes. */
export const payloads: Experiment = {
  name: "payloads",
  title: "8 committers, by the size of a record",
  async *run(bench) {
    // New stores for each size: an index of small records would slow the large ones.
    for (const workload of WORKLOADS) yield* sizeCase(bench, workload);
  },
};

async function* sizeCase(
  bench: Bench,
  { name, ...workload }: Workload & { readonly name: string },
): AsyncGenerator<CaseResult> {
  const kinds = [...logs, blockingFile, groupingFile, lmdb, betterSqlite3, classicLevel];
  yield* withStores(bench, kinds, async function* (stores) {
    const sides = stores.map((store) => closedLoop(store, workload));
    yield await runCase(bench, { experiment: "payloads", name, parameters: workload }, sides);
  });
}
