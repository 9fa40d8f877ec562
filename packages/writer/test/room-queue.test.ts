import { expect, test } from "vitest";
import { RoomQueue } from "../src/room-queue.js";

const record = (text: string) => ({ payload: new TextEncoder().encode(text) });

test("nobody who comes later gets an LSN before those who wait for room", async () => {
  let room = 0;
  let lsn = 0;
  const order: string[] = [];
  const queue = new RoomQueue((entry) => {
    if (room === 0) return undefined;
    room -= 1;
    lsn += 1;
    order.push(entry === undefined ? "ready" : new TextDecoder().decode(entry.payload));
    return lsn;
  });
  const entered = [queue.enter(record("a")), queue.enter(undefined), queue.enter(record("b"))];
  expect(queue.waiting).toBe(3);
  room = 2;
  queue.retry();
  expect(queue.waiting).toBe(1);
  room = 5;
  queue.retry();
  expect(await Promise.all(entered)).toEqual([1, 2, 3]);
  expect(order).toEqual(["a", "ready", "b"]);
});

test("a record that can never be appended does not hold up those behind it", async () => {
  const refused = new Error("too large");
  const queue = new RoomQueue((entry) => {
    if (entry !== undefined && entry.payload.length > 1) throw refused;
    return 7;
  });
  await expect(queue.enter(record("long"))).rejects.toBe(refused);
  expect(await queue.enter(record("x"))).toBe(7);
});

test("closing tells everyone who waits, once", async () => {
  const queue = new RoomQueue(() => undefined);
  const waiting = Promise.allSettled([queue.enter(record("a")), queue.enter(record("b"))]);
  const closed = new Error("closed");
  queue.fail(closed);
  expect(await waiting).toEqual([
    { status: "rejected", reason: closed },
    { status: "rejected", reason: closed },
  ]);
  expect(queue.waiting).toBe(0);
});
