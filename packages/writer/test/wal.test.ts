import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { encodeRecord, REQUIRED_TYPE } from "@stonewal/record";
import { describe, expect, test } from "vitest";
import { openLog } from "../src/index.js";
import {
  bytes,
  DIRECTORY,
  fill,
  lastSegment,
  lastUsedBlock,
  makeDisk,
  openOn,
  SMALL,
  textsOf,
} from "./support/sim-log.js";

describe("appending and committing", () => {
  test("a committed record survives a power cut; an appended one is not called durable", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openOn(disk);
    expect(await wal.commit({ payload: bytes("kept") })).toBe(1);
    expect(wal.append({ payload: bytes("not yet") })).toBe(2);
    expect(wal.durableLsn).toBe(1);
    expect(wal.nextLsn).toBe(3);
    disk.crash();
    const again = await openOn(disk);
    expect(again.created).toBe(false);
    expect(await textsOf(again)).toEqual(["1:kept"]);
    expect(again.nextLsn).toBe(2);
    await again.close();
  });

  test("commits of one turn share a chain, and each resolves to its own LSN", async () => {
    const wal = await openOn(makeDisk());
    const before = wal.stats().flushes;
    const lsns = await Promise.all(
      Array.from({ length: 100 }, (_, i) => wal.commit({ payload: bytes(`r${i}`) })),
    );
    expect(lsns).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(wal.stats().flushes - before).toBe(1);
    expect(wal.stats().recordsAppended).toBe(100);
    await wal.close();
  });

  test("a payload changed after append is not what gets written", async () => {
    const wal = await openOn(makeDisk());
    const payload = bytes("original");
    wal.append({ payload });
    payload.fill(0x78);
    await wal.sync();
    expect(await textsOf(wal)).toEqual(["1:original"]);
    await wal.close();
  });

  test("all fields of a record come back, u64 and the required bit too", async () => {
    const wal = await openOn(makeDisk());
    const tenant = 2n ** 64n - 1n;
    await wal.commit({
      payload: bytes("x"),
      type: REQUIRED_TYPE + 5,
      tenant,
      shard: 0xffffffff,
      database: 12,
    });
    for await (const record of wal.read()) {
      expect(record).toMatchObject({ lsn: 1, required: true, tenant, shard: 0xffffffff, database: 12n });
      expect(record.type).toBe(REQUIRED_TYPE + 5);
    }
    await wal.close();
  });

  test("a record encoded beforehand gets its LSN from its place, and damaged bytes are refused", async () => {
    const wal = await openOn(makeDisk());
    wal.append({ payload: bytes("a") });
    const encoded = encodeRecord({ payload: bytes("b"), type: 3 });
    expect(wal.appendEncoded(encoded)).toBe(2);
    const damaged = encoded.slice();
    damaged[32] = (damaged[32] ?? 0) ^ 1;
    expect(() => wal.appendEncoded(damaged)).toThrow(expect.objectContaining({ code: "RECORD_CHECKSUM" }));
    expect(() => wal.appendEncoded(encoded.subarray(0, 10))).toThrow(
      expect.objectContaining({ code: "RECORD_MALFORMED" }),
    );
    await wal.commit({ payload: bytes("c") });
    expect(await textsOf(wal)).toEqual(["1:a", "2:b", "3:c"]);
    await wal.close();
  });

  test("bad input is refused with a code, and gives no LSN", async () => {
    const wal = await openOn(makeDisk());
    const code = (expected: string) => expect.objectContaining({ code: expected });
    expect(() => wal.append({ payload: "text" as unknown as Uint8Array })).toThrow(code("RECORD_ARGUMENT"));
    expect(() => wal.append({ payload: bytes("x"), type: -1 })).toThrow(code("RECORD_ARGUMENT"));
    expect(() => wal.appendBatch([])).toThrow(code("WAL_ARGUMENT"));
    expect(() => wal.append({ payload: new Uint8Array(wal.maxPayloadBytes + 1) })).toThrow(
      code("WAL_RECORD_TOO_LARGE"),
    );
    await expect(wal.flushUntil(1)).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
    await expect(wal.flushUntil(Number.NaN)).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
    await expect(wal.checkpoint(1)).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
    expect(wal.nextLsn).toBe(1);
    await wal.flushUntil(0);
    await wal.close();
  });

  test("a wrong argument is told from a right one that is out of place", async () => {
    const wal = await openOn(makeDisk());
    const refused = (says: RegExp) => ({ code: "WAL_ARGUMENT", message: expect.stringMatching(says) });
    const record = { payload: bytes("a") };
    const records = function* () {
      yield record;
    };
    for (const one of [record, records(), undefined]) {
      const batch = one as unknown as [];
      await expect(wal.commitBatch(batch)).rejects.toMatchObject(refused(/array of records/));
      expect(() => wal.appendBatch(batch)).toThrow(expect.objectContaining(refused(/array of records/)));
    }
    await expect(wal.commitBatch([])).rejects.toMatchObject(refused(/at least one record/));
    await wal.commit(record);
    for (const [given, shown] of [
      [1n, "1n"],
      ["1", '"1"'],
      [undefined, "undefined"],
      [-1, "-1"],
      [0.5, "0.5"],
    ]) {
      const lsn = given as number;
      const says = refused(new RegExp(`an LSN must be an integer.*, not ${shown}$`));
      await expect(wal.flushUntil(lsn)).rejects.toMatchObject(says);
      await expect(wal.checkpoint(lsn)).rejects.toMatchObject(says);
      await expect(wal.truncateAfter(lsn)).rejects.toMatchObject(says);
    }
    await expect(wal.flushUntil(2)).rejects.toMatchObject(refused(/LSN 2 has not been given; the next is 2/));
    expect(wal.nextLsn).toBe(2);
    await wal.close();
  });

  test("the largest payload there may be fits", async () => {
    const wal = await openOn(makeDisk());
    await wal.commit({ payload: new Uint8Array(wal.maxPayloadBytes).fill(7) });
    for await (const record of wal.read()) expect(record.payload.length).toBe(wal.maxPayloadBytes);
    await wal.close();
  });

  test("an atomic batch of more than a frame is refused whole", async () => {
    const wal = await openOn(makeDisk());
    const half = { payload: new Uint8Array(wal.maxPayloadBytes / 2 + 1) };
    expect(() => wal.appendBatch([half, half])).toThrow(
      expect.objectContaining({ code: "WAL_RECORD_TOO_LARGE" }),
    );
    expect(wal.nextLsn).toBe(1);
    expect(wal.appendBatch([half])).toEqual({ firstLsn: 1, lastLsn: 1 });
    await wal.close();
  });

  test("commits that wait their turn are what they were when they were made", async () => {
    const wal = await openOn(makeDisk());
    const { appended } = fill(wal, 60_000);
    // It waits, and so do those behind it.
    const first = wal.commit({ payload: new Uint8Array(60_000) });
    const batch = [{ payload: bytes("a") }, { payload: bytes("b") }];
    const emptied = wal.commitBatch(batch);
    batch.length = 0;
    const record = { payload: bytes("c"), type: 1 };
    const reused = wal.commit(record);
    record.payload = bytes("d");
    record.type = 2;
    const lsn = await first;
    expect(lsn).toBe(appended + 1);
    expect(await emptied).toEqual({ firstLsn: lsn + 1, lastLsn: lsn + 2 });
    expect(await reused).toBe(lsn + 3);
    const texts = await textsOf(wal);
    expect(texts.slice(lsn)).toEqual([`${lsn + 1}:a`, `${lsn + 2}:b`, `${lsn + 3}:c`]);
    await wal.close();
  });

  test("a new log counts from its start LSN", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { startLsn: 1000 });
    expect(wal.durableLsn).toBe(999);
    expect(await wal.commit({ payload: bytes("x") })).toBe(1000);
    await wal.close();
    const again = await openOn(disk, { startLsn: 5 });
    expect(await textsOf(again)).toEqual(["1000:x"]);
    await again.close();
  });

  test("the path to a new log is durable before the first commit is, even if an earlier attempt died on the way", async () => {
    for (let nth = 1; nth <= 4; nth += 1) {
      const disk = makeDisk({ crashPolicy: "none" });
      const directory = "/a/b/log";
      disk.fail({ operation: "syncDirectory", nth });
      await openOn(disk, { directory }).then(
        (wal) => wal.close(),
        (error: { code: string }) => expect(error.code).toBe("IO_FAILED"),
      );
      disk.kill();
      const wal = await openOn(disk, { directory });
      const lsn = await wal.commit({ payload: bytes("kept") });
      disk.crash();
      const again = await openOn(disk, { directory });
      expect(await textsOf(again)).toEqual([`${lsn}:kept`]);
      await again.close();
    }
  });

  test("after the last LSN there is none", async () => {
    const wal = await openOn(makeDisk(), { startLsn: Number.MAX_SAFE_INTEGER - 2 });
    const codes: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      await wal.commit({ payload: bytes("x") }).catch((error: { code: string }) => codes.push(error.code));
    }
    expect(codes.length).toBeGreaterThan(0);
    expect(new Set(codes)).toEqual(new Set(["WAL_LSN_EXHAUSTED"]));
    await wal.close();
  });
});

