import type { IoBackend, IoFile } from "@stonewal/io";
import { describe, expect, test } from "vitest";
import { type CrashPolicy, crashOutcomes, SimDisk } from "../src/index.js";
import { codeOf, durableFile, filled, put, readAll, writeStep } from "./process.js";

const SECTOR = 512;

/** Runs `history` once, and gives the sectors of /a, each as its first byte, for many crashes of the disk as it then is. */
async function outcomes(
  history: (disk: SimDisk) => Promise<void>,
  crashes = 200,
  policy: CrashPolicy = "random",
): Promise<Set<string>> {
  const disk = new SimDisk({ seed: 7 });
  await history(disk);
  const seen = new Set<string>();
  for (let seed = 1; seed <= crashes; seed++) {
    const copy = disk.clone(seed);
    copy.crash(policy);
    seen.add(copy.paths().includes("/a") ? sectors(copy.fileBytes("/a")).join() : "gone");
  }
  return seen;
}

function sectors(bytes: Uint8Array): number[] {
  const firsts: number[] = [];
  for (let at = 0; at < bytes.length; at += SECTOR) firsts.push(bytes[at]!);
  return firsts;
}

describe("what a crash may do to a file", () => {
  test("unsynced sectors are lost or kept one by one, and any version since the last sync may be the one kept", async () => {
    const seen = await outcomes(async (disk) => {
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(2 * SECTOR, 1));
      await put(io, file, 0, filled(2 * SECTOR, 2));
      await put(io, file, 0, filled(SECTOR, 3));
    });
    expect([...seen].sort()).toEqual(["1,1", "1,2", "2,1", "2,2", "3,1", "3,2"]);
  });

  test("what was synced is kept, whatever the crash", async () => {
    const seen = await outcomes(async (disk) => {
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(2 * SECTOR, 1));
      await put(io, file, 0, filled(2 * SECTOR, 2));
      await file.sync();
    });
    expect([...seen]).toEqual(["2,2"]);
  });

  test("a durable write makes its own range safe and nothing else", async () => {
    const seen = await outcomes(async (disk) => {
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(2 * SECTOR, 1));
      await put(io, file, SECTOR, filled(SECTOR, 2));
      await put(io, file, 0, filled(SECTOR, 3), true);
    });
    expect([...seen].sort()).toEqual(["3,1", "3,2"]);
  });

  test("a direct write without a sync is in the device's cache only", async () => {
    const seen = await outcomes(async (disk) => {
      const io = disk.mount();
      await durableFile(io, "/a", filled(4096, 1));
      const direct = await io.open("/a", { access: "write", direct: true });
      await put(io, direct, 0, filled(4096, 2));
    }, 40);
    expect(seen.size).toBeGreaterThan(20);
  });

  test("policies: none loses all that is unsynced, all keeps it, a function decides each", async () => {
    const history = async (disk: SimDisk): Promise<void> => {
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(2 * SECTOR, 1));
      await put(io, file, 0, filled(2 * SECTOR, 2));
    };
    expect([...(await outcomes(history, 5, "none"))]).toEqual(["1,1"]);
    expect([...(await outcomes(history, 5, "all"))]).toEqual(["2,2"]);
    const second: CrashPolicy = ({ what, detail }) => (what === "sector" && detail === 1 ? 1 : 0);
    expect([...(await outcomes(history, 5, second))]).toEqual(["1,2"]);
  });

  test("the length is durable only by a sync of the file, and sectors beyond it are gone", async () => {
    const seen = await outcomes(async (disk) => {
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(SECTOR, 1));
      await put(io, file, SECTOR, filled(SECTOR, 2));
    });
    expect([...seen].sort()).toEqual(["1", "1,0", "1,2"]);
  });

  test("a cut and its length are one: what was cut off does not come back at the old length half zeroed", async () => {
    const seen = await outcomes(async (disk) => {
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(3 * SECTOR, 1));
      await file.truncate(SECTOR);
      await file.truncate(3 * SECTOR);
    });
    expect([...seen].sort()).toEqual(["1", "1,0,0", "1,1,1"]);
  });

  test("a cut takes along what was written before it, and brings nothing that was written after it", async () => {
    const seen = await outcomes(async (disk) => {
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(3 * SECTOR, 1));
      await put(io, file, SECTOR, filled(SECTOR, 2));
      await file.truncate(SECTOR);
      await file.truncate(3 * SECTOR);
      await put(io, file, SECTOR, filled(SECTOR, 3));
    });
    expect([...seen].sort()).toEqual(["1", "1,0,0", "1,1,1", "1,2,1", "1,3,0"]);
  });

  test("a sync covers only writes that had completed when it began; a later one stays readable, and volatile", async () => {
    let between = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const disk = new SimDisk({ seed });
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(SECTOR, 1));
      await put(io, file, 0, filled(SECTOR, 5));
      const from = disk.trace.length;
      await Promise.all([put(io, file, 0, filled(SECTOR, 2)), file.sync()]);
      const order = disk.trace.slice(from).map((line) => line.split(" ")[1]);
      const covered = order.indexOf("written") < order.indexOf("sync");
      if (!covered && order.indexOf("written") < order.indexOf("synced")) between++;
      expect(sectors(disk.fileBytes("/a"))).toEqual([covered ? 2 : 5]);
      expect(await readAll(io, "/a")).toEqual(filled(SECTOR, 2));
    }
    expect(between).toBeGreaterThan(0);
  });
});

