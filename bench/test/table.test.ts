import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { formatBytes, formatCount, formatMicroseconds, formatRatio } from "../src/format.js";
import type { CaseResult, Measured } from "../src/results.js";
import { caseTable, targetTable } from "../src/table.js";

const measured = (median: number): Measured => ({ median, low: median, high: median, rounds: [median] });

test("numbers keep a unit that fits", () => {
  expect([89.23, 2345, 999.7, 1_234_567].map(formatMicroseconds)).toEqual([
    "89.2 µs",
    "2.35 ms",
    "1 ms",
    "1.23 s",
  ]);
  expect([16, 1024, 1536, 2 ** 30].map(formatBytes)).toEqual(["16 B", "1 KiB", "1.5 KiB", "1 GiB"]);
  expect([4.26, 1234, 45_678, 3_120_000].map(formatCount)).toEqual(["4.26", "1,234", "45.7 k", "3.12 M"]);
});

test("a ratio shows how far the rounds agree", () => {
  expect(formatRatio({ median: 0.914, low: 0.85, high: 1 })).toBe("0.91 (0.85–1.00)");
  expect(formatRatio(undefined)).toBe("");
});

test("each side of a case has a line, compared with the first", () => {
  const result: CaseResult = {
    experiment: "committers",
    name: "8 committers",
    parameters: { committers: 8, payloadBytes: 100 },
    sides: {
      stonewal: { figures: { perSecond: measured(12_345), p50Us: measured(100) }, p99Us: 200 },
      lmdb: { figures: { perSecond: measured(6172.5) } },
    },
  };
  const lines = stripVTControlCharacters(caseTable(result)).split("\n");
  expect(lines.find((line) => line.includes("stonewal"))).toMatch(/12\.3 k.*100 µs.*200 µs/);
  expect(lines.find((line) => line.includes("lmdb"))).toContain("0.50 (0.50–0.50)");
});

test("a target that a run had nothing to say about is not in its table", () => {
  const table = stripVTControlCharacters(
    targetTable([
      { name: "replay", wanted: "≥ 4 M/s", measured: "5 M/s", reached: true },
      { name: "append", wanted: "≥ 3 M/s" },
    ]),
  );
  expect(table).toMatch(/replay.*yes/);
  expect(table).not.toContain("append");
});
