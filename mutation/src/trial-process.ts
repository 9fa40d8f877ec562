import { writeSync } from "node:fs";
import { register } from "node:module";
import type { CampaignName } from "./campaigns.js";
import { mutatedSources } from "./mutant.js";
import { mutants } from "./mutants.js";
import type { TrialResult } from "./trial.js";

/**
 * The program of one trial: loads the log, with one mutant in it or none, and runs a campaign until a history fails. Its own process, because a
 * module is loaded once.
 */

/** Errors of a mutant that is no program any more, and so breaks nothing in particular. */
const NONSENSE = new Set(["ReferenceError", "SyntaxError", "TypeError"]);

function* causes(error: unknown): Generator<Error> {
  for (let cause = error; cause instanceof Error; cause = cause.cause) yield cause;
}

async function trial(name: string, campaignName: CampaignName, histories: number): Promise<TrialResult> {
  const loaded = new Set<string>();
  if (name !== "") {
    const mutant = mutants.find((candidate) => candidate.name === name);
    if (mutant === undefined) throw new Error(`there is no mutant "${name}"`);
    const sources = mutatedSources(mutant);
    Object.assign(globalThis, { mutatedModuleLoaded: (url: string) => loaded.add(url) });
    for (const [url, source] of sources)
      sources.set(url, `${source}\nglobalThis.mutatedModuleLoaded(${JSON.stringify(url)});\n`);
    register("./mutated-modules.js", { parentURL: import.meta.url, data: sources });
    const result = await run(campaignName, histories);
    if (loaded.size === sources.size) return result;
    const message = "a mutated module was not loaded: this campaign does not use it";
    return { outcome: "nonsense", histories: 0, message };
  }
  return run(campaignName, histories);
}

async function run(campaignName: CampaignName, histories: number): Promise<TrialResult> {
  const { runCampaign } = await import("./campaigns.js");
  for (seed = 1; seed <= histories; seed += 1) {
    try {
      await runCampaign(campaignName, seed);
    } catch (error) {
      const outcome = [...causes(error)].some((cause) => NONSENSE.has(cause.name)) ? "nonsense" : "caught";
      const message = error instanceof Error ? error.message : String(error);
      return { outcome, histories: seed, message: `${message.split("\n")[0]}` };
    }
  }
  return { outcome: "survived", histories, message: "" };
}

/** Where the log never answers, the process has nothing left to wait for and ends: that is a result, too. */
let seed = 0;
process.on("exit", () => {
  if (process.exitCode !== 13) return;
  const result: TrialResult = { outcome: "caught", histories: seed, message: "the log never answers" };
  writeSync(1, JSON.stringify(result));
  process.exitCode = 0;
});

const [name = "", campaign = "", histories = ""] = process.argv.slice(2);
const result = await trial(name, campaign as CampaignName, Number(histories));
process.stdout.write(JSON.stringify(result), () => process.exit(0));
