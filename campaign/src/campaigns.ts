import { HistoryFailure } from "./failure.js";
import { failingCalls, harmlessFaults, noFaults, oneLie } from "./faults.js";
import { ROOMY } from "./modes.js";
import { type End, type Flavour, planOf } from "./plan.js";
import { History, type Surroundings } from "./run-history.js";

const ORDINARY: Flavour = {
  lives: 4,
  maxSteps: 60,
  faults: noFaults,
  fullDisk: 0,
  ends: ["crash"],
  blocking: true,
  damages: 0,
  scrutiny: 4,
};

const EVERY_END: readonly End[] = ["crash", "crash", "kill", "kill", "close", "close and crash"];

/** What is tried, by name. **A campaign of random histories is added here**: tests, soak and mutation gate have it then. */
export const CAMPAIGNS = {
  /** The power fails at any boundary, in every mode. */
  "power cuts": ORDINARY,
  /** Processes are killed, or end after a close; calls take their time; callers hand over batches that can't be copied. */
  "processes end": { ...ORDINARY, ends: EVERY_END, faults: harmlessFaults, spoiltBatches: true },
  /** Calls fail: EIO, ENOSPC, a sync whose pages are dropped. */
  "failing calls": { ...ORDINARY, ends: EVERY_END, faults: failingCalls },
  /** The disk is full, and has room again. */
  "full disk": { ...ORDINARY, lives: 3, fullDisk: 1, ends: EVERY_END },
  /** A block of acknowledged data is damaged, in a copy of what a life has left. */
  damage: { ...ORDINARY, lives: 2, ends: EVERY_END, blocking: true, damages: 3, scrutiny: 1000 },
  /** The device lies once in a life: a write or sync that it reports and has not done, a write or read of the wrong place, a wrong bit. */
  "lying device": {
    ...ORDINARY,
    lives: 3,
    ends: EVERY_END,
    faults: oneLie,
    blocking: false,
    scrutiny: Number.POSITIVE_INFINITY,
  },
  /** The kernel writes a log back by the folio, and a cut tears what was acknowledged long ago. */
  "torn folios": {
    ...ORDINARY,
    scrutiny: Number.POSITIVE_INFINITY,
    disk: "folios",
    blocking: false,
    mode: { log: "buffered" },
  },
  /** The same beside a ring that has room for the copies of a folio's frames: none of them may be lost. */
  "torn folios, a roomy ring": {
    ...ORDINARY,
    scrutiny: Number.POSITIVE_INFINITY,
    disk: "folios",
    blocking: false,
    mode: { log: "buffered" },
    log: { sizes: ROOMY },
  },
} as const satisfies Record<string, Flavour>;

export type CampaignName = keyof typeof CAMPAIGNS;

export interface HistoryResult {
  /** How often what was done, and what came of it. */
  readonly counts: Readonly<Record<string, number>>;
  /** Everything that the disk did. The same for the same seed and build. */
  readonly trace: readonly string[];
}

/**
 * One history: several lives of a log, each ended in one way or another, each compared with the ledger. Rejects with a `HistoryFailure` if anything
 * acknowledged is lost, anything is delivered that was never attempted, or an ordinary crash keeps the log from being opened.
 */
export async function runHistory(
  campaign: CampaignName,
  seed: number,
  options: Surroundings & Partial<Flavour> = {},
): Promise<HistoryResult> {
  const { wrap, ...flavour } = options;
  const surroundings = wrap === undefined ? {} : { wrap };
  const plan = planOf(seed, { ...CAMPAIGNS[campaign], ...flavour });
  const history = new History(plan, surroundings);
  try {
    await history.run();
  } catch (error) {
    throw new HistoryFailure(campaign, plan, surroundings, error, history.disk);
  }
  history.tally.add("crashes", history.disk.crashes);
  return { counts: history.tally.counts, trace: history.disk.trace };
}
