import { setTimeout as sleep } from "node:timers/promises";
import { pwrite } from "@stonewal/io-pwrite";
import { SimDisk } from "@stonewal/io-sim";
import { attachLog, SharedLog } from "@stonewal/threads";
import { openLog } from "@stonewal/writer";
import { expect, test } from "vitest";
import { Committer, read, scratch } from "./support/committers.js";

const SMALL = { segmentBytes: 1024 * 1024, frameBytes: 65_536, bufferBytes: 262_144 } as const;

async function realLog() {
  const directory = scratch();
  const open = () => openLog({ io: pwrite(), ownsIo: true, directory, ...SMALL });
  return { wal: await open(), open };
}

test("four threads: every record is there once, each thread's in its own order, with the LSN it was told", async () => {
  const { wal, open } = await realLog();
  const shared = new SharedLog(wal);
  const committers = [0, 1, 2, 3].map(
    (number) => new Committer(number, shared.link(), { count: 2000, inFlight: 50, pad: 300 }),
  );
  const own = Array.from({ length: 100 }, (_, index) =>
    wal.commit({ payload: Buffer.from([0, 0, 0, 9, 0, 0, 0, index]) }),
  );
  for (const { outcome } of committers) expect(await outcome).toEqual({ done: true });
  await Promise.all(own);
  await shared.close();
  await wal.close();

  const again = await open();
  const records = await read(again);
  expect(records.size).toBe(4 * 2000 + 100);
  for (const committer of committers) {
    const acknowledged = committer.acknowledged();
    expect(acknowledged.size).toBe(2000);
    let previous = 0;
    for (const [number, lsn] of acknowledged) {
      expect(records.get(lsn)).toEqual({ worker: committer.number, number });
      expect(lsn).toBeGreaterThan(previous);
      previous = lsn;
    }
  }
  await again.close();
});

test("a ring that is far too small for what is on its way, and a log that is too: commits wait their turn, none is lost", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const link = () => shared.link({ ringBytes: 65_536, pendingLimit: 7 });
  const committers = [0, 1].map(
    (number) => new Committer(number, link(), { count: 600, inFlight: 60, pad: 20_000 }),
  );
  for (const { outcome } of committers) expect(await outcome).toEqual({ done: true });
  const records = await read(wal);
  for (const committer of committers) {
    for (const [number, lsn] of committer.acknowledged())
      expect(records.get(lsn)).toEqual({ worker: committer.number, number });
  }
  expect(records.size).toBe(1200);
  await shared.close();
  await wal.close();
});

test("nothing is acknowledged to another thread before the log calls it durable", async () => {
  const disk = new SimDisk({ seed: 3 });
  const wal = await openLog({ io: disk.mount(), directory: "/log", idleMs: 0 });
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  const early: number[] = [];
  const commits = Array.from({ length: 300 }, async (_, index) => {
    for (let round = 0; round < index % 7; round += 1) await Promise.resolve();
    const lsn = await log.commit({ payload: new Uint8Array(index) });
    if (lsn > wal.durableLsn) early.push(lsn);
  });
  await Promise.all(commits);
  expect(early).toEqual([]);
  disk.crash();
  const again = await openLog({ io: disk.mount(), directory: "/log", idleMs: 0 });
  expect(again.durableLsn).toBe(300);
  await again.close();
});

test("atomic batches of several threads do not mix", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const committers = [0, 1, 2].map(
    (number) => new Committer(number, shared.link(), { count: 900, inFlight: 9, batch: 9, pad: 100 }),
  );
  for (const { outcome } of committers) expect(await outcome).toEqual({ done: true });
  const records = [...(await read(wal)).values()];
  expect(records.length).toBe(2700);
  for (let start = 0; start < records.length; start += 9) {
    const { worker, number } = records[start] as { worker: number; number: number };
    expect(number % 9).toBe(0);
    expect(records.slice(start, start + 9)).toEqual(
      Array.from({ length: 9 }, (_, index) => ({ worker, number: number + index })),
    );
  }
  await shared.close();
  await wal.close();
});

test("fields of a record cross over as they are, the highest values too", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  const fields = { type: 0xffff_ffff, shard: 0xffff_fffe, tenant: 2n ** 64n - 1n, database: 2n ** 63n };
  await log.commit({ payload: new Uint8Array(0), ...fields });
  for await (const record of wal.read()) {
    const { type, shard, tenant, database, payload } = record;
    expect({ type, shard, tenant, database }).toEqual(fields);
    expect(payload.length).toBe(0);
  }
  await log.close();
  await shared.close();
  await wal.close();
});

