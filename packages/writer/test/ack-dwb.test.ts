import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { type IoBackend, IoError, type Step } from "@stonewal/io";
import type { SimDisk } from "@stonewal/io-sim";
import { openReader } from "@stonewal/recovery";
import { describe, expect, test } from "vitest";
import { openLog, type Wal, type WalOptions } from "../src/index.js";
import { bytes, DIRECTORY, fill, lastSegment, makeDisk, openOn, textsOf, turns } from "./support/sim-log.js";

const BY_DWB = { ack: "dwb" } as const;
const DWB = `${DIRECTORY}/dwb`;

function openByDwb(disk: SimDisk, options: Partial<WalOptions> = {}): Promise<Wal> {
  return openOn(disk, { ...BY_DWB, ...options });
}

async function commitAll(wal: Wal, texts: readonly string[]): Promise<void> {
  for (const text of texts) await wal.commit({ payload: bytes(text) });
}

/** `io`, which has no memory for frames that are put side by side. */
function withoutMemoryToGather(io: IoBackend, asked: { gathers: number }): IoBackend {
  const arena = (size: number) => {
    if (size !== 1024 * 1024) return io.arena(size);
    asked.gathers += 1;
    throw new IoError("IO_FAILED", "no memory", { errno: "ENOMEM" });
  };
  return new Proxy(io, {
    get(target, name) {
      if (name === "arena") return arena;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** What the disk did since `from`, as far as the log's segments are concerned. */
function segmentWrites(disk: SimDisk, from: number): string[] {
  return disk.trace.slice(from).filter((line) => line.includes(".wal"));
}

async function remove(disk: SimDisk, path: string): Promise<void> {
  const io = disk.mount();
  await io.unlink(path);
  await io.syncDirectory(DIRECTORY);
  await io.close();
}

/** Lets the home writes have their time. */
async function settle(disk: SimDisk): Promise<void> {
  disk.advance(1000);
  await turns();
}

describe("a commit", () => {
  test("is acknowledged by the DWB's sync, before its place in the log is written, and survives a power cut there", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    const from = disk.trace.length;
    await commitAll(wal, ["a", "b"]);
    expect(segmentWrites(disk, from)).toEqual([]);
    expect(wal.durableLsn).toBe(2);
    expect(wal.stats()).toMatchObject({ ack: "dwb", framesOnlyInDwb: 2, homeChains: 0 });
    disk.crash();
    const again = await openByDwb(disk);
    expect(again.recovery?.restored.map(({ lastLsn }) => lastLsn)).toEqual([1, 2]);
    expect(again.recovery?.repaired).toEqual([]);
    expect(await textsOf(again)).toEqual(["1:a", "2:b"]);
    await again.close();
  });

  test("survives a power cut at every boundary of its way to the DWB and home", async () => {
    for (let boundaries = 1; ; boundaries += 1) {
      const disk = makeDisk({ seed: boundaries });
      const wal = await openByDwb(disk, { dwb: { slots: 4 } });
      disk.crashAfter(boundaries);
      let acknowledged = 0;
      const committed = (async () => {
        for (let i = 1; i <= 12; i += 1) acknowledged = await wal.commit({ payload: bytes(`r${i}`) });
        await settle(disk);
        await wal.close();
      })();
      const ended = await committed.then(
        () => "closed",
        () => "cut",
      );
      disk.crash();
      const again = await openByDwb(disk);
      const texts = await textsOf(again);
      expect(texts.length).toBeGreaterThanOrEqual(acknowledged);
      expect(texts).toEqual(texts.map((_, i) => `${i + 1}:r${i + 1}`));
      disk.crash();
      if (ended === "closed") break;
    }
  });

  test("keeps its slot until its place in the log is synced: a ring that is full waits for that", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk, { dwb: { slots: 4 } });
    const slow = disk.fail({
      operation: "sync",
      path: /\.wal$/,
      effect: "slow",
      times: Number.POSITIVE_INFINITY,
    });
    for (let i = 1; i <= 24; i += 1) {
      await commitAll(wal, [`r${i}`]);
      const copy = disk.clone();
      copy.crash();
      const again = await openByDwb(copy);
      expect(await textsOf(again)).toEqual(Array.from({ length: i }, (_, at) => `${at + 1}:r${at + 1}`));
    }
    expect(slow.struck).toBeGreaterThan(5);
    await wal.close();
  });

  test("of a frame larger than the ring is acknowledged by the log, behind everything before it", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk, { dwb: { slots: 2, slotBytes: 4096 } });
    const order: number[] = [];
    const note = (lsn: number) => order.push(lsn);
    await Promise.all([
      wal.commit({ payload: bytes("small") }).then(note),
      wal.commit({ payload: new Uint8Array(60_000) }).then(note),
      wal.commit({ payload: bytes("behind") }).then(note),
    ]);
    expect(order).toEqual([1, 2, 3]);
    expect(wal.stats().unprotectedFrames).toBeGreaterThan(0);
    disk.crash();
    const again = await openByDwb(disk);
    expect(again.nextLsn).toBe(4);
    await again.close();
  });

  test("costs one sync: a second one only every so many commits", async () => {
    const disk = makeDisk();
    const wal = await openByDwb(disk);
    const before = wal.stats();
    await commitAll(
      wal,
      Array.from({ length: 64 }, (_, i) => `r${i}`),
    );
    const after = wal.stats();
    expect(after.flushes - before.flushes).toBe(64);
    expect(after.homeChains - before.homeChains).toBeLessThanOrEqual(2);
    await wal.close();
  });

  test("leaves no frame in the DWB alone for long: home writes follow unasked, and when the log is closed", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a"]);
    await settle(disk);
    await expect.poll(() => wal.stats().framesOnlyInDwb).toBe(0);
    await commitAll(wal, ["b"]);
    await wal.close();
    disk.crash();
    await remove(disk, DWB);
    const again = await openOn(disk, { dwb: "off" });
    expect(await textsOf(again)).toEqual(["1:a", "2:b"]);
    expect(again.recovery?.restored).toEqual([]);
    await again.close();
  });

  test("needs a DWB that takes every frame: 'off' and 'auto' are refused", async () => {
    for (const dwb of ["off", "auto"] as const) {
      await expect(openByDwb(makeDisk(), { dwb })).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
    }
    const wrong = { ack: "disk" as "dwb" };
    await expect(openOn(makeDisk(), wrong)).rejects.toMatchObject({ code: "WAL_ARGUMENT" });
  });

  test("larger than what is put side by side is written home from its own memory, which nobody else gets before", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    // Room for three frames: whoever appends the fourth gets the memory that a home write gives back.
    const wal = await openByDwb(disk, { segmentBytes: 1 << 20, frameBytes: 131_072, bufferBytes: 400_000 });
    const slow = disk.fail({ operation: "write", path: /\.wal$/, effect: "slow", times: 100 });
    const payloads = Array.from({ length: 20 }, (_, i) => new Uint8Array(100_000).fill(i + 1));
    for (const payload of payloads) await wal.commit({ payload });
    expect(slow.struck).toBeGreaterThan(5);
    await wal.close();
    disk.crash();
    await remove(disk, DWB);
    const again = await openOn(disk, { dwb: "off", segmentBytes: 1 << 20 });
    let lsn = 0;
    for await (const record of again.read()) {
      expect(Buffer.compare(record.payload, payloads[lsn] as Uint8Array)).toBe(0);
      lsn += 1;
    }
    expect(lsn).toBe(payloads.length);
    expect(disk.violations).toEqual([]);
    await again.close();
  });

  test("has given its memory back to whoever appends when told of it", async () => {
    const disk = makeDisk();
    const wal = await openByDwb(disk, { bufferBytes: 4 * 65_536, segmentBytes: 4 * 1024 * 1024 });
    const payload = new Uint8Array(60_000);
    const commits = [1, 2, 3].map(() => wal.commit({ payload }));
    await turns(1);
    // For the next chain: the disk goes on with that before anything else is done.
    const next = wal.commit({ payload });
    await commits[2];
    expect(wal.stats().framesOnlyInDwb).toBe(3);
    for (let i = 1; i <= 3; i += 1) wal.append({ payload });
    expect(() => wal.append({ payload })).toThrow(expect.objectContaining({ code: "WAL_BACKPRESSURE" }));
    await next;
    await wal.sync();
    await wal.close();
    expect(wal.stats()).toMatchObject({ framesOnlyInDwb: 0, bufferedBytes: 0 });
  });

  test("is written home from its own memory where there is none to put frames side by side, and nothing acknowledged is lost", async () => {
    for (const [first, second] of [
      ["a", "b"],
      ["L".repeat(100_000), "s".repeat(60_000)],
    ] as const) {
      const disk = makeDisk({ crashPolicy: "none" });
      const memory = { gathers: 0 };
      const io = withoutMemoryToGather(disk.mount(), memory);
      const sizes = { segmentBytes: 8 << 20, frameBytes: 131_072, bufferBytes: 4 << 20, idleMs: 0 };
      const wal = await openLog({ io, directory: DIRECTORY, ...sizes, ...BY_DWB });
      const commits = [wal.commit({ payload: bytes(first) }), wal.commit({ payload: bytes(second) })];
      await turns(1);
      commits.push(wal.commit({ payload: bytes("c") }));
      expect(await Promise.all(commits)).toEqual([1, 2, 3]);
      expect(memory.gathers).toBeGreaterThan(0);
      await settle(disk);
      expect(wal.stats()).toMatchObject({ framesOnlyInDwb: 0, bufferedBytes: 0 });
      await wal.commit({ payload: bytes("d") });
      wal.syncNow();
      disk.crash();
      const again = await openByDwb(disk, sizes);
      expect(await textsOf(again)).toEqual([first, second, "c", "d"].map((text, i) => `${i + 1}:${text}`));
      await again.close();
    }
  });

  test("is refused where there is no room, and ready() resolves when home writes have made some", async () => {
    const wal = await openByDwb(makeDisk(), {
      segmentBytes: 1 << 20,
      frameBytes: 131_072,
      bufferBytes: 400_000,
    });
    for (let round = 0; round < 4; round += 1) {
      expect(fill(wal, 100_000).code).toBe("WAL_BACKPRESSURE");
      await wal.ready();
    }
    await wal.sync();
    await wal.close();
  });
});

