import path from "node:path";
import { type BackendName, IoError } from "stonewal";
import { type LogSettings, type Plan, WORKLOADS, type Workload } from "./cases.js";
import type { Floor } from "./floor.js";
import { MeasuredLog, ROUND_BYTES } from "./log.js";
import type { CaseResult, Contender } from "./results.js";
import type { ChainShape, Round } from "./round.js";
import { type Ratio, ratio, type Summary, summarize } from "./summary.js";

const BACKENDS: readonly BackendName[] = ["pwrite", "io-uring"];

export interface Measuring {
  readonly directory: string;
  readonly floor: Floor;
  readonly plan: Plan;
  readonly signal: AbortSignal;
  /** Hears, once per back end that can't be had, why. */
  leaveOut(reason: string): void;
  onCase(result: CaseResult): void;
}

/** Every workload on one way to write the log. */
export async function measureLog(settings: LogSettings, measuring: Measuring): Promise<void> {
  const logs = new Map<BackendName, MeasuredLog>();
  try {
    for (const io of BACKENDS) {
      const name = `${io}-${settings.direct ? "direct" : "buffered"}-${settings.dwb ? "dwb" : "plain"}`;
      try {
        logs.set(io, await MeasuredLog.open(path.join(measuring.directory, name), io, settings));
      } catch (error) {
        if (!(error instanceof IoError) || error.code !== "IO_UNSUPPORTED") throw error;
        measuring.leaveOut(`${io}: ${error.message}`);
      }
    }
    for (const workload of WORKLOADS) {
      measuring.onCase(await measureCase(settings, workload, logs, measuring));
    }
  } finally {
    for (const log of logs.values()) await log.close();
  }
}

async function measureCase(
  settings: LogSettings,
  workload: Workload,
  logs: ReadonlyMap<BackendName, MeasuredLog>,
  { floor, plan, signal }: Measuring,
): Promise<CaseResult> {
  const limits = { milliseconds: plan.roundMs, bytes: ROUND_BYTES };
  // One round that isn't counted: code gets compiled, memory touched, and the chain's shape known.
  let shape: ChainShape | undefined;
  for (const log of logs.values()) shape = (await log.round(workload, limits)).shape;
  if (shape === undefined) throw new Error("no back end works here");
  const chain = shape;
  await floor.round(settings, chain, limits);

  const contenders: { name: Contender; run: () => Promise<Round>; rounds: Round[] }[] = [
    { name: "floor", run: () => floor.round(settings, chain, limits), rounds: [] },
    ...[...logs].map(([name, log]) => ({ name, run: () => log.round(workload, limits), rounds: [] })),
  ];
  for (let round = 0; round < plan.rounds; round += 1) {
    // Another one first each time, so that nobody always follows the same.
    for (let turn = 0; turn < contenders.length; turn += 1) {
      signal.throwIfAborted();
      const contender = contenders[(round + turn) % contenders.length];
      contender?.rounds.push(await contender.run());
    }
  }
  const summaries = Object.fromEntries(contenders.map(({ name, rounds }) => [name, summarize(rounds)]));
  return { log: settings, workload, chain, ...compare(summaries) };
}

function compare(
  contenders: Partial<Record<Contender, Summary>>,
): Pick<CaseResult, "contenders" | "toFloor" | "uringToPwrite"> {
  const { floor, pwrite, "io-uring": uring } = contenders;
  const toFloor: Partial<Record<Contender, Ratio>> = {};
  if (floor && pwrite) toFloor.pwrite = ratio(pwrite, floor);
  if (floor && uring) toFloor["io-uring"] = ratio(uring, floor);
  return { contenders, toFloor, ...(uring && pwrite ? { uringToPwrite: ratio(uring, pwrite) } : {}) };
}
