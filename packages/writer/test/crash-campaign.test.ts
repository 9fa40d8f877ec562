import { expect, test } from "vitest";
import { firstFailure, runHistory } from "./support/campaign.js";
import { mutations } from "./support/mutants.js";

const only = process.env.STONEWAL_SEED;
const seeds = only === undefined ? Array.from({ length: 1000 }, (_, index) => index + 1) : [Number(only)];

test("no acknowledged record is lost to a power cut at any point, and no ordinary crash refuses to open", {
  timeout: 240_000,
}, async () => {
  let crashes = 0;
  let records = 0;
  for (const seed of seeds) {
    try {
      const result = await runHistory(seed);
      crashes += result.crashes;
      records += result.records;
    } catch (error) {
      throw new Error(`STONEWAL_SEED=${seed} runs this history again: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
  expect(crashes).toBeGreaterThanOrEqual(seeds.length * 4);
  expect(records).toBeGreaterThan(0);
});

test.each(Object.entries(mutations))("the campaign notices when %s", { timeout: 60_000 }, async (_, wrap) => {
  const failure = await firstFailure(
    Array.from({ length: 300 }, (_, index) => index + 1),
    { wrap },
  );
  expect(failure).toBeDefined();
});