describe("without its DWB", () => {
  test("a log that was not closed is refused: commits may have been in that file alone", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a"]);
    disk.crash();
    await remove(disk, DWB);
    for (const options of [BY_DWB, { dwb: "off" } as const]) {
      await expect(openOn(disk, options)).rejects.toMatchObject({ code: "WAL_DWB_MISSING" });
    }
  });

  test("nor is another log's DWB in its place taken for it", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a"]);
    const other = await openByDwb(disk, { directory: "/other" });
    await commitAll(other, ["b"]);
    disk.crash();
    await remove(disk, DWB);
    const io = disk.mount();
    await io.rename("/other/dwb", DWB);
    await io.syncDirectory(DIRECTORY);
    await expect(openByDwb(disk)).rejects.toMatchObject({ code: "WAL_DWB_MISSING" });
  });

  test("it is refused too when a checkpoint has freed the segment that the writer began in", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    const first = lastSegment(disk);
    for (let i = 0; i < 30; i += 1) await wal.commit({ payload: new Uint8Array(20_000) });
    await wal.checkpoint(wal.durableLsn);
    expect(disk.paths()).not.toContain(first);
    await commitAll(wal, ["only in the DWB"]);
    expect(wal.stats().framesOnlyInDwb).toBeGreaterThan(0);
    disk.crash();
    const kept = disk.clone();
    await remove(disk, DWB);
    await expect(openByDwb(disk)).rejects.toMatchObject({ code: "WAL_DWB_MISSING" });
    const again = await openByDwb(kept);
    expect((await textsOf(again)).at(-1)).toMatch(/only in the DWB$/);
    await again.close();
  });

  test("it is refused too right behind a cut, whose segment has the frame that names the DWB", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a", "b", "c"]);
    await wal.truncateAfter(0);
    await commitAll(wal, ["A"]);
    disk.crash();
    const kept = disk.clone();
    await remove(disk, DWB);
    await expect(openByDwb(disk)).rejects.toMatchObject({ code: "WAL_DWB_MISSING" });
    const again = await openByDwb(kept);
    expect(await textsOf(again)).toEqual(["1:A"]);
    await again.close();
  });

  test("nothing is acknowledged by a DWB that the log does not durably name yet", async () => {
    // Cut at every boundary of opening and the first commit, and the DWB gone: refused, or nothing was acknowledged.
    const closed = makeDisk({ crashPolicy: "none" });
    await (await openOn(closed, { dwb: "off" })).close();
    for (let boundaries = 1; ; boundaries += 1) {
      const disk = closed.clone(boundaries);
      disk.crashAfter(boundaries);
      let acknowledged = 0;
      const opened = openByDwb(disk).then(async (wal) => {
        acknowledged = await wal.commit({ payload: bytes("a") });
        return wal;
      });
      const wal = await opened.catch(() => undefined);
      disk.crash();
      if (disk.paths().includes(DWB)) await remove(disk, DWB);
      const again = await openOn(disk, { dwb: "off" }).catch((error: { code: string }) => {
        expect(error.code).toBe("WAL_DWB_MISSING");
      });
      if (again !== undefined) expect(acknowledged).toBe(0);
      disk.crash();
      if (wal !== undefined) break;
    }
  });
});

