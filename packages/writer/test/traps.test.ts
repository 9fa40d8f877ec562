import type { CrashPolicy, SimDisk } from "@stonewal/io-sim";
import { FRAMES_START } from "@stonewal/record";
import { describe, expect, test } from "vitest";
import { openLog, type Wal, type WalOptions } from "../src/index.js";
import { type HomeWrites, watchHomeWrites } from "./support/home-writes.js";
import {
  bytes,
  DIRECTORY,
  lastSegment,
  lastUsedBlock,
  makeDisk,
  openOn,
  SMALL,
  textsOf,
  turns,
} from "./support/sim-log.js";

/**
 * Bugs that other logs had, each found by reading or running a published implementation. docs/fault-model.md lists all of them, with
 * those that are tested elsewhere.
 */

async function openWatched(disk: SimDisk, options: Partial<WalOptions>): Promise<[Wal, HomeWrites]> {
  const counted: HomeWrites = { copied: 0, uncopied: 0 };
  const io = watchHomeWrites(disk, disk.mount(), counted);
  return [await openLog({ io, directory: DIRECTORY, ...SMALL, ...options }), counted];
}

async function appendWithRoom(wal: Wal, payload: Uint8Array): Promise<void> {
  for (;;) {
    try {
      wal.append({ payload });
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "WAL_BACKPRESSURE") throw error;
      await wal.ready();
    }
  }
}

/** Offsets and lengths of what was written to matching files, in order. */
function writesTo(disk: SimDisk, path: RegExp, from = 0): [offset: number, length: number][] {
  return disk.trace.slice(from).flatMap((line): [number, number][] => {
    const [, file, offset, length] = /^\d+ write (\S+) (\d+)\+(\d+)/.exec(line) ?? [];
    return file !== undefined && path.test(file) ? [[Number(offset), Number(length)]] : [];
  });
}

const SLOTS_START = 65_536;
const TINY_RING = { slots: 4, slotBytes: 4096 };

describe("the copy before the home write", () => {
  test.each([
    ["more records than slots", 300, 20, TINY_RING],
    ["more bytes than the ring", 40, 3000, TINY_RING],
    ["frames larger than the ring, among small ones", 12, 20_000, TINY_RING],
    ["several frames at once", 70, 4000, { slots: 24, slotBytes: 8192 }],
  ])("a batch of %s is protected in all of its frames, or counted as not", async (_, records, size, dwb) => {
    const disk = makeDisk();
    const [wal, homes] = await openWatched(disk, { dwb });
    for (let round = 0; round < 3; round += 1) {
      const commits = Array.from({ length: records }, (__, i) =>
        wal.commit({ payload: new Uint8Array(i % 4 === 3 ? 10 : size) }),
      );
      await Promise.all(commits);
    }
    const { protectedFrames, unprotectedFrames } = wal.stats();
    expect(homes).toEqual({ copied: protectedFrames, uncopied: unprotectedFrames });
    expect(protectedFrames).toBeGreaterThan(0);
    await wal.close();
  });

  test("a buffer that fills inside append is not written to the log before its copies are durable", async () => {
    const disk = makeDisk();
    const [wal, homes] = await openWatched(disk, { dwb: { slots: 32, slotBytes: 8192 } });
    // Nobody asks for anything to be durable: what is written is written because the buffer is full.
    for (let i = 0; i < 60; i += 1) await appendWithRoom(wal, new Uint8Array(20_000).fill(i));
    expect(homes.copied).toBeGreaterThan(3);
    expect(homes.uncopied).toBe(0);
    await wal.close();
  });

  test("one small record costs at most 8 KiB, a block for each copy, and never a write of the DWB's header", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { segmentBytes: 2_097_152 });
    const from = disk.trace.length;
    const commits = 150;
    for (let i = 0; i < commits; i += 1) await wal.commit({ payload: new Uint8Array(100) });
    const copies = writesTo(disk, /dwb$/, from);
    const homes = writesTo(disk, /\.wal$/, from);
    expect(copies).toHaveLength(commits);
    expect(homes).toHaveLength(commits);
    for (const [, length] of [...copies, ...homes]) expect(length).toBe(4096);
    for (const [offset] of copies) expect(offset).toBeGreaterThanOrEqual(SLOTS_START);
    await wal.close();
  });
});

