import { describe, expect, test } from "vitest";
import { crashOutcomes, SimDisk } from "../src/index.js";
import { codeOf, durableFile, filled, get, put, readAll, writeStep } from "./process.js";

const SECTOR = 512;

/** How many bits two arrays differ in. */
function differingBits(a: Uint8Array, b: Uint8Array): number {
  let bits = 0;
  for (let i = 0; i < a.length; i++) for (let rest = a[i]! ^ b[i]!; rest > 0; rest &= rest - 1) bits++;
  return bits;
}

async function fileOf(sectors: number, options: { direct?: boolean; seed?: number } = {}) {
  const disk = new SimDisk({ seed: options.seed ?? 4, directAlignment: SECTOR });
  const io = disk.mount();
  const bytes = new Uint8Array(sectors * SECTOR).map((_, i) => Math.floor(i / SECTOR) + 1);
  await (await durableFile(io, "/a", bytes)).close();
  const file = await io.open("/a", { access: "write", direct: options.direct === true });
  return { disk, io, file, bytes };
}

describe("a lost write", () => {
  test("is reported done; the page cache shows it, and the disk never gets it, whatever is synced", async () => {
    const { disk, io, file, bytes } = await fileOf(2);
    disk.fail({ operation: "write", effect: "lost" });
    await put(io, file, 0, filled(SECTOR, 9), true);
    await file.sync();
    expect((await readAll(io, "/a"))[0]).toBe(9);
    expect(disk.fileBytes("/a")).toEqual(bytes);
    await file.dropCache();
    expect(await readAll(io, "/a")).toEqual(bytes);
  });

  test("past the page cache is not there at once", async () => {
    const { disk, io, file, bytes } = await fileOf(2, { direct: true });
    disk.fail({ operation: "write", effect: "lost" });
    await put(io, file, 0, filled(SECTOR, 9), true);
    expect(await readAll(io, "/a")).toEqual(bytes);
  });

  test("is not there after a crash in the middle of it either, nor torn", async () => {
    const { disk, io, file, bytes } = await fileOf(1);
    disk.fail({ operation: "write", effect: "lost" });
    const left: Uint8Array[] = [];
    disk.atEveryBoundary(() => {
      for (const copy of crashOutcomes(disk)) left.push(copy.fileBytes("/a"));
    });
    await put(io, file, 0, filled(SECTOR, 9));
    expect(left.length).toBeGreaterThan(0);
    for (const one of left) expect(one).toEqual(bytes);
  });

  test("loses only itself: an earlier one of the same sector still becomes durable", async () => {
    const { disk, io, file } = await fileOf(1);
    await put(io, file, 0, filled(SECTOR, 8));
    disk.fail({ operation: "write", effect: "lost" });
    await put(io, file, 0, filled(SECTOR, 9));
    expect((await readAll(io, "/a"))[0]).toBe(9);
    await file.sync();
    expect(disk.fileBytes("/a")).toEqual(filled(SECTOR, 8));
  });
});

describe("a lost sync", () => {
  test("of a file is reported done and makes nothing durable: a drive that lies about its cache", async () => {
    const { disk, io, file, bytes } = await fileOf(2);
    disk.fail({ operation: "sync", effect: "lost" });
    await put(io, file, 0, filled(SECTOR, 9));
    await file.sync();
    expect(disk.fileBytes("/a")).toEqual(bytes);
    await file.sync();
    expect(disk.fileBytes("/a")[0]).toBe(9);
  });

  test("of a directory leaves its entries to the next crash", async () => {
    const disk = new SimDisk({ crashPolicy: "none" });
    const io = disk.mount();
    disk.fail({ operation: "syncDirectory", effect: "lost" });
    await durableFile(io, "/a", filled(SECTOR, 1));
    expect(disk.paths()).toEqual([]);
    await io.syncDirectory("/");
    expect(disk.paths()).toEqual(["/a"]);
  });
});

