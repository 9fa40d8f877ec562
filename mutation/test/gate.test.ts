import { describe, expect, test } from "vitest";
import { isTargeted } from "../src/campaigns.js";
import { historiesNeeded, isShort } from "../src/gate.js";
import { mutants } from "../src/mutants.js";
import { runTrial } from "../src/trial.js";

/** The short form: what is caught within a few histories. The rest is for `npm run test:mutants`. */
const short = mutants.filter(isShort);
const left = mutants.filter((mutant) => !isShort(mutant));

describe.concurrent("a campaign that is to catch something passes where nothing is broken", () => {
  test.each([...historiesNeeded(short)].filter(([campaign]) => isTargeted(campaign)))(
    "%s, %i histories",
    async (campaign, histories) => {
      expect(await runTrial(undefined, campaign, histories)).toMatchObject({
        outcome: "survived",
        histories,
      });
    },
  );
});

describe.concurrent("it is noticed when", () => {
  test.each(short)("$name", async (mutant) => {
    expect(await runTrial(mutant, mutant.campaign, mutant.within)).toMatchObject({ outcome: "caught" });
  });
});

test("what is left out here is run by npm run test:mutants", () => {
  console.log(`left to npm run test:mutants:\n${left.map(({ name }) => `  ${name}`).join("\n")}`);
  expect(short.length).toBeGreaterThan(left.length);
});