describe("a crash in the middle", () => {
  /** In the device's cache, being brought to the disk, and durable. */
  const written = ["2:1", "2:2", "3:1", "3:2", "4:2"];

  /** Every crash point of one overwriting durable write, each many times. */
  async function inFlight(tornSectors: boolean): Promise<Set<string>> {
    const seen = new Set<string>();
    for (let point = 0; point < 5; point++)
      for (let seed = 1; seed <= 40; seed++) {
        const disk = new SimDisk({ seed, tornSectors });
        const io = disk.mount();
        const file = await durableFile(io, "/a", filled(SECTOR, 1));
        disk.crashAfter(point);
        expect(await codeOf(put(io, file, 0, filled(SECTOR, 2), true))).toBe("IO_CLOSED");
        const bytes = disk.fileBytes("/a");
        const known = [0, 1, 2].find((value) => bytes.every((byte) => byte === value));
        seen.add(`${point}:${known ?? "garbage"}`);
      }
    return seen;
  }

  test("a sector in flight may turn to zeros or garbage, and a completed durable write is there although nobody was told", async () => {
    expect([...(await inFlight(true))].sort()).toEqual(
      ["0:1", "1:0", "1:1", "1:2", "1:garbage", "3:0", "3:garbage", ...written].sort(),
    );
  });

  test("without torn sectors a sector in flight is old or new", async () => {
    expect([...(await inFlight(false))].sort()).toEqual(["0:1", "1:1", "1:2", ...written]);
  });

  /** The states of /a, sector by sector, that a crash at each boundary of `act` may leave. */
  async function everywhere(
    seed: number,
    prepare: (io: IoBackend) => Promise<IoFile>,
    act: (io: IoBackend, file: IoFile) => Promise<unknown>,
  ): Promise<{ readonly lines: string; readonly left: readonly Uint8Array[] }[]> {
    const disk = new SimDisk({ seed, directAlignment: SECTOR });
    const io = disk.mount();
    const file = await prepare(io);
    const from = disk.trace.length;
    const found: { lines: string; left: Uint8Array[] }[] = [];
    disk.atEveryBoundary(() => {
      const left = [...crashOutcomes(disk)].map((copy) => copy.fileBytes("/a"));
      const lines = disk.trace.slice(from).map((line) => line.replace(/^\d+ (\S+) \S+/, "$1"));
      found.push({ lines: lines.join("; "), left });
    });
    await act(io, file);
    return found;
  }

  const isGarbage = (bytes: Uint8Array) => new Set(bytes).size > 10;

  test("a sync tears what it is bringing to the disk: not what another write has left, nor what came after it had begun", async () => {
    const range = await everywhere(
      1,
      async (io) => {
        const file = await durableFile(io, "/a", filled(2 * SECTOR, 1));
        await put(io, file, 0, filled(SECTOR, 2));
        return file;
      },
      (io, file) => put(io, file, SECTOR, filled(SECTOR, 2), true),
    );
    const all = range.flatMap(({ left }) => left);
    expect(all.some((bytes) => isGarbage(bytes.subarray(SECTOR)))).toBe(true);
    expect(all.some((bytes) => isGarbage(bytes.subarray(0, SECTOR)))).toBe(false);

    let after = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const found = await everywhere(
        seed,
        async (io) => {
          const file = await durableFile(io, "/a", filled(2 * SECTOR, 1));
          await put(io, file, 0, filled(SECTOR, 2));
          return file;
        },
        (io, file) => Promise.all([file.sync(), put(io, file, SECTOR, filled(SECTOR, 2))]),
      );
      for (const { lines, left } of found) {
        // The sync began before the write, which has completed before the sync has.
        if (!/sync.*write .*written/.test(lines) || lines.includes("synced")) continue;
        after++;
        expect(left.some((bytes) => isGarbage(bytes.subarray(SECTOR)))).toBe(false);
        expect(left.some((bytes) => isGarbage(bytes.subarray(0, SECTOR)))).toBe(true);
      }
    }
    expect(after).toBeGreaterThan(0);
  });

  test("a cut that is being synced tears nothing: it frees blocks, and writes none", async () => {
    const found = await everywhere(
      1,
      (io) => durableFile(io, "/a", filled(3 * SECTOR, 1)),
      async (_, file) => {
        await file.truncate(SECTOR);
        await file.sync();
      },
    );
    const left = found.flatMap(({ left }) =>
      left.map((bytes) => `${[...new Set(bytes)]}*${bytes.length / SECTOR}`),
    );
    expect([...new Set(left)].sort()).toEqual(["1*1", "1*3"]);
  });

  test("within a chain: a later step is never there without an earlier sync", async () => {
    let between = 0;
    for (let point = 0; ; point++) {
      const disk = new SimDisk({ seed: point });
      const io = disk.mount();
      const first = await durableFile(io, "/a", filled(SECTOR, 1));
      const second = await durableFile(io, "/b", filled(SECTOR, 1));
      const chain = [
        writeStep(io, first, 0, filled(SECTOR, 2)),
        { kind: "sync", file: first } as const,
        writeStep(io, second, 0, filled(SECTOR, 2)),
      ];
      disk.crashAfter(point);
      const told = await codeOf(io.submit(chain));
      if (disk.crashes === 0) {
        expect(told).toBe("resolved");
        break;
      }
      if (disk.fileBytes("/b")[0] !== 1) {
        between++;
        expect(disk.fileBytes("/a")[0]).toBe(2);
      }
    }
    expect(between).toBeGreaterThan(0);
  });
});