describe("rot in the DWB", () => {
  test("a rotten copy of a commit that is nowhere else is damage, and never taken for the end of the log", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["first", "second", "third"]);
    disk.crash();
    disk.corrupt(DWB, Buffer.from(disk.fileBytes(DWB)).indexOf("second"), Uint8Array.of(0));
    await expect(openByDwb(disk)).rejects.toMatchObject({ code: "WAL_CORRUPT" });
  });
});

test("a slot that can't be read when the log is opened makes no later, ordinary crash refuse to open", async () => {
  const disk = makeDisk({ crashPolicy: "none" });
  const first = await openByDwb(disk);
  await commitAll(first, ["a", "b", "c"]);
  await first.close();
  disk.makeUnreadable(DWB, Buffer.from(disk.fileBytes(DWB)).indexOf("SWDSLOT1"), 512);
  const wal = await openByDwb(disk);
  await commitAll(wal, ["d"]);
  disk.crash();
  const again = await openByDwb(disk);
  expect(await textsOf(again)).toEqual(["1:a", "2:b", "3:c", "4:d"]);
  await again.close();
});

describe("moving the ends", () => {
  test("a segment begins only when everything before it is at home: no acknowledged frame is left in the DWB for a file that is done", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    let segments = wal.stats().segmentsActivated;
    for (let i = 0; i < 40; i += 1) {
      await wal.commit({ payload: new Uint8Array(20_000).fill(i) });
      if (wal.stats().segmentsActivated === segments) continue;
      segments = wal.stats().segmentsActivated;
      const copy = disk.clone();
      copy.crash();
      const again = await openByDwb(copy);
      expect(again.nextLsn).toBe(wal.nextLsn);
      await again.close();
    }
    expect(segments).toBeGreaterThan(2);
    await wal.close();
  });

  test("a checkpoint names no record that only the DWB has", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a", "b"]);
    expect(wal.stats().framesOnlyInDwb).toBe(2);
    await wal.checkpoint(2);
    expect(wal.stats().framesOnlyInDwb).toBe(0);
    disk.crash();
    const again = await openByDwb(disk);
    expect(again.recovery?.restored).toEqual([]);
    expect(again.trimLsn).toBe(2);
    await again.close();
  });

  test("seal brings home what it seals, and sealing again makes no segment", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a"]);
    await wal.seal();
    expect(wal.stats().framesOnlyInDwb).toBe(0);
    const sealed = disk.paths().filter((path) => path.endsWith(".wal"));
    await wal.seal();
    expect(disk.paths().filter((path) => path.endsWith(".wal"))).toEqual(sealed);
    await wal.close();
    expect(await textsOf(await openByDwb(disk))).toEqual(["1:a"]);
  });

  test("what lies beyond a cut does not come back from the DWB", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a", "b", "c"]);
    await wal.truncateAfter(1);
    await commitAll(wal, ["B"]);
    disk.crash();
    const again = await openByDwb(disk);
    expect(await textsOf(again)).toEqual(["1:a", "2:B"]);
    await again.close();
  });

  test("a cut that leaves nothing brings home first what it cuts away: no home write comes into the new segment", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a", "b", "c"]);
    await wal.truncateAfter(0);
    await commitAll(wal, ["A", "B"]);
    await settle(disk);
    await wal.close();
    disk.crash();
    await remove(disk, DWB);
    const again = await openOn(disk, { dwb: "off" });
    expect(await textsOf(again)).toEqual(["1:A", "2:B"]);
    expect(again.recovery?.repaired).toEqual([]);
    await again.close();
  });

  test("the way a log acknowledges may change at every open, after a crash too", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const ways = [BY_DWB, {}, { dwb: "off" }, BY_DWB, { dwb: "off" }, BY_DWB] as const;
    for (const [life, way] of ways.entries()) {
      const wal = await openOn(disk, way);
      await commitAll(wal, [`life ${life}`]);
      disk.crash();
    }
    const wal = await openByDwb(disk);
    expect(await textsOf(wal)).toEqual(ways.map((_, life) => `${life + 1}:life ${life}`));
    await wal.close();
  });
});

