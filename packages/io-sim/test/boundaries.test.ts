import type { IoBackend } from "@stonewal/io";
import { describe, expect, test } from "vitest";
import { crashOutcomes, SimDisk } from "../src/index.js";
import { codeOf, durableFile, filled, put, writeStep } from "./process.js";

const SECTOR = 512;

/** What a crash after each boundary of `act` leaves, keeping or losing all that is not synced. */
async function states(
  prepare: (io: IoBackend) => Promise<unknown>,
  act: (io: IoBackend) => Promise<unknown>,
  policy: "none" | "all",
): Promise<string[]> {
  const found: string[] = [];
  const seen = (disk: SimDisk): void => {
    const state = [...disk.files()]
      .map(([path, bytes]) => `${path}=${[...new Set(bytes)].join("")}*${bytes.length / SECTOR}`)
      .join(" ");
    if (found.at(-1) !== state) found.push(state);
  };
  for (let point = 0; ; point++) {
    const disk = new SimDisk({ crashPolicy: policy, tornSectors: false });
    await prepare(disk.mount());
    const io = disk.mount();
    disk.crashAfter(point);
    const told = await codeOf(act(io));
    if (disk.crashes === 0) {
      expect(told).toBe("resolved");
      disk.crash();
      seen(disk);
      return found;
    }
    expect(told).toBe("IO_CLOSED");
    seen(disk);
  }
}

describe("a crash can come between any two things that can be told apart", () => {
  test("within a chain: after each write, and after each sync", async () => {
    const act = async (io: IoBackend): Promise<void> => {
      const a = await io.open("/a", { access: "write" });
      const b = await io.open("/b", { access: "write" });
      await io.submit([
        writeStep(io, a, 0, filled(SECTOR, 2)),
        { kind: "sync", file: a },
        writeStep(io, b, 0, filled(SECTOR, 2), true),
        writeStep(io, a, 0, filled(SECTOR, 3)),
      ]);
    };
    const prepare = async (io: IoBackend): Promise<void> => {
      await durableFile(io, "/a", filled(SECTOR, 1));
      await durableFile(io, "/b", filled(SECTOR, 1));
    };
    expect(await states(prepare, act, "none")).toEqual(["/a=1*1 /b=1*1", "/a=2*1 /b=1*1", "/a=2*1 /b=2*1"]);
    expect(await states(prepare, act, "all")).toEqual([
      "/a=1*1 /b=1*1",
      "/a=2*1 /b=1*1",
      "/a=2*1 /b=2*1",
      "/a=3*1 /b=2*1",
    ]);
  });

  test("within zero-writing, between its pieces too", async () => {
    const prepare = (io: IoBackend) => durableFile(io, "/a", filled(SECTOR, 1));
    const act = async (io: IoBackend): Promise<void> => {
      const file = await io.open("/a", { access: "write" });
      await file.writeZeros(0, 3 << 20);
    };
    const mebibyte = (1 << 20) / SECTOR;
    expect(await states(prepare, act, "none")).toEqual(["/a=1*1", `/a=0*${3 * mebibyte}`]);
    expect(await states(prepare, act, "all")).toEqual([
      "/a=1*1",
      ...[1, 2, 3].map((n) => `/a=0*${n * mebibyte}`),
    ]);
  });

  test("between creating, naming, cutting, renaming and unlinking and the sync that makes it last", async () => {
    const prepare = (io: IoBackend) => durableFile(io, "/a", filled(2 * SECTOR, 1));
    const act = async (io: IoBackend): Promise<void> => {
      const file = await io.open("/a", { access: "write" });
      await file.truncate(SECTOR);
      await file.sync();
      await io.rename("/a", "/b");
      await io.syncDirectory("/");
      await io.unlink("/b");
      await io.syncDirectory("/");
      await io.open("/c", { access: "create" });
      await io.syncDirectory("/");
    };
    const states_ = ["/a=1*2", "/a=1*1", "/b=1*1", "", "/c=*0"];
    expect(await states(prepare, act, "none")).toEqual(states_);
    expect(await states(prepare, act, "all")).toEqual(states_);
  });

  test("and so can a kill, which leaves what was written in the cache", async () => {
    const seen = new Set<number>();
    for (let point = 0; ; point++) {
      const disk = new SimDisk();
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(SECTOR, 1));
      disk.killAfter(point);
      const told = await codeOf(put(io, file, 0, filled(SECTOR, 2), true));
      if (told === "resolved") break;
      const copy = disk.clone();
      copy.crash("all");
      seen.add(copy.fileBytes("/a")[0]!);
      expect(disk.crashes).toBe(0);
    }
    expect([...seen].sort()).toEqual([1, 2]);
  });

  test("a kill ends the sync that was running, and a crash the kill that was to come: the next life is not hit by them", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(SECTOR, 1));
    await put(io, file, 0, filled(SECTOR, 2));
    disk.killAfter(1);
    expect(await codeOf(file.sync())).toBe("IO_CLOSED");
    const left = [...crashOutcomes(disk)].map((copy) => [...new Set(copy.fileBytes("/a"))].join());
    expect(left.sort()).toEqual(["1", "2"]);

    disk.killAfter(2);
    disk.crash();
    const next = disk.mount();
    for (let i = 0; i < 5; i++) expect(await codeOf(next.list("/"))).toBe("resolved");
  });

  test("every boundary can be watched, and the disk of that moment crashed", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(SECTOR, 1));
    const states: number[] = [];
    const numbers: number[] = [];
    const stop = disk.atEveryBoundary((operations) => {
      numbers.push(operations);
      const copy = disk.clone();
      copy.crash("none");
      states.push(copy.fileBytes("/a")[0]!);
    });
    const from = disk.operations;
    await put(io, file, 0, filled(SECTOR, 2), true);
    expect(numbers).toEqual(Array.from({ length: disk.operations - from }, (_, i) => from + 1 + i));
    expect([states[0], states.at(-1), new Set(states).size]).toEqual([1, 2, 2]);
    stop();
    await io.list("/");
    expect(numbers.at(-1)).toBe(disk.operations - 1);
  });
});
