import { expect, test } from "vitest";
import type { CaseResult, Measured, Results, SideResult } from "../src/results.js";
import { spread } from "../src/summary.js";
import { outcomes } from "../src/targets.js";

const measured = (...rounds: number[]): Measured => ({ ...spread(rounds), rounds });

function results(...cases: Omit<CaseResult, "parameters">[]): Results {
  return {
    date: "2026-01-01",
    machine: {
      platform: "linux-x64",
      kernel: "6.0",
      cpu: "a processor",
      cores: 2,
      fileSystem: "ext4",
      physicalBlockBytes: 4096,
      node: "v20.0.0",
      loadAverage: 0,
    },
    plan: { rounds: 2, roundMs: 1, arrivalMs: 1, segmentBytes: 1, appends: 1, openBytes: 1, replayBytes: 1 },
    leftOut: [],
    cases: cases.map((each) => ({ ...each, parameters: {} })),
  };
}

const side = (figures: SideResult["figures"]): SideResult => ({ figures });
const outcome = (of: Results, name: RegExp) => outcomes(of).find((each) => name.test(each.name));

test("a time is compared round by round, and must stay below", () => {
  const run = (floor: Measured) =>
    results({
      experiment: "committers",
      name: "1 committer",
      sides: { "stonewal, DWB off": side({ p50Us: measured(140, 280) }), floor: side({ p50Us: floor }) },
    });
  const target = /DWB off: p50/;
  expect(outcome(run(measured(100, 200)), target)).toMatchObject({ measured: "1.40×", reached: true });
  expect(outcome(run(measured(70, 140)), target)).toMatchObject({ measured: "2.00×", reached: false });
});

test("a rate must be reached", () => {
  const run = (perSecond: number) =>
    results({
      experiment: "appending",
      name: "x",
      sides: { append: side({ perSecond: measured(perSecond) }) },
    });
  expect(outcome(run(3e6), /append without/)?.reached).toBe(true);
  expect(outcome(run(2.9e6), /append without/)?.reached).toBe(false);
});

test("of several sizes the largest log is judged", () => {
  const size = (name: string, milliseconds: number) => ({
    experiment: "opening",
    name,
    sides: {
      stonewal: side({ milliseconds: measured(milliseconds) }),
      floor: side({ milliseconds: measured(100) }),
    },
  });
  expect(outcome(results(size("1 MiB", 900), size("1,024 MiB", 120)), /opening/)?.measured).toBe("1.20×");
});

test("what was not measured is neither reached nor missed", () => {
  for (const each of outcomes(results())) {
    expect(each.measured).toBeUndefined();
    expect(each.reached).toBeUndefined();
  }
});