describe("room", () => {
  test("memory is bounded: append is refused, ready() waits, and nothing is lost", async () => {
    const wal = await openOn(makeDisk(), { segmentBytes: 4_194_304 });
    const refused = fill(wal, 1000);
    expect(refused.code).toBe("WAL_BACKPRESSURE");
    expect(wal.stats().bufferedBytes).toBeLessThanOrEqual(wal.stats().bufferLimitBytes);
    await wal.ready();
    expect(wal.append({ payload: bytes("again") })).toBe(refused.appended + 1);
    await wal.sync();
    expect(wal.durableLsn).toBe(refused.appended + 1);
    await wal.close();
  });

  test("commits wait for room in order, through rolling segments", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    const payload = new Uint8Array(20_000);
    const lsns = await Promise.all(Array.from({ length: 60 }, () => wal.commit({ payload })));
    expect(lsns).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    expect(wal.stats().segmentsActivated).toBeGreaterThan(5);
    await wal.close();
  });

  test("batches wait for room too, and commits behind them do not overtake", async () => {
    const wal = await openOn(makeDisk());
    const payload = new Uint8Array(15_000);
    const results = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        if (i % 2 === 0) return wal.commit({ payload });
        return (await wal.commitBatch([{ payload }, { payload }])).lastLsn;
      }),
    );
    expect(results).toEqual(results.toSorted((a, b) => a - b));
    expect(wal.durableLsn).toBe(30);
    await wal.close();
  });

  test("a loop that waits with ready() whenever append is refused ends", async () => {
    const wal = await openOn(makeDisk());
    for (let appended = 0; appended < 40; ) {
      try {
        wal.append({ payload: new Uint8Array(30_000) });
        appended += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: "WAL_BACKPRESSURE" });
        await wal.ready();
      }
    }
    await wal.sync();
    expect(wal.durableLsn).toBe(40);
    await wal.close();
  });

  test("no space for the next segment: no LSN is given, what is acknowledged stays, and it goes on when there is space", async () => {
    const disk = makeDisk({ capacityBytes: 262_144 * 2 + 131_072 + 1_048_576 });
    const wal = await openOn(disk, { dwb: { slots: 4, slotBytes: 8192 } });
    let acknowledged = 0;
    let refusal: unknown;
    while (refusal === undefined) {
      try {
        acknowledged = await wal.commit({ payload: new Uint8Array(20_000) });
      } catch (error) {
        refusal = error;
      }
    }
    expect(refusal).toMatchObject({ code: "WAL_NO_SPACE" });
    expect(wal.nextLsn).toBe(acknowledged + 1);
    await expect(wal.commit({ payload: new Uint8Array(20_000) })).rejects.toMatchObject({
      code: "WAL_NO_SPACE",
    });
    // A checkpoint needs no space, and makes some.
    expect(await wal.checkpoint(acknowledged)).toBeGreaterThan(0);
    expect(await wal.commit({ payload: new Uint8Array(20_000) })).toBe(acknowledged + 1);
    disk.capacityBytes += 1_048_576;
    for (let i = 0; i < 20; i += 1) await wal.commit({ payload: new Uint8Array(20_000) });
    await wal.close();
  });

  test("a log on a disk without any free space can be opened, read, checkpointed and closed", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    for (let i = 0; i < 6; i += 1) await wal.commit({ payload: new Uint8Array(30_000) });
    disk.crash();
    disk.capacityBytes = 0;
    for (let life = 0; life < 12; life += 1) {
      const again = await openOn(disk);
      let records = 0;
      for await (const record of again.read()) records = record.lsn;
      expect(records).toBe(6);
      await again.checkpoint(0);
      await again.close();
      disk.crash();
    }
    disk.capacityBytes = 100_000_000;
    const last = await openOn(disk);
    expect(await last.commit({ payload: bytes("room again") })).toBe(7);
    await last.close();
  });
});