describe("failures", () => {
  test("a failed home write poisons, and what it was to bring home comes back from the DWB", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a", "b"]);
    disk.fail({ operation: "sync", path: /\.wal$/ });
    await settle(disk);
    await expect(wal.commit({ payload: bytes("c") })).rejects.toMatchObject({ code: "WAL_POISONED" });
    expect(wal.durableLsn).toBe(2);
    await expect(textsOf(wal)).rejects.toMatchObject({ code: "WAL_POISONED" });
    await wal.close().catch(() => undefined);
    disk.crash();
    const again = await openByDwb(disk);
    expect((await textsOf(again)).slice(0, 2)).toEqual(["1:a", "2:b"]);
    await again.close();
  });

  test("a failed home write is told of at once, though the chain in flight beside it never ends", async () => {
    const disk = makeDisk();
    const inner = disk.mount();
    let hangs = false;
    const submit = (chain: readonly Step[]) =>
      hangs && chain.some(({ file }) => file.path === DWB)
        ? new Promise<void>(() => undefined)
        : inner.submit(chain);
    const io = new Proxy(inner, {
      get(target, name) {
        if (name === "submit") return submit;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
    const sizes = { segmentBytes: 262_144, frameBytes: 65_536, bufferBytes: 262_144, idleMs: 0 };
    const wal = await openLog({ io, directory: DIRECTORY, ...sizes, ...BY_DWB });
    await commitAll(wal, ["a"]);
    hangs = true;
    disk.fail({ operation: "sync", path: /wal$/, errno: "EIO" });
    let told = 0;
    const onPoison = () => (told += 1);
    subscribe("stonewal:poison", onPoison);
    const hanging = wal.commit({ payload: bytes("b") });
    await Promise.all([settle(disk), expect(hanging).rejects.toMatchObject({ code: "WAL_POISONED" })]);
    unsubscribe("stonewal:poison", onPoison);
    expect(told).toBe(1);
  });

  test("a full disk under a home write poisons, and loses nothing acknowledged", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a", "b"]);
    disk.fail({ operation: "write", path: /\.wal$/, errno: "ENOSPC" });
    await settle(disk);
    await expect(wal.commit({ payload: bytes("c") })).rejects.toMatchObject({ code: "WAL_POISONED" });
    disk.crash();
    const again = await openByDwb(disk);
    expect((await textsOf(again)).slice(0, 2)).toEqual(["1:a", "2:b"]);
    await again.close();
  });

  test("a DWB that fails takes nothing with it that it has acknowledged: that goes home before the writer gives up", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a", "b"]);
    disk.fail({ operation: "write", path: /dwb$/ });
    await expect(wal.commit({ payload: bytes("c") })).rejects.toMatchObject({ code: "WAL_POISONED" });
    expect(wal.stats().framesOnlyInDwb).toBe(0);
    disk.crash();
    const again = await openByDwb(disk);
    expect(again.recovery?.restored).toEqual([]);
    expect(await textsOf(again)).toEqual(["1:a", "2:b"]);
    await again.close();
  });

  test("with onFailure 'degrade' the log acknowledges by itself from then on, and says so where recovery reads it", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk, { dwb: { onFailure: "degrade" } });
    await commitAll(wal, ["a", "b"]);
    disk.fail({ operation: "sync", path: /dwb$/ });
    await commitAll(wal, ["c"]);
    expect(wal.stats()).toMatchObject({ ack: "wal", protection: "degraded", framesOnlyInDwb: 0 });
    await commitAll(wal, ["d"]);
    disk.crash();
    const broken = disk.clone();
    await remove(broken, DWB);
    for (const survivor of [disk, broken]) {
      const again = await openOn(survivor, { dwb: "off" });
      expect(await textsOf(again)).toEqual(["1:a", "2:b", "3:c", "4:d"]);
      await again.close();
    }
  });

  test("an attached DWB acknowledges only once the log names it", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openByDwb(disk, { dwb: { onFailure: "degrade" } });
    disk.fail({ operation: "sync", path: /dwb$/ });
    await commitAll(wal, ["a"]);
    const attached = wal.attachDwb();
    const during = wal.commit({ payload: bytes("b") });
    await attached;
    await during;
    expect(wal.stats().ack).toBe("dwb");
    await commitAll(wal, ["c"]);
    expect(wal.stats().framesOnlyInDwb).toBe(1);
    disk.crash();
    const kept = disk.clone();
    await remove(disk, DWB);
    await expect(openByDwb(disk)).rejects.toMatchObject({ code: "WAL_DWB_MISSING" });
    const again = await openByDwb(kept);
    expect(await textsOf(again)).toEqual(["1:a", "2:b", "3:c"]);
    await again.close();
  });
});