describe("what comes back from the double-write buffer", () => {
  test("a torn header hides no LSN: the copy is found by its place, and put back for good before its slot is used again", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const options = { dwb: TINY_RING };
    const wal = await openOn(disk, options);
    for (const text of ["a", "b", "c"]) await wal.commit({ payload: bytes(text) });
    disk.crash();
    const path = lastSegment(disk);
    disk.corrupt(path, lastUsedBlock(disk, path), new Uint8Array(512));
    const again = await openOn(disk, options);
    expect(again.nextLsn).toBe(4);
    // Once around the ring, several times.
    for (let lsn = 4; lsn <= 30; lsn += 1) await again.commit({ payload: bytes(`later ${lsn}`) });
    disk.crash();
    const last = await openOn(disk, options);
    expect((await textsOf(last)).slice(0, 4)).toEqual(["1:a", "2:b", "3:c", "4:later 4"]);
    expect(last.nextLsn).toBe(31);
    await last.close();
  });

  test("a copy of a record that was cut away does not come back in the place of the one that got its LSN", async () => {
    for (const dwb of ["off", "buffered"] as const) {
      const disk = makeDisk({ crashPolicy: "none" });
      const wal = await openOn(disk, { dwb: "buffered" });
      for (const text of ["a", "old b", "old c"]) await wal.commit({ payload: bytes(text) });
      await wal.truncateAfter(1);
      await wal.close();
      const again = await openOn(disk, { dwb });
      for (const text of ["new b", "new c"]) await again.commit({ payload: bytes(text) });
      disk.crash();
      const path = lastSegment(disk);
      disk.corrupt(path, lastUsedBlock(disk, path) - 4096, new Uint8Array(4096));
      const opening = openOn(disk, { dwb });
      if (dwb === "off") await expect(opening).rejects.toMatchObject({ code: "WAL_CORRUPT" });
      else expect(await textsOf(await opening)).toEqual(["1:a", "2:new b", "3:new c"]);
    }
  });
});

describe("blocks and their padding", () => {
  test("written buffered and reopened direct, the other way round too: no block with acknowledged bytes is written again", async () => {
    const disk = makeDisk();
    const expected: string[] = [];
    let end = FRAMES_START;
    for (let life = 0; life < 12; life += 1) {
      const direct = life % 3 !== 0;
      const wal = await openOn(disk, { direct, segmentBytes: 1_048_576 });
      expect(await textsOf(wal)).toEqual(expected);
      const from = disk.trace.length;
      // Ends in the middle of a block, each time elsewhere.
      const text = `${life}`.repeat(700 * life + 1);
      expected.push(`${await wal.commit({ payload: bytes(text) })}:${text}`);
      const homes = writesTo(disk, /\.wal$/, from);
      for (const [offset, length] of homes) {
        expect(offset).toBeGreaterThanOrEqual(end);
        end = offset + length;
      }
      if (life % 2 === 0) await wal.close();
      disk.crash();
      end = Math.max(end, lastUsedBlock(disk, lastSegment(disk)) + 4096);
    }
  });

  test("records behind padding come back, and the padding holds nothing of an earlier batch", async () => {
    const disk = makeDisk({ crashPolicy: "none" });
    const wal = await openOn(disk, { direct: true, dwb: "direct", segmentBytes: 2_097_152 });
    const large = "\xaa".repeat(15_000);
    const expected: string[] = [];
    for (let i = 0; i < 30; i += 1) {
      const text = i % 5 === 0 ? large : "x".repeat(i * 97);
      expected.push(`${await wal.commit({ payload: bytes(text) })}:${text}`);
    }
    expect(await textsOf(wal)).toEqual(expected);
    disk.crash();
    const again = await openOn(disk);
    expect(await textsOf(again)).toEqual(expected);
    // Every byte that is not zero lies in a frame's own bytes: what a small frame adds in a reused arena ends with zeros.
    const home = disk.fileBytes(lastSegment(disk));
    for (let at = FRAMES_START; at < home.length; at += 4096) {
      const block = Buffer.from(home.buffer, home.byteOffset + at, 4096);
      if (block.toString("latin1", 0, 8) !== "SWFRAME1") continue;
      const length = block.readUInt32LE(16);
      if (length < 4096) expect(block.subarray(length).every((byte) => byte === 0)).toBe(true);
    }
    await again.close();
  });
});

