import { expect, test } from "vitest";
import { durations, type Round } from "../src/round.js";
import { ratio, summarize } from "../src/summary.js";

function round(records: number, latenciesMs: readonly number[], chainMs: number): Round {
  const latency = durations();
  for (const each of latenciesMs) latency.add(each);
  const chain = durations();
  chain.add(chainMs);
  return { records, milliseconds: 100, latency: latency.histogram, chain: chain.histogram };
}

test("the middle round counts, not the mean that one disturbed round would move", () => {
  const summary = summarize([round(10, [1], 0.5), round(1000, [9], 8), round(20, [2], 1)]);
  expect(summary.commitsPerSecond).toBe(200);
  expect(summary.p50Us / 2000).toBeCloseTo(1, 2);
  expect(summary.chainP50Us / 1000).toBeCloseTo(1, 2);
  expect(summary.rounds.map((each) => each.commitsPerSecond)).toEqual([100, 10_000, 200]);
});

test("p99 is of all rounds together: a round of few commits has none", () => {
  const fast = Array.from({ length: 60 }, () => 1);
  const summary = summarize([round(60, fast, 1), round(60, [...fast.slice(2), 50, 50], 1)]);
  expect(summary.p99Us / 50_000).toBeCloseTo(1, 2);
});

test("a ratio compares within a round, so that a slow moment of the machine hits both sides", () => {
  const slowThenFast = summarize([round(10, [1], 1), round(100, [1], 1), round(1000, [1], 1)]);
  const halfOfIt = summarize([round(5, [1], 1), round(50, [1], 1), round(500, [1], 1)]);
  expect(ratio(halfOfIt, slowThenFast)).toEqual({ median: 0.5, quarter: 0.5, threeQuarters: 0.5 });
});