test("what is wrong with a record is a typed error, and the next one goes through", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link({ ringBytes: 65_536 }));
  const payload = new Uint8Array(10);
  await expect(log.commit({ payload: "text" as never })).rejects.toMatchObject({ code: "RECORD_ARGUMENT" });
  await expect(log.commit({ payload, type: -1 })).rejects.toMatchObject({ code: "RECORD_ARGUMENT" });
  await expect(log.commit({ payload: new Uint8Array(40_000) })).rejects.toMatchObject({
    code: "WAL_RECORD_TOO_LARGE",
  });
  await expect(log.commitBatch([])).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
  await expect(
    log.commitBatch([{ payload: new Uint8Array(20_000) }, { payload: new Uint8Array(20_000) }]),
  ).rejects.toMatchObject({ code: "WAL_RECORD_TOO_LARGE" });
  expect(await log.commit({ payload })).toBe(1);
  expect(await log.commitBatch([{ payload }, { payload }])).toEqual({ firstLsn: 2, lastLsn: 3 });
  expect(() => shared.link({ ringBytes: 1 })).toThrow(expect.objectContaining({ code: "WAL_ARGUMENT" }));
  expect(() => attachLog({} as never)).toThrow(expect.objectContaining({ code: "WAL_ARGUMENT" }));
  await shared.close();
  await wal.close();
});

test("a batch that only the log finds too large is refused alone", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  const record = { payload: new Uint8Array(60_000) };
  const results = await Promise.allSettled([
    log.commit(record),
    log.commitBatch(Array.from({ length: 20 }, () => record)),
    log.commit(record),
  ]);
  expect(results).toMatchObject([
    { status: "fulfilled", value: 1 },
    { status: "rejected", reason: { name: "WalError", code: "WAL_RECORD_TOO_LARGE" } },
    { status: "fulfilled", value: 2 },
  ]);
  await shared.close();
  await wal.close();
});

test("a failed sync: what was on its way is rejected with WAL_POISONED, and so is all that follows", async () => {
  const disk = new SimDisk({ seed: 1 });
  const wal = await openLog({ io: disk.mount(), directory: "/log", dwb: { mode: "off" }, idleMs: 0 });
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  const payload = new Uint8Array(10);
  expect(await log.commit({ payload })).toBe(1);
  disk.fail({ operation: "write", path: /\.wal$/ });
  const results = await Promise.allSettled([log.commit({ payload }), log.commit({ payload })]);
  for (const result of results)
    expect(result).toMatchObject({
      status: "rejected",
      reason: {
        name: "WalError",
        code: "WAL_POISONED",
        cause: { name: "IoError", code: "IO_WRITE_FAILED", message: expect.any(String) },
      },
    });
  await expect(log.commit({ payload })).rejects.toMatchObject({ code: "WAL_POISONED" });
  await shared.close();
  await wal.close().catch(() => undefined);
});

test("a disk without space: the commit is refused with WAL_NO_SPACE, and goes through once there is some", async () => {
  const disk = new SimDisk({ seed: 1, capacityBytes: 3 * 1024 * 1024 });
  const wal = await openLog({
    io: disk.mount(),
    directory: "/log",
    dwb: { mode: "off" },
    segmentBytes: 1024 * 1024,
    frameBytes: 65_536,
    bufferBytes: 262_144,
    idleMs: 0,
  });
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  let refused: unknown;
  let durable = 0;
  for (let number = 0; number < 100 && refused === undefined; number += 1) {
    await log.commit({ payload: new Uint8Array(60_000) }).then(
      (lsn) => {
        durable = lsn;
      },
      (error: unknown) => {
        refused = error;
      },
    );
  }
  expect(refused).toMatchObject({ code: "WAL_NO_SPACE" });
  expect(wal.durableLsn).toBe(durable);
  await wal.checkpoint(durable);
  expect(await log.commit({ payload: new Uint8Array(60_000) })).toBe(durable + 1);
  await shared.close();
  await wal.close();
});

test("closing: what was put in before is durable and told, what comes later is refused with WAL_CLOSED", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  const before = Array.from({ length: 50 }, () => log.commit({ payload: new Uint8Array(100) }));
  await shared.close();
  expect(wal.durableLsn).toBe(50);
  expect(await Promise.all(before)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  await sleep(10);
  await expect(log.commit({ payload: new Uint8Array(1) })).rejects.toMatchObject({ code: "WAL_CLOSED" });
  expect(() => shared.link()).toThrow(expect.objectContaining({ code: "WAL_CLOSED" }));
  await log.close();
  expect(shared.links).toBe(0);
  await wal.close();
});

test("a log closed under its workers refuses their commits, and hangs nobody", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  await log.commit({ payload: new Uint8Array(1) });
  await wal.close();
  await expect(log.commit({ payload: new Uint8Array(1) })).rejects.toMatchObject({ code: "WAL_CLOSED" });
  await log.close();
  await shared.close();
});

test("a link is attached once: a second time, or again after closing, would write over what is on its way", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const link = shared.link();
  const log = attachLog(link);
  const again = () => attachLog(link);
  expect(again).toThrow(expect.objectContaining({ name: "WalError", code: "WAL_ARGUMENT" }));
  expect(await log.commit({ payload: new Uint8Array(1) })).toBe(1);
  await log.close();
  expect(again).toThrow(expect.objectContaining({ name: "WalError", code: "WAL_ARGUMENT" }));
  await shared.close();
  await wal.close();
});

