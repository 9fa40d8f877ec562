import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import type { CaseResult } from "../src/results.js";
import { formatMicroseconds, formatRatio, resultTable } from "../src/table.js";

test("durations keep a unit that fits", () => {
  expect(formatMicroseconds(89.2)).toBe("89 µs");
  expect(formatMicroseconds(2345)).toBe("2.35 ms");
});

test("a ratio shows how far the rounds agree", () => {
  expect(formatRatio({ median: 0.914, quarter: 0.85, threeQuarters: 1 })).toBe("0.91 (0.85-1.00)");
  expect(formatRatio(undefined)).toBe("");
});

test("each contender of a case has a line; one that can't be had here has none", () => {
  const summary = { commitsPerSecond: 12_345, p50Us: 100, p99Us: 200, chainP50Us: 90, rounds: [] };
  const result: CaseResult = {
    log: { direct: true, dwb: false },
    workload: { name: "8 committers", committers: 8, appends: 1 },
    chain: { records: 8, logBytes: 4096, dwbBytes: 0 },
    contenders: { floor: summary, pwrite: summary },
    toFloor: { pwrite: { median: 0.75, quarter: 0.7, threeQuarters: 0.8 } },
  };
  const lines = stripVTControlCharacters(resultTable([result])).split("\n");
  expect(lines.filter((line) => line.includes("12,345"))).toHaveLength(2);
  expect(lines.find((line) => line.includes("pwrite") && line.includes("0.75 (0.70-0.80)"))).toBeDefined();
  expect(lines.some((line) => line.includes("io-uring"))).toBe(false);
});
