import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { busyThread, dueMs, requests } from "../src/loads.js";
import { buildPrograms } from "../src/native.js";

let programs: string;

beforeAll(async () => {
  programs = await mkdtemp(path.join(tmpdir(), "stonewal-bench-"));
  await buildPrograms(programs);
});

afterAll(() => rm(programs, { recursive: true, force: true }));

test.each([
  ["a busy thread", busyThread],
  ["another process", requests],
] as const)(
  "every arrival from %s comes once, in order, as far apart as the rate says, and not before it is due",
  async (_, load) => {
    const total = 500;
    const ready = await load.prepare({ perSecond: 30_000, total }, programs);
    const dues: number[] = [];
    await new Promise<void>((resolve, reject) => {
      ready.begin({
        arrive(due) {
          // Both clocks are read, one after the other, to find how far apart they are.
          expect(due).toBeLessThanOrEqual(performance.now() + 0.05);
          dues.push(due);
          if (dues.length === total) resolve();
        },
        fail: reject,
      });
    });
    await ready.end();
    expect(dues).toHaveLength(total);
    const start = dues[0] as number;
    for (const [arrival, due] of dues.entries()) {
      expect(due - start).toBeCloseTo(dueMs(arrival, 30_000, load.tickMs), 6);
    }
  },
);

test("a load that is given up leaves no process behind", async () => {
  const ready = await requests.prepare({ perSecond: 1, total: 1000 }, programs);
  await ready.end();
});

test("a load that cannot be made is an error, and not a store that never answers", async () => {
  await expect(requests.prepare({ perSecond: 1, total: 1 }, "/nowhere")).rejects.toThrow("ENOENT");
});
