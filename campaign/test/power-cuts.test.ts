import { expect, test } from "vitest";
import { HistoryFailure, mutations, runHistory, tornAllTheSame } from "../src/index.js";
import { expectAll, runSeeds, seeds } from "./seeds.js";

const MINUTES = 60_000;

test("no acknowledged record is lost to a power cut at any point, and no ordinary crash refuses to open", {
  timeout: 10 * MINUTES,
}, async () => {
  const counts = await runSeeds("power cuts", 250);
  expect(counts.crashes).toBeGreaterThanOrEqual(seeds(250).length * 4);
  expect(counts["records recovered"]).toBeGreaterThan(0);
  expectAll(counts, /^opened with another key$/, /^key changed$/);
});

const AUTO = { mode: { log: "direct", dwb: "auto" }, disk: "untorn writes" } as const;

test("with untorn writes in place of copies no acknowledged record is lost to a power cut at any point", {
  timeout: 5 * MINUTES,
}, async () => {
  await runSeeds("power cuts", 60, AUTO);
});

// What is in flight is not acknowledged, and no frame shares a block with one that is: so a tear there takes nothing that was
// promised, and recovery drops it. This shows that and no more: it says nothing about what a copy is for, rot (below).
test("a device that tears what it promised not to tears only commits in flight: no acknowledged record is lost", {
  timeout: 5 * MINUTES,
}, async () => {
  let untorn = 0;
  const wrap = tornAllTheSame(() => {
    untorn += 1;
  });
  await runSeeds("power cuts", 60, { ...AUTO, wrap });
  expect(untorn).toBeGreaterThan(seeds(60).length);
});

test.each(Object.entries(mutations))(
  "the campaign notices when %s",
  { timeout: MINUTES },
  async (_, wrap) => {
    const failed = async () => {
      for (let seed = 1; seed <= 300; seed += 1) {
        const failure = await runHistory("power cuts", seed, { wrap }).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (failure !== undefined) return failure;
      }
      return undefined;
    };
    expect(await failed()).toBeInstanceOf(HistoryFailure);
  },
);
