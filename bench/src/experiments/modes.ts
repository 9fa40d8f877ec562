import { closedLoop, type Workload } from "../closed-loop.js";
import { type Bench, type Experiment, runCase, withStores } from "../experiment.js";
import { FLOOR } from "../floor.js";
import type { CaseResult } from "../results.js";
import { type LogMode, StonewalStore, stonewal } from "../stores/stonewal.js";
import type { Store } from "../stores/store.js";

const BACKENDS = ["pwrite", "io-uring"] as const;

/** Every way to write the log; each on each back end. What a safety option costs is the ratio of two of them. */
const MODES: readonly { readonly name: string; readonly mode: LogMode }[] = [
  { name: "buffered, DWB off", mode: { direct: false, dwb: "off" } },
  { name: "buffered, DWB on", mode: { direct: false, dwb: "buffered" } },
  { name: "direct, DWB off", mode: { direct: true, dwb: "off" } },
  { name: "direct, DWB on", mode: { direct: true, dwb: "direct" } },
  { name: "direct, ack: 'dwb'", mode: { direct: true, dwb: "direct", ack: "dwb" } },
];

const WORKLOADS: readonly (Workload & { readonly name: string })[] = [
  { name: "1 committer", committers: 1, payloadBytes: 100 },
  { name: "64 committers", committers: 64, payloadBytes: 100 },
  { name: "4,000 appends, 1 sync", committers: 1, payloadBytes: 100, bulk: 4000 },
];

/** The side that makes the system calls which a commit of `side` waits for. */
export function floorOf(side: string): string {
  const mode = side.slice(side.indexOf(", ") + 2);
  return `${FLOOR}, ${mode.replace("ack: 'dwb'", "DWB off")}`;
}

/** The log's own ways of writing, side by side, each over a floor that makes the same system calls. */
export const modes: Experiment = {
  name: "modes",
  title: "records of 100 B, by how the log is written",
  run: (bench) => {
    const kinds = MODES.flatMap(({ name, mode }) =>
      BACKENDS.map((io) => stonewal(`${io}, ${name}`, { io, ...mode })),
    );
    return withStores(bench, kinds, (stores) => cases(bench, stores));
  },
};

async function* cases(bench: Bench, stores: readonly Store[]): AsyncGenerator<CaseResult> {
  for (const { name, ...workload } of WORKLOADS) {
    const sides = stores.map((store) => closedLoop(store, workload));
    for (const { name: mode, mode: settings } of MODES) {
      // It waits for one trip, as without a buffer.
      if (settings.ack === "dwb") continue;
      const log = stores.find((store) => store.name === `pwrite, ${mode}`);
      if (!(log instanceof StonewalStore)) continue;
      const records = workload.committers * (workload.bulk ?? 1);
      const { payloadBytes } = workload;
      sides.push(bench.floor.commits(log, { records, payloadBytes, name: floorOf(log.name) }));
    }
    const { bulk, ...parameters } = workload;
    yield await runCase(
      bench,
      {
        experiment: "modes",
        name,
        parameters: { ...parameters, ...(bulk === undefined ? {} : { records: bulk }) },
      },
      sides,
    );
  }
}
