import { expect, test } from "vitest";
import { DurabilityWaiters } from "../src/waiters.js";

test("a waiter hears success only when its own LSN is durable, and in LSN order", async () => {
  const waiters = new DurabilityWaiters();
  const told: number[] = [];
  for (const lsn of [1, 2, 5, 3, 9, 4]) void waiters.wait(lsn).then((value) => told.push(value));
  waiters.resolveThrough(3);
  await Promise.resolve();
  expect(told).toEqual([1, 2, 3]);
  expect(waiters.size).toBe(3);
  waiters.resolveThrough(9);
  await Promise.resolve();
  expect(told).toEqual([1, 2, 3, 4, 5, 9]);
  expect(waiters.size).toBe(0);
});

test("a failed batch rejects everyone who waits, and a later success reaches none of them", async () => {
  const waiters = new DurabilityWaiters();
  const results = Promise.allSettled([waiters.wait(1), waiters.wait(2)]);
  const failure = new Error("disk gone");
  waiters.rejectAll(failure);
  waiters.resolveThrough(10);
  expect(await results).toEqual([
    { status: "rejected", reason: failure },
    { status: "rejected", reason: failure },
  ]);
});

test("thousands of waiters are told without keeping those already told", async () => {
  const waiters = new DurabilityWaiters();
  const all = Promise.all(Array.from({ length: 5000 }, (_, index) => waiters.wait(index + 1)));
  for (let lsn = 7; lsn <= 5000 + 7; lsn += 7) waiters.resolveThrough(lsn);
  expect((await all).length).toBe(5000);
  expect(waiters.size).toBe(0);
});
