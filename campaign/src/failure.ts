import { describeFault, type SimDisk } from "@stonewal/io-sim";
import { describePlan, type Plan, smallerPlans } from "./plan.js";
import { History, type Surroundings } from "./run-history.js";

/** So many smaller histories are tried before the smallest so far is taken. */
const MAX_TRIALS = 600;

/** A history in which the log has broken its promise. */
export class HistoryFailure extends Error {
  override readonly name = "HistoryFailure";
  readonly #plan: Plan;
  readonly #campaign: string;
  readonly #surroundings: Surroundings;
  readonly #disk: SimDisk;

  constructor(campaign: string, plan: Plan, surroundings: Surroundings, cause: unknown, disk: SimDisk) {
    const what = cause instanceof Error ? cause.message : String(cause);
    super(`${campaign}, seed ${plan.seed}: ${what}`, { cause });
    this.#plan = plan;
    this.#campaign = campaign;
    this.#surroundings = surroundings;
    this.#disk = disk;
  }

  /** What somebody needs who wants to know why: how to run it again, the shortest form that was found, and what was done to the disk in it. */
  async report(): Promise<string> {
    let shortest: { plan: Plan; cause: unknown; disk: SimDisk } = {
      plan: this.#plan,
      cause: this.cause,
      disk: this.#disk,
    };
    let trials = 0;
    const shorter = async () => {
      for (const plan of smallerPlans(shortest.plan)) {
        trials += 1;
        if (trials > MAX_TRIALS) return false;
        const history = new History(plan, this.#surroundings);
        const failed = await history.run().then(
          () => undefined,
          (error: unknown) => ({ plan, cause: error, disk: history.disk }),
        );
        if (failed === undefined) continue;
        shortest = failed;
        return true;
      }
      return false;
    };
    while (await shorter());
    const { plan, cause, disk } = shortest;
    const indented = (lines: readonly string[]) => lines.map((line) => `    ${line}`);
    return [
      this.message,
      `  run it again: STONEWAL_SEED=${this.#plan.seed} npm test -- stonewal-campaign (campaign "${this.#campaign}")`,
      `  shortest form found, ${stepsOf(plan)} of ${stepsOf(this.#plan)} steps, ${plan.lives.length} of ${this.#plan.lives.length} lives:`,
      ...indented(describePlan(plan).split("\n")),
      `  which ends with: ${cause instanceof Error ? (cause.stack ?? cause.message).split("\n").slice(0, 4).join("\n    ") : String(cause)}`,
      "  what was done to the machine:",
      ...indented(disk.faultLog.slice(-40).map(describeFault)),
      "  the last of what the disk did:",
      ...indented(disk.trace.slice(-15)),
    ].join("\n");
  }
}

const stepsOf = (plan: Plan): number => plan.lives.reduce((sum, { steps }) => sum + steps.length, 0);