describe("failures", () => {
  test("a failed write poisons: waiters and later calls hear the first cause, and nothing is acknowledged afterwards", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { dwb: "off" });
    await wal.commit({ payload: bytes("a") });
    disk.fail({ operation: "write", path: /\.wal$/, nth: 1, errno: "EIO" });
    const results = await Promise.allSettled([
      wal.commit({ payload: bytes("b") }),
      wal.commit({ payload: bytes("c") }),
    ]);
    for (const result of results) {
      expect(result).toMatchObject({
        status: "rejected",
        reason: { code: "WAL_POISONED", cause: { code: "IO_WRITE_FAILED", errno: "EIO" } },
      });
    }
    expect(() => wal.append({ payload: bytes("d") })).toThrow(
      expect.objectContaining({ code: "WAL_POISONED" }),
    );
    await expect(wal.sync()).rejects.toMatchObject({ code: "WAL_POISONED" });
    await expect(wal.checkpoint(1)).rejects.toMatchObject({ code: "WAL_POISONED" });
    await wal.flushUntil(1);
    expect(wal.durableLsn).toBe(1);
    await expect(wal.close()).rejects.toMatchObject({ code: "WAL_POISONED" });
    const again = await openOn(disk);
    expect((await textsOf(again))[0]).toBe("1:a");
    await again.close();
  });

  test("a full disk under a data write poisons", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { dwb: "off" });
    disk.fail({ operation: "write", path: /\.wal$/, nth: 1, errno: "ENOSPC" });
    await expect(wal.commit({ payload: bytes("a") })).rejects.toMatchObject({
      code: "WAL_POISONED",
      cause: { code: "IO_NO_SPACE" },
    });
    await wal.close().catch(() => undefined);
  });

  test("a failing DWB is an error by default", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { dwb: "buffered" });
    disk.fail({ operation: "write", path: /dwb$/, nth: 1, errno: "EIO" });
    await expect(wal.commit({ payload: bytes("a") })).rejects.toMatchObject({ code: "WAL_POISONED" });
    await wal.close().catch(() => undefined);
  });

  test.each([
    ["direct", true],
    ["buffered", false],
  ])(
    "with onFailure 'degrade' a log that is written %s goes on without, says so, and a new DWB can be attached",
    async (_, direct) => {
      const disk = makeDisk();
      const wal = await openOn(disk, { direct, dwb: { mode: "buffered", onFailure: "degrade" } });
      expect(wal.protection).toBe("protecting");
      // Their copies are in the DWB that will be given up.
      for (const text of ["x", "y"]) await wal.commit({ payload: bytes(text) });
      const said: unknown[] = [];
      const listen = (message: unknown) => said.push((message as { protection: string }).protection);
      subscribe("stonewal:dwb", listen);
      disk.fail({ operation: "write", path: /dwb$/, nth: 1, errno: "EIO" });
      expect(await wal.commit({ payload: bytes("a") })).toBe(3);
      expect(wal.protection).toBe("degraded");
      expect(wal.stats().protection).toBe("degraded");
      await wal.commit({ payload: bytes("b") });
      await wal.attachDwb();
      expect(wal.protection).toBe("protecting");
      unsubscribe("stonewal:dwb", listen);
      expect(said).toEqual(["degraded", "protecting"]);
      // Until the folio has been left behind in which the copies were kept.
      const later = Array.from({ length: 20 }, (_, index) => `c${index}`);
      for (const text of later) await wal.commit({ payload: bytes(text) });
      disk.crash();
      const again = await openOn(disk);
      const all = ["x", "y", "a", "b", ...later];
      expect(await textsOf(again)).toEqual(all.map((text, index) => `${index + 1}:${text}`));
      await again.close();
    },
  );

  test("with onFailure 'degrade' a failure of the log's own sync still poisons: it is not tried again", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { dwb: { mode: "buffered", onFailure: "degrade" } });
    disk.fail({ operation: "sync", path: /\.wal$/ });
    await expect(wal.commit({ payload: bytes("a") })).rejects.toMatchObject({ code: "WAL_POISONED" });
    await wal.close().catch(() => undefined);
  });

  test("a file that can't be closed does not keep the lock", async () => {
    const disk = makeDisk();
    const process = disk.mount();
    const io = new Proxy(process, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (name !== "open") return typeof value === "function" ? (value.bind(target) as unknown) : value;
        return async (...call: Parameters<typeof process.open>) => {
          const file = await target.open(...call);
          if (!call[0].endsWith("anchor")) return file;
          file.close = () => Promise.reject(new Error("close failed"));
          return file;
        };
      },
    });
    const wal = await openLog({ io, directory: DIRECTORY, ...SMALL });
    await wal.commit({ payload: bytes("a") });
    await expect(wal.close()).rejects.toThrow("close failed");
    expect(await process.isLocked(`${DIRECTORY}/lock`)).toBe(false);
  });

  test("two writers cannot have one log", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    await expect(openOn(disk)).rejects.toMatchObject({
      code: "WAL_LOCKED",
      message: expect.stringContaining("its lock ends when it closes the log, or when its process ends"),
    });
    await wal.commit({ payload: bytes("a") });
    await wal.close();
    await (await openOn(disk)).close();
  });

  test("what can't be had is refused at open, and by name", async () => {
    const disk = makeDisk({ direct: false });
    await expect(openOn(disk, { direct: true })).rejects.toMatchObject({ code: "WAL_UNSUPPORTED" });
    await expect(openOn(disk, { dwb: "direct" })).rejects.toMatchObject({ code: "WAL_UNSUPPORTED" });
    await expect(openOn(disk, { create: false })).rejects.toMatchObject({ code: "WAL_NOT_FOUND" });
    const wal = await openOn(disk);
    expect(wal.direct).toBe(false);
    await wal.close();
  });
});