test.each([0, 20])(
  "attached after its log has gone, %i ms later: refuses, and hangs nobody",
  async (milliseconds) => {
    const { wal } = await realLog();
    const shared = new SharedLog(wal);
    const link = shared.link();
    await shared.close();
    if (milliseconds > 0) await sleep(milliseconds);
    const log = attachLog(link);
    await expect(log.commit({ payload: new Uint8Array(1) })).rejects.toMatchObject({ code: "WAL_CLOSED" });
    await log.close();
    await wal.close();
  },
);

/** A simulated disk whose chains wait until the gate opens. */
function gatedDisk() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const gate = { closed: false, open };
  const io = new Proxy(new SimDisk({ seed: 1 }).mount(), {
    get(target, name) {
      if (name === "submit" && gate.closed)
        return (chain: Parameters<typeof target.submit>[0]) => opened.then(() => target.submit(chain));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { io, gate };
}

test("a cut while a record waits for room: those before it are told of the LSNs they had, and it gets one behind the cut", async () => {
  const { io, gate } = gatedDisk();
  const wal = await openLog({ io, directory: "/log", ...SMALL, idleMs: 0 });
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  gate.closed = true;
  const own = wal.commit({ payload: new Uint8Array(1) });
  const cut = wal.truncateAfter(0);
  // Three frames fit behind the one on its way; for the fourth all of them must be durable.
  const commits = [60_000, 60_000, 60_000, 190_000, 10].map((bytes) =>
    log.commit({ payload: new Uint8Array(bytes) }),
  );
  while (wal.nextLsn < 5) await sleep(1);
  gate.open();
  await cut;
  expect(await own).toBe(1);
  expect(await Promise.all(commits)).toEqual([2, 3, 4, 1, 2]);
  expect(wal.durableLsn).toBe(2);
  await shared.close();
  await wal.close();
});

test("commits that wait their turn are what they were when they were made; one whose payload is gone is refused alone", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link({ pendingLimit: 1 }));
  const payload = new Uint8Array(1);
  const first = log.commit({ payload });
  const batch = [{ payload }, { payload }];
  const emptied = log.commitBatch(batch);
  batch.length = 0;
  const record = { payload, type: 1 };
  const reused = log.commit(record);
  record.type = 2;
  record.payload = new Uint8Array(2);
  const lost = new Uint8Array(3);
  const refused = log.commit({ payload: lost });
  structuredClone(lost.buffer, { transfer: [lost.buffer] });
  await expect(refused).rejects.toMatchObject({ code: "RECORD_ARGUMENT" });
  expect(await log.commit({ payload })).toBe(5);
  expect(await Promise.all([first, emptied, reused])).toEqual([1, { firstLsn: 2, lastLsn: 3 }, 4]);
  const found: number[] = [];
  for await (const { type, payload: read } of wal.read()) found.push(10 * type + read.length);
  expect(found).toEqual([1, 1, 1, 11, 1]);
  await log.close();
  await shared.close();
  await wal.close();
});

test("a failure that the log has no code for is told as it is: the log isn't poisoned", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link());
  const { io } = wal;
  const { arena } = io;
  io.arena = () => {
    throw new RangeError("Array buffer allocation failed");
  };
  const refused: unknown = await log.commit({ payload: new Uint8Array(1) }).catch((error: unknown) => error);
  io.arena = arena;
  expect(refused).toMatchObject({ name: "RangeError", message: "Array buffer allocation failed" });
  expect(refused).not.toHaveProperty("code");
  expect(await log.commit({ payload: new Uint8Array(1) })).toBe(1);
  await shared.close();
  await wal.close();
});

test("a payload that is made anew whenever it is asked for, and longer later, takes no other request's place", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const log = attachLog(shared.link({ ringBytes: 65_536 }));
  // The next ones lie at the ring's beginning, in front of those that are still there.
  for (let i = 0; i < 10; i += 1) await log.commit({ payload: new Uint8Array(3000) });
  const before = Array.from({ length: 15 }, () => log.commit({ payload: new Uint8Array(3000) }));
  for (let last = 1; last <= 5; last += 1) {
    let reads = 0;
    const changing = {
      get payload(): Uint8Array {
        reads += 1;
        return new Uint8Array(reads >= last ? 30_000 : 10);
      },
    };
    await log.commit(changing);
  }
  expect(await Promise.all(before)).toEqual(Array.from({ length: 15 }, (_, index) => 11 + index));
  await shared.close();
  await wal.close();
});

test("a link that nobody attaches lasts until its port, or the shared log, is closed", async () => {
  const { wal } = await realLog();
  const shared = new SharedLog(wal);
  const [first] = [shared.link(), shared.link()];
  expect(shared.links).toBe(2);
  first.port.close();
  while (shared.links === 2) await sleep(1);
  await shared.close();
  while (shared.links === 1) await sleep(1);
  expect(shared.links).toBe(0);
  await wal.close();
});
