import { binomialDistribution, median } from "simple-statistics";
import { Latencies } from "./latencies.js";
import type { Measured, SideResult, Spread } from "./results.js";
import type { Figure, Figures, Round } from "./round.js";

/** Four significant digits: more would be noise. */
const rounded = (value: number) => Number(value.toPrecision(4));

/** How many values to leave out at each end so that the rest still encloses the true median in 19 of 20 runs. */
function valuesOutside(count: number): number {
  // How many of them fall below the median is binomial, whatever the distribution.
  const probabilities = binomialDistribution(count, 0.5) as number[];
  let below = probabilities[0] ?? 0;
  let outside = 0;
  while (outside + 1 < count / 2 && below + (probabilities[outside + 1] as number) <= 0.025) {
    outside += 1;
    below += probabilities[outside] as number;
  }
  return outside;
}

/**
 * The median and its 95 % confidence interval, by order statistics. Of fewer than six values no such interval has 95 %: then it is
 * from the least to the greatest.
 */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const outside = valuesOutside(sorted.length);
  return {
    median: rounded(median(sorted)),
    low: rounded(sorted[outside] as number),
    high: rounded(sorted[sorted.length - 1 - outside] as number),
  };
}

/** A figure counts where every round has it. */
export function summarize(rounds: readonly Round[]): SideResult {
  const figures: Partial<Record<Figure, Measured>> = {};
  const names = Object.keys(rounds[0]?.figures ?? {}) as (keyof Figures)[];
  for (const name of names) {
    const values = rounds.map((round) => round.figures[name]);
    if (!values.every((value) => value !== undefined)) continue;
    figures[name] = { ...spread(values), rounds: values.map(rounded) };
  }
  const all = new Latencies();
  for (const { latencies } of rounds) if (latencies !== undefined) all.addAll(latencies);
  const p99 = all.quantileUs(0.99);
  return { figures, ...(p99 === undefined ? {} : { p99Us: rounded(p99) }) };
}

/** `of` for one of `to`, compared within each round: what disturbs the machine disturbs both. */
export function ratio(of: Measured | undefined, to: Measured | undefined): Spread | undefined {
  if (of === undefined || to === undefined) return undefined;
  return spread(of.rounds.map((value, index) => value / (to.rounds[index] as number)));
}
