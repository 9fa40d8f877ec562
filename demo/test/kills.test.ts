import { describe, expect, it } from "vitest";
import { planKills } from "../src/kills.js";

describe("the plan of kills", () => {
  it("is the same for the same seed, and another one for another", () => {
    expect(planKills(7, 10, 1000)).toEqual(planKills(7, 10, 1000));
    expect(planKills(8, 10, 1000)).not.toEqual(planKills(7, 10, 1000));
  });

  it("has one kill in each part of the file, and every fourth while the log is opened", () => {
    for (let seed = 0; seed < 200; seed++) {
      const plan = planKills(seed, 10, 800);
      expect(plan).toHaveLength(10);
      const appending = plan.flatMap((kill) => (kill.during === "appending" ? [kill] : []));
      expect(appending.map(({ acknowledged }) => Math.floor(acknowledged / 100))).toEqual([
        0, 1, 2, 3, 4, 5, 6, 7,
      ]);
      expect(plan.flatMap(({ during }, index) => (during === "opening" ? [index + 1] : []))).toEqual([4, 8]);
    }
  });

  it.each([0, 1, 2, 3])("can be of %d kills, and of a file of one record", (kills) => {
    expect(planKills(1, kills, 1)).toHaveLength(kills);
  });
});
