import { expect } from "vitest";
import { type CampaignName, HistoryFailure, type HistoryResult, runHistory } from "../src/index.js";

const only = process.env.STONEWAL_SEED;

/** The seeds from 1 on; with STONEWAL_SEED in the environment that one alone. */
export function seeds(count: number): number[] {
  return only === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [Number(only)];
}

/** Runs histories, and answers what they came to, added up. One that fails is reported with its shortest form. */
export async function runSeeds(
  campaign: CampaignName,
  count: number,
  options: Parameters<typeof runHistory>[2] = {},
): Promise<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (const seed of seeds(count)) {
    const { counts } = await runHistory(campaign, seed, options).catch(explain);
    for (const [what, times] of Object.entries(counts)) sum[what] = (sum[what] ?? 0) + times;
  }
  return sum;
}

async function explain(error: unknown): Promise<HistoryResult> {
  if (!(error instanceof HistoryFailure)) throw error;
  throw new Error(await error.report());
}

/** That it was done at all; one seed alone may not have all of it. */
export function expectAll(counts: Record<string, number>, ...whats: readonly RegExp[]): void {
  if (only !== undefined) return;
  const done = Object.keys(counts).filter((what) => (counts[what] ?? 0) > 0);
  for (const what of whats)
    expect(
      done.some((name) => what.test(name)),
      `${what} in ${done.join(", ")}`,
    ).toBe(true);
}
