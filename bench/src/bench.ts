import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { pwrite } from "@stonewal/io-pwrite";
import { logSettings, PAYLOAD_BYTES, type Plan } from "./cases.js";
import { Floor } from "./floor.js";
import { machine } from "./machine.js";
import { measureLog } from "./measure.js";
import type { CaseResult, Results } from "./results.js";

export interface BenchOptions {
  readonly plan: Plan;
  /** Where the logs' temporary directory is made. */
  readonly parent: string;
  readonly signal: AbortSignal;
  onCase(result: CaseResult): void;
}

/** Everything that can be measured in `parent`. Leaves nothing behind there. Rejects with the signal's reason once it is aborted. */
export async function bench({ plan, parent, signal, onCase }: BenchOptions): Promise<Results> {
  const directory = await mkdtemp(path.join(parent, "scratch-"));
  try {
    const io = pwrite();
    const found = await io.probe(directory);
    await io.close();
    const facts = machine(found);
    const leftOut = new Set<string>();
    if (found.direct === undefined) leftOut.add(`direct: ${found.directUnavailable}`);
    const cases: CaseResult[] = [];
    const measuring = {
      directory,
      floor: await Floor.build(directory),
      plan,
      signal,
      leaveOut: (reason: string) => leftOut.add(reason),
      onCase: (result: CaseResult) => {
        cases.push(result);
        onCase(result);
      },
    };
    for (const settings of logSettings(found.direct !== undefined)) await measureLog(settings, measuring);
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: facts,
      payloadBytes: PAYLOAD_BYTES,
      plan,
      leftOut: [...leftOut],
      cases,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export async function writeResults(file: string, results: Results): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(results, null, 1)}\n`);
}
