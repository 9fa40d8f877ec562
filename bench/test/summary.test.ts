import { expect, test } from "vitest";
import { Latencies } from "../src/latencies.js";
import type { Round } from "../src/round.js";
import { ratio, spread, summarize } from "../src/summary.js";

function round(perSecond: number, latenciesMs: readonly number[] = []): Round {
  const latencies = new Latencies();
  for (const each of latenciesMs) latencies.add(each);
  return { figures: { perSecond }, latencies };
}

test("quantiles are of every duration, also of more than there was room for at first", () => {
  const latencies = new Latencies();
  for (let microseconds = 10_000; microseconds >= 0; microseconds -= 1) latencies.add(microseconds / 1000);
  expect(latencies.count).toBe(10_001);
  expect(latencies.quantileUs(0.5)).toBeCloseTo(5000, 6);
  expect(latencies.quantileUs(0.99)).toBeCloseTo(9900, 6);
  expect(new Latencies().quantileUs(0.5)).toBeUndefined();
});

test("the middle round counts, not the mean that one disturbed round would move", () => {
  const { figures } = summarize([round(100), round(10_000), round(200)]);
  expect(figures.perSecond).toEqual({ median: 200, low: 100, high: 10_000, rounds: [100, 10_000, 200] });
});

test("p99 is of all rounds together: a round of few commits has none", () => {
  const fast = Array.from({ length: 60 }, () => 1);
  expect(summarize([round(60, fast), round(60, [...fast.slice(4), 50, 50, 50, 50])]).p99Us).toBeCloseTo(
    50_000,
  );
  expect(summarize([round(60)]).p99Us).toBeUndefined();
});

test("a figure that a round lacks is left out instead of standing for fewer rounds", () => {
  const { figures } = summarize([{ figures: { perSecond: 1, p50Us: 2 } }, { figures: { perSecond: 1 } }]);
  expect(Object.keys(figures)).toEqual(["perSecond"]);
});

test("the interval holds the true median in 19 of 20 runs, by how many values may lie outside it", () => {
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  // Tables of the sign test: the second of 9 from either end, the fourth of 15, the tenth of 30.
  expect(spread(upTo(9))).toEqual({ median: 5, low: 2, high: 8 });
  expect(spread(upTo(15))).toEqual({ median: 8, low: 4, high: 12 });
  expect(spread(upTo(30))).toEqual({ median: 15.5, low: 10, high: 21 });
  // Too few for it: all of them.
  expect(spread([3, 1, 2])).toEqual({ median: 2, low: 1, high: 3 });
  expect(spread([7])).toEqual({ median: 7, low: 7, high: 7 });
});

test("a ratio compares within a round, so that a slow moment of the machine hits both sides", () => {
  const slowThenFast = summarize([round(100), round(1000), round(10_000)]).figures.perSecond;
  const halfOfIt = summarize([round(50), round(500), round(5000)]).figures.perSecond;
  expect(ratio(halfOfIt, slowThenFast)).toEqual({ median: 0.5, low: 0.5, high: 0.5 });
  expect(ratio(undefined, slowThenFast)).toBeUndefined();
});
