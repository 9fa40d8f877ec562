import { expect, test } from "vitest";
import { RoomQueue } from "../src/room-queue.js";

test("nobody who comes later gets an LSN before those who wait for room", async () => {
  let room = 0;
  let lsn = 0;
  const order: string[] = [];
  const queue = new RoomQueue();
  const append = (name: string) => () => {
    if (room === 0) return undefined;
    room -= 1;
    lsn += 1;
    order.push(name);
    return lsn;
  };
  const entered = ["a", "b", "c"].map((name) => queue.enter(append(name)));
  expect(queue.waiting).toBe(3);
  room = 2;
  queue.retry();
  expect(queue.waiting).toBe(1);
  room = 5;
  queue.retry();
  expect(await Promise.all(entered)).toEqual([1, 2, 3]);
  expect(order).toEqual(["a", "b", "c"]);
});

test("a record that can never be appended does not hold up those behind it", async () => {
  const refused = new Error("too large");
  const queue = new RoomQueue();
  const impossible = queue.enter(() => {
    throw refused;
  });
  await expect(impossible).rejects.toBe(refused);
  expect(await queue.enter(() => 7)).toBe(7);
});

test("closing tells everyone who waits, once", async () => {
  const queue = new RoomQueue();
  const waiting = Promise.allSettled([queue.enter(() => undefined), queue.enter(() => undefined)]);
  const closed = new Error("closed");
  queue.fail(closed);
  expect(await waiting).toEqual([
    { status: "rejected", reason: closed },
    { status: "rejected", reason: closed },
  ]);
  expect(queue.waiting).toBe(0);
});
