import { createHistogram } from "node:perf_hooks";
import { median, quantileSorted } from "simple-statistics";
import type { Round } from "./round.js";

/** What a contender did in a case, over all rounds. Times in microseconds. */
export interface Summary {
  /** Median over the rounds. */
  readonly commitsPerSecond: number;
  /** Median over the rounds' medians. */
  readonly p50Us: number;
  /** Of all rounds together: a round alone is too short to have one. */
  readonly p99Us: number;
  /** As `p50Us`, of the trip to the disk alone. */
  readonly chainP50Us: number;
  readonly rounds: readonly RoundSummary[];
}

interface RoundSummary {
  readonly commitsPerSecond: number;
  readonly p50Us: number;
  readonly chainP50Us: number;
}

/** Over the rounds: the middle, and what half of them lie between. */
export interface Ratio {
  readonly median: number;
  readonly quarter: number;
  readonly threeQuarters: number;
}

const tenths = (value: number) => Math.round(value * 10) / 10;
const thousandths = (value: number) => Math.round(value * 1000) / 1000;

export function summarize(measured: readonly Round[]): Summary {
  const all = createHistogram();
  const rounds = measured.map(({ records, milliseconds, latency, chain }) => {
    all.add(latency);
    return {
      commitsPerSecond: Math.round((records / milliseconds) * 1000),
      p50Us: tenths(latency.percentile(50) / 1000),
      chainP50Us: tenths(chain.percentile(50) / 1000),
    };
  });
  const middle = (field: keyof RoundSummary) => tenths(median(rounds.map((round) => round[field])));
  return {
    commitsPerSecond: Math.round(middle("commitsPerSecond")),
    p50Us: middle("p50Us"),
    p99Us: tenths(all.percentile(99) / 1000),
    chainP50Us: middle("chainP50Us"),
    rounds,
  };
}

/** How many commits `of` made for one of `to`, compared within each round: what disturbs the machine disturbs both. */
export function ratio(of: Summary, to: Summary): Ratio {
  const ratios = of.rounds
    .map((round, index) => round.commitsPerSecond / (to.rounds[index] as RoundSummary).commitsPerSecond)
    .sort((a, b) => a - b);
  return {
    median: thousandths(quantileSorted(ratios, 0.5)),
    quarter: thousandths(quantileSorted(ratios, 0.25)),
    threeQuarters: thousandths(quantileSorted(ratios, 0.75)),
  };
}
