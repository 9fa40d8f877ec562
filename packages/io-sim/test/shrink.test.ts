import { describe, expect, test } from "vitest";
import { failureReport, SimDisk, shrink } from "../src/index.js";
import { codeOf, durableFile, filled, put } from "./process.js";

const numbers = Array.from({ length: 100 }, (_, i) => i);

describe("shrinking", () => {
  test("finds the steps that matter, in their order, wherever they are", async () => {
    for (const needed of [[], [0], [99], [3, 50], [10, 11, 12], [0, 33, 66, 99]]) {
      const fails = (steps: readonly number[]) => needed.every((step) => steps.includes(step));
      const { steps, minimal, runs } = await shrink(numbers, { fails });
      expect(steps).toEqual(needed);
      expect(minimal).toBe(true);
      expect(runs).toBeLessThan(150);
    }
  });

  test("leaves out what can only go together with something else that is left out first", async () => {
    // 20 and 21 hide the failure where one is there without the other.
    const fails = async (steps: readonly number[]) =>
      steps.includes(70) && steps.includes(20) === steps.includes(21);
    expect((await shrink(numbers, { fails })).steps).toEqual([70]);
  });

  test("makes the steps that are left as simple as they can be", async () => {
    const { steps, minimal } = await shrink([900, 5, 700], {
      fails: (steps) => steps.some((step) => step > 300),
      simplify: (step) => [0, Math.floor(step / 2), step - 1].filter((simpler) => simpler < step),
    });
    expect(steps).toEqual([301]);
    expect(minimal).toBe(true);
  });

  test("asks no more often than it may, and gives the shortest it found by then", async () => {
    let asked = 0;
    const fails = (steps: readonly number[]) => {
      asked++;
      return [0, 33, 66, 99].every((step) => steps.includes(step));
    };
    const { steps, runs, minimal } = await shrink(numbers, { fails, maxRuns: 25 });
    expect([runs, asked, minimal]).toEqual([25, 25, false]);
    expect(steps.length).toBeLessThan(100);
    expect(fails(steps)).toBe(true);
  });

  test("asks no more often than it may while it simplifies, either", async () => {
    const { runs, minimal } = await shrink([1e9], {
      fails: (steps) => steps.length > 0,
      simplify: (step) => [step - 1],
      maxRuns: 30,
    });
    expect([runs, minimal]).toEqual([30, false]);
  });

  test("of a case that does not fail is refused: it would be taken for a finding", async () => {
    await expect(shrink([1], { fails: () => false })).rejects.toThrow(RangeError);
  });
});

test("a failure's report has error, seed, steps, fault log and the end of the trace", async () => {
  const disk = new SimDisk({ seed: 17 });
  const io = disk.mount();
  const file = await durableFile(io, "/a", filled(512, 1));
  disk.fail({ operation: "write", effect: "rot" });
  await codeOf(put(io, file, 0, filled(512, 2)));
  const report = failureReport({
    seed: 17,
    again: "SEED=17 npm test",
    error: new Error("tea is gone"),
    disk,
    steps: [{ put: "tea" }, "crash"],
    lines: 2,
  });
  expect(report.split("\n")).toEqual([
    "Error: tea is gone",
    "seed 17, again with: SEED=17 npm test",
    "",
    "steps (2):",
    "  { put: 'tea' }",
    "  crash",
    "",
    "fault log:",
    `  at ${disk.operations - 2}: write rot /a 0+512`,
    "",
    `trace (${disk.trace.length - 2} earlier lines left out):`,
    ...disk.trace.slice(-2).map((line) => `  ${line}`),
  ]);
});