describe("a misdirected write", () => {
  test("is where it was sent, and not where it was meant to be", async () => {
    const { disk, io, file } = await fileOf(4, { direct: true });
    disk.fail({ operation: "write", effect: "misdirected", to: { offset: 2 * SECTOR + 17 } });
    await put(io, file, 0, filled(SECTOR, 9), true);
    expect([0, 1, 2, 3].map((i) => disk.fileBytes("/a")[i * SECTOR])).toEqual([1, 2, 9, 4]);
    expect((await get(io, file, 0, SECTOR))[0]).toBe(1);
  });

  test("goes to another file, or by itself to another place of its own; never beyond the end", async () => {
    const places = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const { disk, io, file } = await fileOf(4, { direct: true, seed });
      disk.fail({ operation: "write", effect: "misdirected" });
      await put(io, file, SECTOR, filled(SECTOR, 9), true);
      places.add([0, 1, 2, 3].map((i) => disk.fileBytes("/a")[i * SECTOR]).join());
    }
    expect([...places].sort()).toEqual(["1,2,3,9", "1,2,9,4", "9,2,3,4"]);

    const end = await fileOf(2, { direct: true });
    end.disk.fail({ operation: "write", effect: "misdirected", to: { offset: SECTOR } });
    await put(end.io, end.file, 0, filled(2 * SECTOR, 9), true);
    await end.file.truncate(4 * SECTOR);
    await end.file.sync();
    expect([0, 1, 2, 3].map((i) => end.disk.fileBytes("/a")[i * SECTOR])).toEqual([1, 9, 0, 0]);

    const { disk, io, file, bytes } = await fileOf(2, { direct: true });
    disk.plant("/b", filled(SECTOR, 7));
    disk.fail({ operation: "write", effect: "misdirected", to: { path: "/b", offset: 0 } });
    await put(io, file, 0, filled(2 * SECTOR, 9), true);
    expect(disk.fileBytes("/a")).toEqual(bytes);
    expect(disk.fileBytes("/b")).toEqual(filled(SECTOR, 9));
    expect(disk.faultLog.map(({ kind, path, offset }) => [kind, path, offset])).toEqual([
      ["write misdirected", "/a", 0],
      ["misdirected to", "/b", 0],
    ]);
  });
});

