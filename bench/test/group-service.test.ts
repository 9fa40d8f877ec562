import { expect, test } from "vitest";
import { serveInGroups } from "../src/group-service.js";

const served = (tripsMs: readonly number[], perSecond: number, tickMs = 0) =>
  serveInGroups(new Float64Array(tripsMs), { perSecond, tickMs });

test("who comes while a trip is under way waits for it, and for the next, from the moment it was due", () => {
  // Due at 0, 1, 2, ... 6 ms: one alone, then those of 1 to 3, and of 4 to 6.
  const { latencies, milliseconds } = served([3, 3, 1], 1000);
  expect([...latencies.milliseconds()]).toEqual([3, 5, 4, 3, 3, 2, 1]);
  expect(milliseconds).toBe(7);
});

test("where trips are quicker than arrivals, each arrival has one of its own, and the idle time between is nobody's", () => {
  const { latencies, milliseconds } = served([2, 3, 2], 100);
  expect([...latencies.milliseconds()]).toEqual([2, 3, 2]);
  expect(milliseconds).toBe(22);
});

test("a rate whose intervals are no whole numbers loses nobody", () => {
  const { latencies, milliseconds } = served(
    Array.from({ length: 1000 }, () => 0.0801),
    30_000,
  );
  // The last trip leaves behind only who came while it was under way.
  expect(latencies.count).toBeGreaterThanOrEqual(Math.floor((milliseconds - 0.0801) * 30));
  expect(latencies.quantileUs(0)).toBeGreaterThanOrEqual(80);
  expect(latencies.quantileUs(1)).toBeLessThan(2 * 80.1 + 34);
});

test("who comes in bunches is due when his bunch is", () => {
  // Due at 0, 2, 2, 4, 4 ms, and so on.
  expect([...served([1, 3, 1], 1000, 2).latencies.milliseconds()]).toEqual([1, 3, 3, 2, 2]);
});