describe("the double-write buffer", () => {
  test("a frame larger than the ring is written unprotected, and counted", async () => {
    const wal = await openOn(makeDisk(), { dwb: { slots: 2, slotBytes: 4096 } });
    const before = wal.stats();
    await wal.commit({ payload: new Uint8Array(100) });
    await wal.commit({ payload: new Uint8Array(20_000) });
    const { protectedFrames, unprotectedFrames } = wal.stats();
    expect(protectedFrames - before.protectedFrames).toBe(1);
    expect(unprotectedFrames - before.unprotectedFrames).toBe(1);
    await wal.close();
  });

  test.each([
    [
      "buffered, where a torn folio may take frames before it: its header is copied, which bears witness of them",
      false,
      4096,
    ],
    ["direct, where nothing takes them: it costs the DWB nothing", true, 0],
  ])("a frame larger than the ring in a log that is written %s", async (_, direct, copied) => {
    const wal = await openOn(makeDisk(), { direct, dwb: { mode: "buffered", slots: 2, slotBytes: 4096 } });
    const before = wal.stats();
    await wal.commit({ payload: new Uint8Array(20_000) });
    expect(wal.stats().dwbBytesWritten - before.dwbBytesWritten).toBe(copied);
    await wal.close();
  });

  test.each([
    [
      "a buffered log copies the frames of the folio that it goes on in beside its own first one, with one sync",
      false,
      8,
      7,
    ],
    [
      "a buffered log copies none of them where the ring has no room for all: older copies are not overwritten for it",
      false,
      6,
      1,
    ],
    ["a log that is written direct copies none of them", true, 8, 1],
  ])("opening %s", async (_, direct, slots, copies) => {
    const disk = makeDisk();
    const options = { direct, dwb: { mode: "buffered", slots, slotBytes: 4096 } } as const;
    const first = await openOn(disk, options);
    for (const text of ["a", "b", "c"]) await first.commit({ payload: bytes(text) });
    // Six frames, with those that say how it was opened and closed.
    await first.close();
    disk.crash("all");
    const opened = disk.trace.length;
    const wal = await openOn(disk, options);
    const steps = disk.trace
      .slice(opened)
      .map((step) => step.replace(/^\d+ (\w+) \S+?(dwb|wal)?( .*)?$/, "$1 $2"));
    const written = steps.slice(steps.indexOf("write dwb"));
    expect(written.filter((step) => step === "write dwb")).toHaveLength(copies);
    const barriers = written.filter((step) => /^(sync|write wal)\b/.test(step));
    expect(barriers).toEqual(["sync dwb", "write wal", "sync wal"]);
    expect(wal.stats()).toMatchObject({ protectedFrames: 1, unprotectedFrames: 0 });
    await wal.close();
  });

  test("a batch of more records than the DWB has slots is protected whole", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { dwb: { slots: 4, slotBytes: 4096 } });
    await Promise.all(Array.from({ length: 300 }, (_, i) => wal.commit({ payload: bytes(`r${i}`) })));
    expect(wal.stats().unprotectedFrames).toBe(0);
    expect(wal.stats().protectedFrames).toBeGreaterThan(0);
    await wal.close();
  });

  test("one small record costs one block in the log and one in the DWB", async () => {
    const wal = await openOn(makeDisk());
    const before = wal.stats();
    await wal.commit({ payload: new Uint8Array(100) });
    const after = wal.stats();
    expect(after.segmentBytesWritten - before.segmentBytesWritten).toBe(4096);
    expect(after.dwbBytesWritten - before.dwbBytesWritten).toBe(4096);
    await wal.close();
  });

  test("the DWB is durable before the log is written: without that order a torn frame could have no copy", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { dwb: "buffered" });
    const from = disk.trace.length;
    await wal.commit({ payload: bytes("a") });
    const trace = disk.trace.slice(from);
    const lastDwb = trace.findLastIndex((line) => line.includes("/dwb"));
    const firstHome = trace.findIndex((line) => line.includes(".wal"));
    expect(lastDwb).toBeGreaterThanOrEqual(0);
    expect(firstHome).toBeGreaterThan(lastDwb);
    await wal.close();
  });
});

