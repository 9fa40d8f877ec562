import { IoError, type IoFile } from "@stonewal/io";
import { describe, expect, test } from "vitest";
import { type CrashPolicy, SimDisk } from "../src/index.js";

const BYTES = 4096;
const OFFERED = { min: 4096, max: 65536 };

async function preparedFile(
  disk: SimDisk,
): Promise<{ file: IoFile; write: (fill: number) => Promise<void> }> {
  const io = disk.mount();
  const file = await io.open("/a", { access: "create", direct: true });
  await file.writeZeros(0, 4 * BYTES);
  await io.syncDirectory("/");
  const arena = io.arena(2 * BYTES);
  return {
    file,
    async write(fill) {
      arena.bytes.fill(fill);
      const region = { arena, start: 0, length: 2 * BYTES };
      await io.submit([
        { kind: "write", file, region, offset: 2 * BYTES, untorn: true, durable: fill === 9 },
      ]);
    },
  };
}

/** What many crashes, or kills, leave of the range: the different bytes in it. */
function leftOver(disk: SimDisk, policy: CrashPolicy | "kill" = "random"): Set<string> {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 100; seed++) {
    const copy = disk.clone(seed);
    if (policy === "kill") copy.kill();
    copy.crash(policy === "kill" ? "all" : policy);
    seen.add([...new Set(copy.fileBytes("/a").subarray(2 * BYTES))].join());
  }
  return seen;
}

describe("an untorn write", () => {
  test("is there whole or not at all when the power fails or the process is killed at any moment of it, several of them unsynced too", async () => {
    let moments = 0;
    for (let boundaries = 1; boundaries <= 8; boundaries++) {
      const disk = new SimDisk({ seed: boundaries, untornWriteBytes: OFFERED });
      const { write } = await preparedFile(disk);
      const states: SimDisk[] = [];
      const history = (async () => {
        for (const fill of [1, 2, 9]) await write(fill);
      })().catch(() => undefined);
      disk.crashAfter(boundaries);
      disk.crashPolicy = (choice) => {
        if (states.length === 0) states.push(disk.clone());
        return choice.what === "untorn" ? 1 : 0;
      };
      await history;
      for (const state of states) {
        moments++;
        for (const left of [...leftOver(state), ...leftOver(state, "kill")])
          expect(["0", "1", "2", "9"]).toContain(left);
      }
    }
    expect(moments).toBeGreaterThan(4);
  });

  test("that is not synced is lost or kept, and the same write without the promise may be torn", async () => {
    const disk = new SimDisk({ seed: 3, untornWriteBytes: OFFERED });
    const { write } = await preparedFile(disk);
    await write(1);
    expect([...leftOver(disk)].sort()).toEqual(["0", "1"]);
    expect([...leftOver(disk, "all")]).toEqual(["1"]);
    expect([...leftOver(disk, "none")]).toEqual(["0"]);

    const ordinary = new SimDisk({ seed: 3 });
    const io = ordinary.mount();
    const file = await io.open("/a", { access: "create", direct: true });
    await file.writeZeros(0, 4 * BYTES);
    await io.syncDirectory("/");
    const arena = io.arena(2 * BYTES);
    arena.bytes.fill(1);
    const region = { arena, start: 0, length: 2 * BYTES };
    await io.submit([{ kind: "write", file, region, offset: 2 * BYTES }]);
    expect([...leftOver(ordinary)].some((left) => left.includes(","))).toBe(true);
  });

  test("that a failed sync leaves on the disk is there whole or not at all", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const disk = new SimDisk({ seed, untornWriteBytes: OFFERED });
      const { file, write } = await preparedFile(disk);
      disk.fail({ operation: "sync", effect: "partial" });
      await write(1);
      await expect(file.sync()).rejects.toBeInstanceOf(IoError);
      expect(["0", "1"]).toContain([...new Set(disk.fileBytes("/a").subarray(2 * BYTES))].join());
    }
  });

  test("is never made in part by a short call", async () => {
    const disk = new SimDisk({ seed: 5, untornWriteBytes: OFFERED });
    const { write } = await preparedFile(disk);
    const short = disk.fail({ operation: "write", effect: "short", bytes: 512 });
    await write(9);
    expect(short.struck).toBe(1);
    expect([...leftOver(disk)]).toEqual(["9"]);
  });
});

test("a disk promises no untorn writes unless it was made so, and none to buffered files", async () => {
  const plain = new SimDisk().mount();
  expect((await plain.probe("/")).atomicWriteBytes).toBe(0);
  expect((await plain.open("/a", { access: "create", direct: true })).untornWriteBytes).toBeUndefined();
  const promising = new SimDisk({ untornWriteBytes: OFFERED }).mount();
  expect((await promising.probe("/")).atomicWriteBytes).toBe(65536);
  expect((await promising.open("/a", { access: "create" })).untornWriteBytes).toBeUndefined();
  expect((await promising.open("/b", { access: "create", direct: true })).untornWriteBytes).toEqual(OFFERED);
});
