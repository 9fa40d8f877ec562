import { expect, test } from "vitest";
import type { Measured, Results, SideResult } from "../src/results.js";
import { outcomes } from "../src/targets.js";
import { measured, results } from "./made-up-results.js";

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
