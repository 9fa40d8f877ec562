import type { WalOptions } from "@stonewal/writer";
import { expect, test } from "vitest";
import { firstFailure, mutations, runHistory, tornAllTheSame } from "../src/index.js";

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

const OFFERED = { min: 4096, max: 65536 };
const AUTO: Partial<WalOptions> = {
  direct: true,
  ack: "wal",
  dwb: { mode: "auto", slots: 4, slotBytes: 8192 },
};
const untornSeeds = Array.from({ length: 150 }, (_, index) => index + 1);

test("with untorn writes in place of copies no acknowledged record is lost to a power cut at any point", {
  timeout: 120_000,
}, async () => {
  let untorn = 0;
  for (const seed of untornSeeds) {
    const result = await runHistory(seed, { mode: AUTO, disk: { untornWriteBytes: OFFERED } });
    untorn += result.untornWrites;
  }
  expect(untorn).toBeGreaterThan(untornSeeds.length);
});

// What is in flight is not acknowledged, and no frame shares a block with one that is: so a tear there takes nothing that was
// promised, and recovery drops it. This shows that and no more: it says nothing about what a copy is for, rot (below).
test("a device that tears what it promised not to tears only commits in flight: no acknowledged record is lost", {
  timeout: 120_000,
}, async () => {
  let untorn = 0;
  const wrap = tornAllTheSame(() => {
    untorn += 1;
  });
  for (const seed of untornSeeds)
    await runHistory(seed, { mode: AUTO, disk: { untornWriteBytes: OFFERED }, wrap });
  expect(untorn).toBeGreaterThan(untornSeeds.length);
});
