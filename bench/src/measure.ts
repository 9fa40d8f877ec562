import type { Plan, SideResult } from "./results.js";
import type { Round, RoundLimits, Side } from "./round.js";
import { summarize } from "./summary.js";

/** What a round may bring to the disk, so that a fast side doesn't fill it. */
const ROUND_BYTES = 32 * 1024 * 1024;

/** Runs the sides in turns and sums up what each did. Rejects with the signal's reason once it is aborted. */
export async function measure(
  sides: readonly Side[],
  plan: Plan,
  signal: AbortSignal,
): Promise<Record<string, SideResult>> {
  const limits: RoundLimits = { milliseconds: plan.roundMs, bytes: ROUND_BYTES };
  const measured = sides.map((side) => ({ side, rounds: [] as Round[] }));
  // A round that isn't counted: code gets compiled, memory touched, files grown.
  for (const side of sides) {
    signal.throwIfAborted();
    await side.round(limits);
  }
  for (let round = 0; round < plan.rounds; round += 1) {
    // Another one first each time, so that nobody always follows the same.
    for (let turn = 0; turn < measured.length; turn += 1) {
      signal.throwIfAborted();
      const { side, rounds } = measured[(round + turn) % measured.length] as (typeof measured)[number];
      rounds.push(await side.round(limits));
    }
  }
  return Object.fromEntries(measured.map(({ side, rounds }) => [side.name, summarize(rounds)]));
}