describe("reading", () => {
  test("a read delivers what only the DWB has: it is brought home first", async () => {
    const wal = await openByDwb(makeDisk());
    await commitAll(wal, ["a", "b"]);
    expect(wal.stats().framesOnlyInDwb).toBe(2);
    expect(await textsOf(wal)).toEqual(["1:a", "2:b"]);
    await wal.close();
  });

  test("a follower gets each commit of a quiet log, and waits for no timer", async () => {
    const wal = await openByDwb(makeDisk());
    const follower = wal.follow();
    for (const text of ["a", "b", "c"]) {
      await commitAll(wal, [text]);
      expect((await follower.next()).value?.payload).toEqual(bytes(text));
    }
    await follower.return?.();
    await wal.close();
  });

  test("a reader in another process sees what only the DWB has, once something says that it is durable", async () => {
    const disk = makeDisk();
    const wal = await openByDwb(disk);
    await commitAll(wal, ["a", "b", "c"]);
    expect(wal.stats().framesOnlyInDwb).toBe(3);
    const reader = await openReader({ io: disk.mount(), directory: DIRECTORY });
    expect(reader.lastLsn()).toBe(2);
    const texts: string[] = [];
    for await (const record of reader.replay()) texts.push(new TextDecoder().decode(record.payload));
    expect(texts).toEqual(["a", "b"]);
    await reader.close();
    await wal.close();
  });
});