describe("names after a crash", () => {
  test("a file that was created and not named durably may be gone, and is not after the directory's sync", async () => {
    const create = async (disk: SimDisk): Promise<void> => {
      const io = disk.mount();
      const file = await io.open("/a", { access: "create" });
      await put(io, file, 0, filled(SECTOR, 1), true);
    };
    expect([...(await outcomes(create, 30))].sort()).toEqual(["1", "gone"]);
    const synced = async (disk: SimDisk): Promise<void> => {
      await create(disk);
      await disk.mount().syncDirectory("/");
    };
    expect([...(await outcomes(synced, 30))]).toEqual(["1"]);
  });

  test("a rename is whole or not at all", async () => {
    const names = new Set<string>();
    const disk = new SimDisk();
    const io = disk.mount();
    await durableFile(io, "/old", filled(SECTOR, 1));
    await io.rename("/old", "/new");
    for (let seed = 1; seed <= 30; seed++) {
      const copy = disk.clone(seed);
      copy.crash();
      names.add(copy.paths().join());
    }
    expect([...names].sort()).toEqual(["/new", "/old"]);
  });

  test("entries are kept or lost one by one, and in order where they concern one name", async () => {
    const names = new Set<string>();
    const disk = new SimDisk();
    const io = disk.mount();
    await durableFile(io, "/a", filled(SECTOR, 1));
    await durableFile(io, "/b", filled(SECTOR, 2));
    await io.unlink("/b");
    await io.rename("/a", "/b");
    await (await io.open("/c", { access: "create" })).close();
    for (let seed = 1; seed <= 100; seed++) {
      const copy = disk.clone(seed);
      copy.crash();
      names.add([...copy.files()].map(([path, bytes]) => `${path}=${bytes[0] ?? ""}`).join());
    }
    // The rename onto /b is never there without the unlink that made room for it.
    expect([...names].sort()).toEqual(["/a=1", "/a=1,/b=2", "/a=1,/b=2,/c=", "/a=1,/c=", "/b=1", "/b=1,/c="]);
  });

  test("a file is never lost because its old name was used again: the new one comes with the rename before it", async () => {
    const names = new Set<string>();
    const disk = new SimDisk();
    const io = disk.mount();
    await durableFile(io, "/a", filled(SECTOR, 1));
    await io.rename("/a", "/x");
    const file = await io.open("/a", { access: "create" });
    await put(io, file, 0, filled(SECTOR, 2), true);
    for (let seed = 1; seed <= 60; seed++) {
      const copy = disk.clone(seed);
      copy.crash();
      names.add([...copy.files()].map(([path, bytes]) => `${path}=${bytes[0] ?? ""}`).join());
    }
    expect([...names].sort()).toEqual(["/a=1", "/a=2,/x=1", "/x=1"]);
  });

  test("an unlink that was not synced may be undone", async () => {
    const history = async (disk: SimDisk): Promise<void> => {
      const io = disk.mount();
      await durableFile(io, "/a", filled(SECTOR, 1));
      await io.unlink("/a");
    };
    expect([...(await outcomes(history, 30))].sort()).toEqual(["1", "gone"]);
  });
});