describe("behind a torn tail", () => {
  test("what is appended after a torn tail is read back, and an equal-length rewrite revives nothing", async () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const disk = makeDisk({ seed });
      const options = {
        dwb: seed % 2 === 0 ? "off" : "buffered",
        segmentBytes: 1_048_576,
        bufferBytes: 524_288,
      } as const;
      const wal = await openOn(disk, options);
      await wal.commit({ payload: bytes("kept") });
      // Frames of one length each, of which a crash leaves whatever it leaves.
      for (let i = 0; i < 6; i += 1) wal.append({ payload: new Uint8Array(40_000).fill(0x6f) });
      wal.sync().catch(() => undefined);
      disk.crashAfter(2 + (seed % 20));
      await turns(40);
      disk.crash();
      const again = await openOn(disk, options);
      const survived = again.nextLsn - 1;
      expect(survived).toBeGreaterThanOrEqual(1);
      await again.commit({ payload: new Uint8Array(40_000).fill(0x6e) });
      disk.crash("none");
      const last = await openOn(disk, options);
      const texts = await textsOf(last);
      expect(texts).toHaveLength(survived + 1);
      expect(texts.at(-1)).toBe(`${survived + 1}:${"n".repeat(40_000)}`);
      expect(texts.slice(1, -1).every((text) => text.endsWith("o"))).toBe(true);
      await last.close();
    }
  });
});

describe("a failure is the end of the writer", () => {
  test.each([true, false])(
    "after a failed sync no later one succeeds, and what is reported durable is on the disk (direct: %s)",
    async (direct) => {
      const disk = makeDisk({ crashPolicy: "none" });
      const wal = await openOn(disk, { dwb: "off", direct });
      await wal.commit({ payload: bytes("kept") });
      disk.fail({ operation: "sync", path: /\.wal$/ });
      await expect(wal.commit({ payload: bytes("dropped") })).rejects.toMatchObject({ code: "WAL_POISONED" });
      const from = disk.trace.length;
      for (let i = 0; i < 3; i += 1) {
        await expect(wal.sync()).rejects.toMatchObject({ code: "WAL_POISONED" });
        await expect(wal.flushUntil(2)).rejects.toMatchObject({ code: "WAL_POISONED" });
      }
      expect(wal.durableLsn).toBe(1);
      await wal.close().catch(() => undefined);
      expect(disk.trace.slice(from).filter((line) => / (write|sync) /.test(line))).toEqual([]);
      // The same machine, whose page cache still shows what the disk has not.
      const again = await openOn(disk, { direct });
      const shown = await textsOf(again);
      disk.crash();
      const last = await openOn(disk, { direct });
      expect(await textsOf(last)).toEqual(shown);
      await last.close();
    },
  );

  test("after a write that was cut short by a full disk nothing is written again behind its own prefix", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { dwb: "off" });
    for (const text of ["a", "b"]) await wal.commit({ payload: bytes(text) });
    disk.fail({ operation: "write", path: /\.wal$/, errno: "ENOSPC", effect: "partial" });
    await expect(wal.commit({ payload: new Uint8Array(30_000).fill(0x63) })).rejects.toMatchObject({
      code: "WAL_POISONED",
      cause: { code: "IO_NO_SPACE" },
    });
    const from = disk.trace.length;
    for (const text of ["d", "e"])
      await expect(wal.commit({ payload: bytes(text) })).rejects.toMatchObject({ code: "WAL_POISONED" });
    await wal.close().catch(() => undefined);
    expect(writesTo(disk, /./, from)).toEqual([]);
    const again = await openOn(disk, { dwb: "off" });
    expect(await textsOf(again)).toEqual(["1:a", "2:b"]);
    expect(await again.commit({ payload: bytes("c") })).toBe(3);
    expect(await textsOf(again)).toEqual(["1:a", "2:b", "3:c"]);
    await again.close();
  });

  test("a failed batch makes no later commit hang, and tells none of its waiters the success of another", async () => {
    for (const operation of ["write", "sync"] as const) {
      for (let nth = 1; nth <= 6; nth += 1) {
        const disk = makeDisk({ crashPolicy: "none" });
        const wal = await openOn(disk);
        disk.fail({ operation, path: /\.wal$|dwb$/, nth });
        const told: number[] = [];
        const commits: Promise<unknown>[] = [];
        // A batch in flight, one that fills behind it, and more that come while and after it fails.
        for (let i = 0; i < 40; i += 1) {
          const commit = wal.commit({ payload: bytes(`r${i}`) }).then((lsn) => told.push(lsn));
          commit.catch(() => undefined);
          commits.push(commit);
          if (i % 4 === 3) await turns(2);
        }
        const results = await Promise.allSettled(commits);
        for (const result of results) {
          if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "WAL_POISONED" });
        }
        expect(results.some(({ status }) => status === "rejected")).toBe(true);
        expect(told).toEqual(told.map((_, index) => index + 1));
        expect(wal.durableLsn).toBe(told.length);
        await wal.close().catch(() => undefined);
        disk.crash();
        const again = await openOn(disk);
        expect(again.nextLsn).toBeGreaterThan(told.length);
        await again.close();
      }
    }
  });
});