describe("rot", () => {
  test("on read is one wrong bit, this time only", async () => {
    const { disk, io, file, bytes } = await fileOf(4);
    disk.fail({ operation: "read", effect: "rot" });
    expect(differingBits(await get(io, file, 0, bytes.length), bytes)).toBe(1);
    expect(await get(io, file, 0, bytes.length)).toEqual(bytes);
  });

  test("on write is one wrong bit on the disk, and the caller's memory is as it was", async () => {
    const { disk, io, file } = await fileOf(4);
    disk.fail({ operation: "write", effect: "rot" });
    const step = writeStep(io, file, 0, filled(4 * SECTOR, 9), true);
    await io.submit([step]);
    expect(differingBits(disk.fileBytes("/a"), filled(4 * SECTOR, 9))).toBe(1);
    if (step.kind === "write") expect(step.region.arena.bytes).toEqual(filled(4 * SECTOR, 9));
  });

  test("at rest: by hand in a range, as bit, zeros, garbage or EIO", async () => {
    for (const as of ["bit", "zeros", "garbage", "unreadable"] as const) {
      const { disk, io, bytes } = await fileOf(4);
      const done = disk.rot("/a", { offset: SECTOR + 3, length: SECTOR, as });
      expect(done.map(({ offset, length }) => [offset, length])).toEqual([
        [SECTOR, SECTOR],
        [2 * SECTOR, SECTOR],
      ]);
      const after = disk.fileBytes("/a");
      const changed = [0, 1, 2, 3].map((i) => {
        const range = [i * SECTOR, (i + 1) * SECTOR] as const;
        return differingBits(after.subarray(...range), bytes.subarray(...range));
      });
      expect([changed[0], changed[3]]).toEqual([0, 0]);
      if (as === "bit") expect(changed).toEqual([0, 1, 1, 0]);
      if (as === "zeros") expect(after.subarray(SECTOR, 3 * SECTOR)).toEqual(filled(2 * SECTOR, 0));
      if (as === "garbage") expect(Math.min(changed[1]!, changed[2]!)).toBeGreaterThan(1000);
      expect(await codeOf(readAll(io, "/a"))).toBe(as === "unreadable" ? "IO_READ_FAILED" : "resolved");
      expect(disk.faultLog).toEqual(done);
    }
  });

  test("at rest at a rate: about that share of the sectors of files that match, the same ones for the same seed", async () => {
    const rotten = (seed: number) => {
      const disk = new SimDisk({ seed });
      disk.plant("/a", new Uint8Array(400 * SECTOR));
      disk.plant("/b", new Uint8Array(400 * SECTOR));
      return disk.rot(/a/, { rate: 0.1 });
    };
    expect(rotten(1).length).toBeGreaterThan(15);
    expect(rotten(1).length).toBeLessThan(80);
    expect(rotten(1).every(({ path }) => path === "/a")).toBe(true);
    expect(rotten(1)).toEqual(rotten(1));
    expect(rotten(1)).not.toEqual(rotten(2));
  });

  test("at rest is of the disk: what is newer in a cache covers it", async () => {
    const { disk, io, file } = await fileOf(2);
    await put(io, file, 0, filled(SECTOR, 9));
    disk.rot("/a", { as: "zeros" });
    expect([...new Set(await get(io, file, 0, 2 * SECTOR))]).toEqual([9, 0]);
    await file.sync();
    expect([...new Set(disk.fileBytes("/a"))]).toEqual([9, 0]);
  });
});

test("a stale read gives what was there before the last write, synced or not, this time only", async () => {
  const { disk, io, file } = await fileOf(3);
  await put(io, file, 0, filled(SECTOR, 8), true);
  await put(io, file, SECTOR, filled(SECTOR, 9));
  const firsts = async () => {
    const bytes = await get(io, file, 0, 3 * SECTOR);
    return [0, 1, 2].map((i) => bytes[i * SECTOR]);
  };
  disk.fail({ operation: "read", effect: "stale" });
  // The third was written once, over nothing.
  expect(await firsts()).toEqual([1, 2, 0]);
  expect(await firsts()).toEqual([8, 9, 3]);
  await put(io, file, SECTOR, filled(SECTOR, 10));
  disk.fail({ operation: "read", effect: "stale" });
  expect(await firsts()).toEqual([1, 9, 0]);

  const copy = disk.clone();
  copy.kill();
  copy.fail({ operation: "read", effect: "stale" });
  const again = await readAll(copy.mount(), "/a");
  expect([0, 1, 2].map((i) => again[i * SECTOR])).toEqual([1, 9, 0]);
});

test("a direct write that a failed sync did not bring to the disk is not in the page cache, a buffered one is", async () => {
  let torn = 0;
  const shown = async (direct: boolean): Promise<Set<string>> => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const { disk, io, file } = await fileOf(1, { direct, seed });
      await put(io, file, 0, filled(SECTOR, 9));
      disk.fail({ operation: "sync" });
      await codeOf(file.sync());
      const reads = [await readAll(io, "/a"), await readAll(io, "/a", { direct: true })];
      seen.add(reads.map((bytes) => bytes[0]).join());
      // The sync is over, and tears nothing any more.
      for (const copy of crashOutcomes(disk)) if (new Set(copy.fileBytes("/a")).size > 1) torn++;
    }
    return seen;
  };
  // Either the device still has it, and a later sync may bring it to the disk, or nobody has.
  expect([...(await shown(true))].sort()).toEqual(["1,1", "9,9"]);
  expect([...(await shown(false))]).toEqual(["9,1"]);
  expect(torn).toBe(0);
});