describe("moving the ends", () => {
  test("a checkpoint frees whole segments below it, and they are used again", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    for (let i = 0; i < 30; i += 1) await wal.commit({ payload: new Uint8Array(20_000) });
    const lsn = wal.durableLsn;
    const freed = await wal.checkpoint(lsn - 3);
    expect(freed).toBeGreaterThan(2);
    expect(wal.trimLsn).toBe(lsn - 3);
    expect(wal.stats().segmentsRecycled).toBeGreaterThan(0);
    const prepared = wal.stats().preparedBytes;
    for (let i = 0; i < 6; i += 1) await wal.commit({ payload: new Uint8Array(20_000) });
    expect(wal.stats().preparedBytes - prepared).toBeLessThanOrEqual(262_144);
    await wal.close();
    const again = await openOn(disk);
    let first: number | undefined;
    for await (const record of again.read()) first ??= record.lsn;
    expect(first).toBe(lsn - 2);
    expect(again.trimLsn).toBe(lsn - 3);
    await expect(async () => {
      for await (const _ of again.read({ from: 1 })) throw new Error("delivered");
    }).rejects.toMatchObject({ code: "WAL_TRIMMED" });
    await again.close();
  });

  test("truncateAfter removes what lies behind, for good, within a frame too", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    await Promise.all(["a", "b", "c", "d"].map((text) => wal.commit({ payload: bytes(text) })));
    await wal.commit({ payload: bytes("e") });
    await wal.truncateAfter(2);
    expect(wal.nextLsn).toBe(3);
    expect(wal.durableLsn).toBe(2);
    expect(await textsOf(wal)).toEqual(["1:a", "2:b"]);
    expect(await wal.commit({ payload: bytes("C") })).toBe(3);
    disk.crash();
    const again = await openOn(disk);
    expect(await textsOf(again)).toEqual(["1:a", "2:b", "3:C"]);
    await again.truncateAfter(0);
    expect(await textsOf(again)).toEqual([]);
    await again.close();
    const empty = await openOn(disk);
    expect(await textsOf(empty)).toEqual([]);
    expect(await empty.commit({ payload: bytes("A") })).toBe(1);
    await empty.close();
  });

  test("a cut again and again, across segments, leaves exactly what is in front of it", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    for (let round = 0; round < 4; round += 1) {
      while (wal.nextLsn <= 20) {
        await wal.commit({ payload: bytes(`${round}`.padEnd(20_000, ".")) });
      }
      await wal.truncateAfter(18 - 4 * round);
    }
    disk.crash();
    const again = await openOn(disk);
    const texts = await textsOf(again);
    expect(texts.map((text) => text.slice(0, text.indexOf(":") + 2))).toEqual([
      "1:0",
      "2:0",
      "3:0",
      "4:0",
      "5:0",
      "6:0",
    ]);
    await again.close();
  });

  test("a cut below the trim point or above the end is refused, and changes nothing", async () => {
    const wal = await openOn(makeDisk());
    for (let i = 0; i < 5; i += 1) await wal.commit({ payload: bytes(`${i}`) });
    await wal.checkpoint(3);
    await expect(wal.truncateAfter(2)).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
    await expect(wal.truncateAfter(6)).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
    expect(wal.nextLsn).toBe(6);
    await wal.close();
  });

  test("a cut at the end of the log flushes what was appended before it", async () => {
    const wal = await openOn(makeDisk());
    wal.append({ payload: bytes("a") });
    await wal.truncateAfter(1);
    expect(wal.durableLsn).toBe(1);
    await wal.close();
  });

  test("seal resolves though commits keep coming", async () => {
    const wal = await openOn(makeDisk(), { dwb: "off", segmentBytes: 67_108_864, bufferBytes: 4_194_304 });
    let sealed = false;
    const committers = Array.from({ length: 64 }, async () => {
      while (!sealed) await wal.commit({ payload: new Uint8Array(20_000) });
    });
    await wal.seal();
    sealed = true;
    await Promise.all(committers);
    await wal.close();
  });

  test("seal ends the active segment", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    wal.append({ payload: bytes("a") });
    await wal.seal();
    expect(wal.durableLsn).toBe(1);
    expect(disk.paths().filter((path) => path.endsWith(".wal")).length).toBe(2);
    await wal.commit({ payload: bytes("b") });
    await wal.close();
    expect(await textsOf(await openOn(disk))).toEqual(["1:a", "2:b"]);
  });
});

