import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bench, writeResults } from "../src/bench.js";

let parent: string;

beforeEach(async () => {
  parent = await mkdtemp(path.join(import.meta.dirname, "scratch-"));
});

afterEach(() => rm(parent, { recursive: true, force: true }));

const plan = { rounds: 2, roundMs: 1 };

// Asserts that everything was measured, and nothing about how fast it was.
test("every contender commits in every case, the floor as many records a chain as the logs, and nothing is left behind", async () => {
  const signal = new AbortController().signal;
  const results = await bench({ plan, parent, signal, onCase: () => undefined });
  const sides = results.leftOut.some((reason) => reason.startsWith("direct")) ? 1 : 2;
  const names = results.leftOut.some((reason) => reason.startsWith("io-uring"))
    ? ["floor", "pwrite"]
    : ["floor", "io-uring", "pwrite"];
  expect(results.cases).toHaveLength(sides * 2 * 4);
  for (const { log, chain, workload, contenders } of results.cases) {
    expect(Object.keys(contenders).sort()).toEqual(names);
    for (const { rounds } of Object.values(contenders)) {
      expect(rounds).toHaveLength(plan.rounds);
      for (const round of rounds) expect(round.commitsPerSecond).toBeGreaterThan(0);
    }
    expect(chain.records).toBe(workload.committers * workload.appends);
    expect(chain.dwbBytes > 0).toBe(log.dwb);
  }
  expect(await readdir(parent)).toEqual([]);

  const file = path.join(parent, "new", "results.json");
  await writeResults(file, results);
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual(results);
});

test("an interrupted run takes its logs away", async () => {
  const interrupted = new AbortController();
  const running = bench({
    plan,
    parent,
    signal: interrupted.signal,
    onCase: () => interrupted.abort(),
  });
  await expect(running).rejects.toThrow(/abort/i);
  expect(await readdir(parent)).toEqual([]);
});
