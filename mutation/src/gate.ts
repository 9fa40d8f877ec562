import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import type { CampaignName } from "./campaigns.js";
import { type Mutant, mutatedSources } from "./mutant.js";
import { runTrial, type TrialResult } from "./trial.js";

/** A mutant that may take more histories than this is left to `npm run test:mutants`. */
const SHORT_HISTORIES = 40;

/** Whether a mutant is part of the short form, in `npm test`. */
export function isShort({ within, wholeGateOnly }: Mutant): boolean {
  return within <= SHORT_HISTORIES && wholeGateOnly !== true;
}

/** How many histories of each campaign have to pass without any mutant before one of `mutants` may count as caught. */
export function historiesNeeded(mutants: readonly Mutant[]): Map<CampaignName, number> {
  const needed = new Map<CampaignName, number>();
  for (const { campaign, within } of mutants)
    needed.set(campaign, Math.max(within, needed.get(campaign) ?? 0));
  return needed;
}

/** One trial and what it was about. */
export interface Verdict {
  /** `undefined`: the log as it is. */
  readonly mutant: Mutant | undefined;
  readonly campaign: CampaignName;
  readonly result: TrialResult;
}

/** Whether a trial came out as it has to: a mutant is caught, and the log as it is passes. */
export function isRight({ mutant, result }: Verdict): boolean {
  return result.outcome === (mutant === undefined ? "survived" : "caught");
}

/**
 * Runs the campaigns on the log as it is, and if all of them pass, on each mutant of it. As many trials at a time as there are cores.
 * Throws `MutantError` before anything is run if a mutant's text is not in the code.
 */
export async function runGate(
  mutants: readonly Mutant[],
  onVerdict: (verdict: Verdict) => void,
): Promise<Verdict[]> {
  for (const mutant of mutants) mutatedSources(mutant);
  const limit = pLimit(availableParallelism());
  const judge = (mutant: Mutant | undefined, campaign: CampaignName, histories: number): Promise<Verdict> =>
    limit(async () => {
      const verdict = { mutant, campaign, result: await runTrial(mutant, campaign, histories) };
      onVerdict(verdict);
      return verdict;
    });
  const unbroken = await Promise.all(
    [...historiesNeeded(mutants)].map(([campaign, histories]) => judge(undefined, campaign, histories)),
  );
  if (!unbroken.every(isRight)) return unbroken;
  const broken = await Promise.all(mutants.map((mutant) => judge(mutant, mutant.campaign, mutant.within)));
  return [...unbroken, ...broken];
}