describe("a quiet log", () => {
  test("what was appended and never synced is flushed, and the last commit gets a witness", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openOn(disk, { idleMs: 100 });
    await wal.commit({ payload: bytes("a") });
    wal.append({ payload: bytes("b") });
    const frames = wal.stats().frames;
    disk.advance(101);
    await wal.flushUntil(2);
    await new Promise((resolve) => setImmediate(resolve));
    disk.advance(101);
    await expect.poll(() => wal.stats().frames).toBe(frames + 2);
    // Only once: an idle log does not write.
    for (let i = 0; i < 5; i += 1) {
      disk.advance(101);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(wal.stats().frames).toBe(frames + 2);
    await wal.close();
  });
});

describe("the end", () => {
  test("close makes everything durable, is idempotent, and later calls are refused", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    {
      await using wal = await openOn(disk);
      wal.append({ payload: bytes("a") });
      const closing = wal.close();
      expect(wal.close()).toBe(closing);
      await closing;
      expect(() => wal.append({ payload: bytes("b") })).toThrow(
        expect.objectContaining({ code: "WAL_CLOSED" }),
      );
      await expect(wal.commit({ payload: bytes("b") })).rejects.toMatchObject({ code: "WAL_CLOSED" });
      expect(wal.durableLsn).toBe(1);
    }
    disk.crash();
    const again = await openOn(disk);
    expect(await textsOf(again)).toEqual(["1:a"]);
    expect(again.recovery?.closedCleanly).toBe(true);
    await again.close();
  });

  test("a closed log can't be read, also where its back end is still there", async () => {
    const wal = await openOn(makeDisk());
    await wal.commit({ payload: bytes("a") });
    await wal.close();
    const closed = expect.objectContaining({ code: "WAL_CLOSED" });
    expect(() => wal.read()).toThrow(closed);
    expect(() => wal.follow()).toThrow(closed);
  });

  test("a log may change between the page cache and O_DIRECT at every open", async () => {
    const disk = makeDisk();
    for (let life = 0; life < 4; life += 1) {
      const wal = await openOn(disk, { direct: life % 2 === 0, dwb: life === 2 ? "off" : "buffered" });
      await wal.commit({ payload: bytes(`life ${life}`) });
      disk.crash();
    }
    const wal = await openOn(disk);
    expect(await textsOf(wal)).toEqual(["1:life 0", "2:life 1", "3:life 2", "4:life 3"]);
    await wal.close();
  });

  test("another segment size applies to new segments; another block size is refused", async () => {
    const disk = makeDisk();
    await (await openOn(disk)).close();
    const wal = await openOn(disk, { segmentBytes: 524_288 });
    for (let i = 0; i < 20; i += 1) await wal.commit({ payload: new Uint8Array(30_000) });
    await wal.close();
    await expect(openOn(disk, { blockBytes: 8192 })).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
    const io = disk.mount();
    const big = await openLog({ io, directory: "/big", ...SMALL, blockBytes: 8192, segmentBytes: 524_288 });
    await big.commit({ payload: bytes("x") });
    await big.close();
    expect(DIRECTORY).not.toBe("/big");
  });
});

test("a segment cut short to less than a compressed frame in it unpacks to is refused, and not read for ever", async () => {
  const disk = makeDisk({ crashPolicy: "all" });
  const options = { compression: "deflate-raw", dwb: "direct" } as const;
  const wal = await openOn(disk, options);
  await wal.commit({ payload: new Uint8Array(60_000) });
  disk.crash();
  const path = lastSegment(disk);
  disk.truncateFile(path, lastUsedBlock(disk, path) + 4096);
  await expect(openOn(disk, options)).rejects.toMatchObject({ code: expect.stringMatching(/^WAL_/) });
});
