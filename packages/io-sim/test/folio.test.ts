import type { IoBackend } from "@stonewal/io";
import { describe, expect, test } from "vitest";
import { crashOutcomes, SimDisk, type SimDiskOptions } from "../src/index.js";
import { codeOf, durableFile, filled, put } from "./process.js";

const SECTOR = 512;
const FOLIO = 4096;
const PER_FOLIO = FOLIO / SECTOR;

/** Sector numbers that differ from `filled(…, 1)`, over many crashes with sector 10 of 3 folios freshly written and not synced. */
async function damaged(options: SimDiskOptions, direct = false): Promise<Set<number>> {
  const disk = new SimDisk({ seed: 6, directAlignment: SECTOR, ...options });
  const io = disk.mount();
  await durableFile(io, "/a", filled(3 * FOLIO, 1));
  const file = await io.open("/a", { access: "write", direct });
  await put(io, file, 10 * SECTOR, filled(SECTOR, 2));
  const sectors = new Set<number>();
  for (let seed = 1; seed <= 200; seed++) {
    const copy = disk.clone(seed);
    copy.crash();
    copy.fileBytes("/a").forEach((byte, at) => {
      if (byte !== 1) sectors.add(Math.floor(at / SECTOR));
    });
  }
  return sectors;
}

describe("write-back by the folio", () => {
  test("tears synced neighbours of an unsynced sector, in its folio and in no other", async () => {
    const whole = Array.from({ length: PER_FOLIO }, (_, i) => PER_FOLIO + i);
    expect([...(await damaged({ folioBytes: FOLIO }))].sort((a, b) => a - b)).toEqual(whole);
    const larger = await damaged({ folioBytes: 2 * FOLIO });
    expect([Math.min(...larger), Math.max(...larger)]).toEqual([0, 2 * PER_FOLIO - 1]);
  });

  test("is not without folioBytes, not past the page cache, and not where sectors never tear", async () => {
    expect([...(await damaged({}))]).toEqual([10]);
    expect([...(await damaged({ folioBytes: FOLIO }, true))]).toEqual([10]);
    expect([...(await damaged({ folioBytes: FOLIO, tornSectors: false }))]).toEqual([10]);
  });

  test("may tear the unsynced sector itself, whenever the kernel writes it back, and is not begun by a direct write or a cut", async () => {
    const left = async (
      options: SimDiskOptions,
      act: (io: IoBackend) => Promise<unknown>,
    ): Promise<Uint8Array[]> => {
      const disk = new SimDisk({ directAlignment: SECTOR, ...options });
      const io = disk.mount();
      await durableFile(io, "/a", filled(FOLIO, 1));
      const copies: SimDisk[] = [];
      disk.atEveryBoundary(() => copies.push(disk.clone()));
      await act(io);
      return copies.flatMap((copy) => [...crashOutcomes(copy)].map((crashed) => crashed.fileBytes("/a")));
    };
    const write = (direct: boolean) => async (io: IoBackend) => {
      const file = await io.open("/a", { access: "write", direct });
      await put(io, file, 0, filled(SECTOR, 2));
      // A boundary at which the write has long completed.
      await io.list("/");
    };
    const neighbour = (bytes: Uint8Array) => bytes[SECTOR] !== 1;
    const buffered = await left({ folioBytes: FOLIO }, write(false));
    expect(buffered.some(neighbour)).toBe(true);
    const direct = await left({ folioBytes: FOLIO }, write(true));
    expect(direct.some(neighbour)).toBe(false);
    const cut = await left({ folioBytes: FOLIO }, async (io) => {
      const file = await io.open("/a", { access: "write" });
      await file.truncate(4 * SECTOR);
    });
    expect(cut.some(neighbour)).toBe(false);

    const settled = async (options: SimDiskOptions): Promise<boolean> => {
      const disk = new SimDisk(options);
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(FOLIO, 1));
      await put(io, file, 0, filled(SECTOR, 2));
      return [...crashOutcomes(disk)].some(
        (copy) => new Set(copy.fileBytes("/a").subarray(0, SECTOR)).size > 10,
      );
    };
    expect([await settled({ folioBytes: FOLIO }), await settled({})]).toEqual([true, false]);
  });

  test("harms nothing when there is nothing unsynced in the folio, and is never chosen by 'none' and 'all'", async () => {
    for (const policy of ["random", "none", "all"] as const) {
      const disk = new SimDisk({ folioBytes: FOLIO });
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(FOLIO, 1));
      if (policy !== "random") await put(io, file, 0, filled(SECTOR, 2));
      disk.crash(policy);
      const firsts = filled(FOLIO, 1);
      if (policy === "all") firsts.fill(2, 0, SECTOR);
      expect(disk.fileBytes("/a")).toEqual(firsts);
    }
  });

  test("brings a page to the disk that a failed sync had dropped, when its neighbour is synced", async () => {
    const left = async (options: SimDiskOptions): Promise<number[]> => {
      const disk = new SimDisk(options);
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(FOLIO, 1));
      await put(io, file, 0, filled(SECTOR, 2));
      disk.fail({ operation: "sync" });
      expect(await codeOf(file.sync())).toBe("IO_SYNC_FAILED");
      const next = await io.open("/a", { access: "write" });
      await put(io, next, SECTOR, filled(SECTOR, 3), true);
      return [0, 1, 2].map((i) => disk.fileBytes("/a")[i * SECTOR]!);
    };
    expect(await left({})).toEqual([1, 3, 1]);
    expect(await left({ folioBytes: FOLIO })).toEqual([2, 3, 1]);
  });

  test("a folio is a power of two, and no smaller than a sector", () => {
    expect(() => new SimDisk({ folioBytes: 5000 })).toThrow(RangeError);
    expect(() => new SimDisk({ folioBytes: 512, sectorBytes: 4096 })).toThrow(RangeError);
  });
});

test("where a file has grown a crash may leave what another place holds, only where the disk is made so and nothing was there before", async () => {
  const left = async (staleBlocks: boolean): Promise<string[]> => {
    const disk = new SimDisk({ seed: 5, staleBlocks });
    const io = disk.mount();
    await durableFile(io, "/old", filled(SECTOR, 7));
    const file = await durableFile(io, "/a", filled(SECTOR, 1));
    await put(io, file, 0, filled(2 * SECTOR, 2));
    const seen = new Set<string>();
    for (let seed = 1; seed <= 200; seed++) {
      const copy = disk.clone(seed);
      copy.crash();
      const bytes = copy.fileBytes("/a");
      seen.add([bytes[0], ...(bytes.length > SECTOR ? [bytes[SECTOR]] : [])].join());
    }
    return [...seen].sort();
  };
  expect(await left(false)).toEqual(["1", "1,0", "1,2", "2", "2,0", "2,2"]);
  expect(await left(true)).toEqual(["1", "1,0", "1,1", "1,2", "1,7", "2", "2,0", "2,1", "2,2", "2,7"]);
});
