import { closedLoop, type Workload } from "../closed-loop.js";
import { type Bench, type Experiment, runCase, withStores } from "../experiment.js";
import { FLOOR, FLOOR_WITH_DWB } from "../floor.js";
import type { CaseResult } from "../results.js";
import { others } from "../stores/others.js";
import { logs, STONEWAL, StonewalStore, WITHOUT_DWB } from "../stores/stonewal.js";
import type { Store } from "../stores/store.js";

const PAYLOAD_BYTES = 100;

const WORKLOADS: readonly (Workload & { readonly name: string })[] = [
  { name: "1 committer", committers: 1, payloadBytes: PAYLOAD_BYTES },
  { name: "8 committers", committers: 8, payloadBytes: PAYLOAD_BYTES },
  { name: "64 committers", committers: 64, payloadBytes: PAYLOAD_BYTES },
  { name: "1,024 committers", committers: 1024, payloadBytes: PAYLOAD_BYTES },
  { name: "4,000 appends, 1 sync", committers: 1, payloadBytes: PAYLOAD_BYTES, bulk: 4000 },
];

/** Each writes what that log writes. */
const FLOORS = [
  [FLOOR, WITHOUT_DWB],
  [FLOOR_WITH_DWB, STONEWAL],
] as const;

/** Commits, and bulk appends, on everything there is. */
export const committers: Experiment = {
  name: "committers",
  title: "records of 100 B, by how many commit at a time",
  run: (bench) => withStores(bench, [...logs, ...others], (stores) => cases(bench, stores)),
};

async function* cases(bench: Bench, stores: readonly Store[]): AsyncGenerator<CaseResult> {
  for (const { name, ...workload } of WORKLOADS) {
    const sides = stores.map((store) => closedLoop(store, workload));
    const { payloadBytes } = workload;
    const records = workload.committers * (workload.bulk ?? 1);
    for (const [name, like] of FLOORS) {
      const log = stores.find((store) => store.name === like);
      if (log instanceof StonewalStore) sides.push(bench.floor.commits(log, { records, payloadBytes, name }));
    }
    const { bulk, ...parameters } = workload;
    yield await runCase(
      bench,
      {
        experiment: "committers",
        name,
        parameters: { ...parameters, ...(bulk === undefined ? {} : { records: bulk }) },
      },
      sides,
    );
  }
}
