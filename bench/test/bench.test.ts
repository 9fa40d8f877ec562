import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bench } from "../src/bench.js";
import { charts } from "../src/charts/charts.js";
import { render } from "../src/charts/render.js";
import { experiments } from "../src/experiments/index.js";
import type { Plan } from "../src/results.js";
import { writeResults } from "../src/results.js";
import { outcomes } from "../src/targets.js";

let parent: string;

beforeEach(async () => {
  parent = await mkdtemp(path.join(import.meta.dirname, "scratch-"));
});

afterEach(() => rm(parent, { recursive: true, force: true }));

const MIB = 1024 * 1024;
const plan: Plan = {
  rounds: 1,
  roundMs: 1,
  arrivalMs: 1,
  segmentBytes: 4 * MIB,
  appends: 1000,
  openBytes: MIB,
  replayBytes: 100_000,
};

// Asserts that everything was measured, and nothing about how fast it was.
test("every side of every experiment does what it is asked to, the results say so, and nothing is left behind", {
  timeout: 300_000,
}, async () => {
  const signal = new AbortController().signal;
  const results = await bench({ plan, experiments, parent, signal, onCase: () => undefined });
  const names = new Set(results.cases.map(({ experiment }) => experiment));
  expect(names).toEqual(new Set([...experiments.map(({ name }) => name), "decoding", "filling"]));
  for (const { experiment, name, sides } of results.cases) {
    const [first] = Object.keys(sides);
    expect(first, `${experiment}, ${name}`).toBeDefined();
    for (const [side, { figures }] of Object.entries(sides)) {
      expect(Object.keys(figures), side).not.toEqual([]);
      for (const [figure, { rounds }] of Object.entries(figures)) {
        expect(rounds).toHaveLength(plan.rounds);
        for (const value of rounds) expect(value, `${name}, ${side}, ${figure}`).toBeGreaterThanOrEqual(0);
      }
    }
  }
  const sides = (experiment: string, name: string) =>
    results.cases.find((each) => each.experiment === experiment && each.name === name)?.sides ?? {};
  // All who wait share a trip to the disk, and the second copy is counted.
  const { stonewal, "stonewal, DWB off": withoutDwb } = sides("committers", "64 committers");
  expect(stonewal?.figures.recordsPerChain?.median).toBe(64);
  expect(stonewal?.figures.writtenPerByte?.median).toBeGreaterThan(
    withoutDwb?.figures.writtenPerByte?.median as number,
  );
  // Compression saves blocks where many records share a frame, and encryption costs none.
  const {
    plain,
    "AES-256-GCM": encrypted,
    "deflate-raw": compressed,
  } = sides("encoding", "1,024 committers");
  const written = plain?.figures.writtenPerByte?.median as number;
  expect(encrypted?.figures.writtenPerByte?.median).toBe(written);
  expect(compressed?.figures.writtenPerByte?.median).toBeLessThan(written / 2);
  // Every target is judged, but those next to what can't be had here.
  const absent = results.leftOut.map((reason) => reason.slice(0, reason.indexOf(":")));
  for (const { name, measured } of outcomes(results)) {
    if (!absent.some((store) => name.includes(store))) expect(measured, name).toBeDefined();
  }
  // It is in Node.js itself.
  expect(Object.keys(sides("committers", "1 committer"))).toContain("fs/promises, grouped");
  expect(await readdir(parent)).toEqual([]);

  const file = path.join(parent, "new", "results.json");
  await writeResults(file, results);
  expect(JSON.parse(await readFile(file, "utf8"))).toEqual(results);

  for (const { name, spec } of charts(results)) {
    const svg = await render(spec);
    expect(svg, name).toContain("stonewal".slice(0, name === "modes" ? 0 : undefined));
    // Neither a number that could not be drawn, nor a colour that was not given.
    expect(svg, name).not.toMatch(/NaN|undefined/);
    for (const [, variable] of svg.matchAll(/var\((--[a-z0-9-]+)\)/g)) expect(svg).toContain(`${variable}:#`);
  }
});

test("an interrupted run takes everything away", async () => {
  const interrupted = new AbortController();
  const running = bench({
    plan,
    experiments,
    parent,
    signal: interrupted.signal,
    onCase: () => interrupted.abort(),
  });
  await expect(running).rejects.toThrow(/abort/i);
  expect(await readdir(parent)).toEqual([]);
});