/**
 * A short life with new segments, a checkpoint and segments used again, ended by a power cut at every boundary there is. What is
 * acknowledged must be there, and the log must open.
 */
async function everyCut(crashPolicy: CrashPolicy, options: Partial<WalOptions> = {}): Promise<number> {
  for (let boundary = 1; ; boundary += 1) {
    const disk = makeDisk({ crashPolicy });
    let acknowledged = 0;
    let trimmed = 0;
    disk.crashAfter(boundary);
    const life = async () => {
      const wal = await openOn(disk, options);
      for (let i = 0; i < 5; i += 1) {
        // More than one frame per flush, so that a roll lies within what is queued.
        for (let j = 0; j < 2; j += 1) await appendWithRoom(wal, new Uint8Array(30_000));
        acknowledged = await wal.commit({ payload: new Uint8Array(30_000) });
        if (i === 2) {
          trimmed = acknowledged - 4;
          await wal.checkpoint(trimmed);
        }
      }
      await wal.close();
    };
    const whole = await life().then(
      () => true,
      (error: Error) => {
        if (disk.crashes === 0) throw error;
        return false;
      },
    );
    disk.crashAfter(undefined);
    disk.crash();
    const where = `cut at boundary ${boundary}`;
    const wal = await openOn(disk, options).catch((error: Error) => {
      throw new Error(`${where}: ${error.message}`, { cause: error });
    });
    expect(wal.nextLsn, where).toBeGreaterThan(acknowledged);
    let next: number | undefined;
    for await (const record of wal.read()) {
      expect(record.lsn, where).toBeLessThanOrEqual(next ?? trimmed + 1);
      next = record.lsn + 1;
    }
    expect(next ?? wal.nextLsn, where).toBe(wal.nextLsn);
    disk.crash();
    if (whole) return boundary;
  }
}

describe("names", () => {
  test("no segment's name is durable before the data of the one before it: a cut leaves no gap", async () => {
    // The worst for it: every name arrives at once, and nothing else that isn't synced.
    const boundaries = await everyCut(({ what }) => (what === "entry" ? 1 : 0), { dwb: "off" });
    expect(boundaries).toBeGreaterThan(100);
  });

  test("a directory is synced after every creation, rename and removal: names that are lost without it take nothing along", async () => {
    // And the other way round: all the data arrives, and no name that isn't synced.
    const boundaries = await everyCut(
      ({ what, options, torn }) => (what === "entry" ? 0 : options - torn - 1),
      { dwb: TINY_RING },
    );
    expect(boundaries).toBeGreaterThan(100);
  });
});
