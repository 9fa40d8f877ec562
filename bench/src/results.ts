import type { LogSettings, Plan, Workload } from "./cases.js";
import type { Machine } from "./machine.js";
import type { ChainShape } from "./round.js";
import type { Ratio, Summary } from "./summary.js";

export type Contender = "floor" | "pwrite" | "io-uring";

/** One workload on one way to write the log. */
export interface CaseResult {
  readonly log: LogSettings;
  readonly workload: Workload;
  /** Of the log's chains; the floor writes as much. */
  readonly chain: ChainShape;
  readonly contenders: Partial<Record<Contender, Summary>>;
  /** Commits per second, to the floor's. */
  readonly toFloor: Partial<Record<Contender, Ratio>>;
  /** Commits per second. */
  readonly uringToPwrite?: Ratio;
}

/** What is written beside the table. */
export interface Results {
  readonly date: string;
  readonly machine: Machine;
  readonly payloadBytes: number;
  readonly plan: Plan;
  /** What could not be measured here, and why. */
  readonly leftOut: readonly string[];
  readonly cases: readonly CaseResult[];
}
