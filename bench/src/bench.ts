import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { pwrite } from "@stonewal/io-pwrite";
import type { Experiment } from "./experiment.js";
import { Floor } from "./floor.js";
import { machine } from "./machine.js";
import { buildPrograms } from "./native.js";
import type { CaseResult, Plan, Results } from "./results.js";

export interface BenchOptions {
  readonly plan: Plan;
  readonly experiments: readonly Experiment[];
  /** Where the temporary directory is made that everything is written to. */
  readonly parent: string;
  readonly signal: AbortSignal;
  onCase(result: CaseResult): void;
}

/** Everything that can be measured in `parent`. Leaves nothing behind there. Rejects with the signal's reason once it is aborted. */
export async function bench({ plan, experiments, parent, signal, onCase }: BenchOptions): Promise<Results> {
  const directory = await mkdtemp(path.join(parent, "scratch-"));
  try {
    const io = pwrite();
    const found = await io.probe(directory);
    await io.close();
    const facts = machine(found);
    const leftOut = new Set<string>();
    await buildPrograms(directory);
    const measuring = {
      directory,
      floor: new Floor(directory),
      plan,
      signal,
      leaveOut: (reason: string) => leftOut.add(reason),
    };
    const cases: CaseResult[] = [];
    for (const experiment of experiments) {
      for await (const result of experiment.run(measuring)) {
        cases.push(result);
        onCase(result);
      }
    }
    const date = new Date().toISOString().slice(0, 10);
    return { date, machine: facts, plan, leftOut: [...leftOut], cases };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