describe("processes", () => {
  test("after a crash every pending and later call of the old life rejects, its locks are free, and a new one sees what is left", async () => {
    const disk = new SimDisk({ crashPolicy: "none" });
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(SECTOR, 1));
    await io.lock("/lock");
    const pending = codeOf(put(io, file, 0, filled(SECTOR, 2)));
    disk.crash();
    expect(await pending).toBe("IO_CLOSED");
    expect(await codeOf(file.sync())).toBe("IO_CLOSED");
    expect(await codeOf(file.close())).toBe("IO_CLOSED");
    expect(await codeOf(io.list("/"))).toBe("IO_CLOSED");
    expect(() => io.arena(1)).toThrow(expect.objectContaining({ code: "IO_CLOSED" }));
    const next = disk.mount();
    expect(await readAll(next, "/a")).toEqual(filled(SECTOR, 1));
    await next.lock("/lock");
  });

  test("a kill leaves what was written in the page cache: readable, and not durable", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(SECTOR, 1));
    await put(io, file, 0, filled(SECTOR, 2));
    disk.kill();
    expect(await codeOf(file.size())).toBe("IO_CLOSED");
    const next = disk.mount();
    expect(await readAll(next, "/a")).toEqual(filled(SECTOR, 2));
    disk.crash("none");
    expect(disk.fileBytes("/a")).toEqual(filled(SECTOR, 1));
  });

  test("timers fire when time is let pass, in order, and never after the process's end", async () => {
    const disk = new SimDisk();
    const { clock } = disk.mount();
    const fired: string[] = [];
    clock.after(20, () => fired.push(`b at ${clock.monotonic()}`));
    clock.after(10, () => {
      fired.push(`a at ${clock.monotonic()}`);
      clock.after(5, () => fired.push(`c at ${clock.monotonic()}`));
    });
    clock.after(12, () => fired.push("cancelled")).cancel();
    clock.after(25, () => fired.push(`d at ${clock.monotonic()}`));
    const start = clock.now();
    disk.advance(30);
    expect(fired).toEqual(["a at 10", "c at 15", "b at 20", "d at 25"]);
    expect(clock.now() - start).toBe(30);
    clock.after(1, () => fired.push("dead"));
    disk.crash();
    disk.advance(10);
    expect(fired).toHaveLength(4);
  });
});
