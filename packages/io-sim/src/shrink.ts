export interface ShrinkOptions<Step> {
  /**
   * Runs these steps on a fresh disk, and says whether they fail as the whole case did: compare the error, or a shorter case that fails for another
   * reason takes its place. Has to give the same answer for the same steps. What it throws is thrown on.
   */
  fails(steps: readonly Step[]): boolean | Promise<boolean>;
  /** Simpler forms of one step, the simplest first: a smaller payload, an earlier crash, no fault. Each must be simpler than what it is made from. */
  simplify?(step: Step): Iterable<Step>;
  /** How often `fails` may be asked. Default 500. */
  readonly maxRuns?: number;
}

export interface Shrunk<Step> {
  readonly steps: readonly Step[];
  /** How often `fails` was asked. */
  readonly runs: number;
  /** No single step can be left out or be made simpler; false if `maxRuns` came first. */
  readonly minimal: boolean;
}

/**
 * Shortens a case that fails: leaves out steps, halves of the case first, then single ones (delta debugging, Zeller and Hildebrandt, "Simplifying and
 * Isolating Failure-Inducing Input", 2002), then simplifies those that are left, until nothing helps or `maxRuns` is reached. Steps are whatever
 * the case is made of: calls, crashes, faults. Deterministic. Rejects with a `RangeError` if the whole case doesn't fail.
 *
 * Leaving out a step shifts what chance decides for the later ones. A failure that needs luck is found more often when `fails` tries the
 * steps under a few seeds.
 */
export async function shrink<Step>(
  steps: readonly Step[],
  { fails, simplify = () => [], maxRuns = 500 }: ShrinkOptions<Step>,
): Promise<Shrunk<Step>> {
  let best = steps;
  let runs = 0;
  /** Takes the candidate if it fails as well. */
  const accept = async (candidate: readonly Step[]): Promise<boolean> => {
    runs++;
    const failed = await fails(candidate);
    if (failed) best = candidate;
    return failed;
  };
  if (!(await accept(steps))) throw new RangeError("the case does not fail: there is nothing to shrink");

  /** Leaves out stretches of this length, from the end: what fails late needs little of what comes after it. */
  const leaveOut = async (length: number): Promise<boolean> => {
    let shorter = false;
    for (let end = best.length; end > 0 && runs < maxRuns; end -= length) {
      const start = Math.max(0, end - length);
      if (await accept([...best.slice(0, start), ...best.slice(end)])) shorter = true;
    }
    return shorter;
  };
  const simplifyStep = async (index: number): Promise<boolean> => {
    for (const simpler of simplify(best[index]!)) {
      if (runs >= maxRuns) return false;
      if (await accept(best.with(index, simpler))) return true;
    }
    return false;
  };

  for (let better = true; better && runs < maxRuns; ) {
    better = false;
    for (let length = Math.ceil(best.length / 2); length > 1; length = Math.ceil(length / 2)) {
      if (await leaveOut(length)) better = true;
    }
    if (await leaveOut(1)) better = true;
    for (let index = 0; index < best.length; index++) while (await simplifyStep(index)) better = true;
  }
  return { steps: best, runs, minimal: runs < maxRuns };
}
