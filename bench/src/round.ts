import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** How long a round lasts. */
export interface RoundLimits {
  readonly milliseconds: number;
  /** Of the log. The round ends early here, so that it never waits for the next segment. */
  readonly bytes: number;
}

/** What one contender did in one round. */
export interface Round {
  /** Records made durable. */
  readonly records: number;
  readonly milliseconds: number;
  /** Nanoseconds from the first append to the word that it is durable. */
  readonly latency: RecordableHistogram;
  /** Nanoseconds from a chain's submission to its completion; one chain is one trip to the disk. */
  readonly chain: RecordableHistogram;
}

/** What a chain carries on average. */
export interface ChainShape {
  readonly records: number;
  readonly logBytes: number;
  /** 0: there is no double-write buffer. */
  readonly dwbBytes: number;
}

/** A histogram of nanoseconds, of durations given in milliseconds. */
export function durations(): { readonly histogram: RecordableHistogram; add(milliseconds: number): void } {
  const histogram = createHistogram();
  return { histogram, add: (milliseconds) => histogram.record(Math.max(1, Math.round(milliseconds * 1e6))) };
}
