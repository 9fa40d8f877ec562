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

test("a goal that not even a loop with the same trips reaches is shown to be one, for each acknowledgement by its own trips", () => {
  const run = results({
    experiment: "committers",
    name: "64 committers",
    sides: {
      stonewal: side({ perSecond: measured(200, 400) }),
      "stonewal, ack: 'dwb'": side({ perSecond: measured(350, 700) }),
      lmdb: side({ perSecond: measured(100, 200) }),
      "floor, DWB on": side({ perSecond: measured(250, 500) }),
      floor: side({ perSecond: measured(500, 1000) }),
    },
  });
  expect(outcome(run, /64 committers, `ack: 'wal'`.*lmdb/)).toMatchObject({
    measured: "2.00×",
    reached: false,
    floor: { measured: "2.50×", reached: false },
  });
  expect(outcome(run, /64 committers, `ack: 'dwb'`.*lmdb/)).toMatchObject({
    measured: "3.50×",
    reached: true,
    floor: { measured: "5.00×", reached: true },
  });
});

test("a run without that floor, as an older one, is judged all the same", () => {
  const run = results({
    experiment: "arrivals",
    name: "100,000/s",
    sides: { stonewal: side({ p99Us: measured(300) }), floor: side({ p50Us: measured(100) }) },
  });
  const judged = outcome(run, /offered: p99/);
  expect(judged).toMatchObject({ measured: "3.00×", reached: true });
  expect(judged?.floor).toBeUndefined();
  expect(outcome(run, /io: 'pwrite'`: p99/)?.measured).toBeUndefined();
});
