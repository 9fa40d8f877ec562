import { describe, expect, test } from "vitest";
import { describeFault, SimDisk } from "../src/index.js";
import { codeOf, durableFile, filled, get, put } from "./process.js";

const SECTOR = 512;

describe("the fault log", () => {
  test("has what a rule did, to which file, where and when", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(4 * SECTOR, 1));
    const before = disk.operations;
    disk.fail({ operation: "write", errno: "ENOSPC", effect: "partial" });
    disk.fail({ operation: "read", effect: "stale" });
    disk.fail({ operation: "rename" });
    await codeOf(put(io, file, SECTOR, filled(2 * SECTOR, 2)));
    await get(io, file, 0, 100);
    await codeOf(io.rename("/a", "/b"));
    expect(disk.faultLog).toEqual([
      { operation: before, kind: "write partial ENOSPC", path: "/a", offset: SECTOR, length: 2 * SECTOR },
      { operation: before + 2, kind: "read stale", path: "/a", offset: 0, length: 100 },
      { operation: before + 3, kind: "rename EIO", path: "/a" },
    ]);
    expect(disk.faultLog.map(describeFault)).toEqual([
      `at ${before}: write partial ENOSPC /a 512+1024`,
      `at ${before + 2}: read stale /a 0+100`,
      `at ${before + 3}: rename EIO /a`,
    ]);
  });

  test("has what a crash took: sectors in ranges, lengths, entries; and nothing where it took nothing", async () => {
    const run = async (policy: "none" | "all"): Promise<string[]> => {
      const disk = new SimDisk();
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(4 * SECTOR, 1));
      await put(io, file, SECTOR, filled(4 * SECTOR, 2));
      await durableFileWithoutName(disk);
      disk.crash(policy);
      return disk.faultLog.map(({ kind, path, offset, length, detail }) =>
        [kind, path, offset, length, detail].filter((part) => part !== undefined).join(" "),
      );
    };
    expect(await run("none")).toEqual([
      "crash",
      "crash length /a 2048 instead of 2560",
      "crash lost /a 512 2048",
      "crash entry create /b is undone",
    ]);
    expect(await run("all")).toEqual(["crash"]);
  });

  async function durableFileWithoutName(disk: SimDisk): Promise<void> {
    await disk.mount().open("/b", { access: "create" });
  }

  test("tells torn sectors from lost ones, and neighbours that a folio took along", async () => {
    const kinds = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const disk = new SimDisk({ seed, folioBytes: 4096 });
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(4096, 1));
      await put(io, file, 0, filled(SECTOR, 2));
      disk.crashAfter(1);
      await codeOf(put(io, file, 0, filled(SECTOR, 3)));
      for (const { kind } of disk.faultLog) kinds.add(kind);
    }
    expect([...kinds].sort()).toEqual([
      "crash",
      "crash garbage",
      "crash lost",
      "crash neighbour garbage",
      "crash neighbour zeros",
      "crash older",
      "crash zeros",
    ]);
  });

  test("has damage by hand and kills", async () => {
    const disk = new SimDisk();
    disk.plant("/a", filled(2 * SECTOR, 1));
    disk.corrupt("/a", 5, Uint8Array.of(1));
    disk.makeUnreadable("/a", SECTOR, 1);
    disk.truncateFile("/a", SECTOR);
    disk.kill();
    expect(disk.faultLog.map(({ kind, offset }) => [kind, offset])).toEqual([
      ["corrupt", 5],
      ["unreadable", SECTOR],
      ["truncate", SECTOR],
      ["kill", undefined],
    ]);
  });
});

describe("one seed, one run", () => {
  async function run(seed: number, logLimit?: number): Promise<SimDisk> {
    const disk = new SimDisk({ seed, folioBytes: 8192, staleBlocks: true, ...(logLimit && { logLimit }) });
    for (const [operation, effect] of [
      ["write", "rot"],
      ["write", "misdirected"],
      ["write", "lost"],
      ["write", "short"],
      ["read", "rot"],
      ["sync", "slow"],
    ] as const)
      disk.fail({ operation, effect, rate: 0.15, ms: 3 });
    disk.fail({ operation: "sync", rate: 0.05, effect: "partial" });
    for (let life = 0; life < 6; life++) {
      const io = disk.mount();
      const path = `/${life}`;
      await Promise.all([
        (async () => {
          const file = await durableFile(io, path, io.random(5 * SECTOR));
          await Promise.all([0, 1, 2].map((i) => put(io, file, i * 700, io.random(900), i === 1)));
          await get(io, file, 0, 4096);
        })().catch(() => undefined),
        (async () => {
          await durableFile(io, `${path}b`, io.random(3 * SECTOR));
          await io.rename(`${path}b`, `${path}c`);
        })().catch(() => undefined),
      ]);
      disk.rot(/./, { rate: 0.1 });
      disk.crash();
    }
    return disk;
  }

  test("the same seed gives the same trace, the same fault log and the same bytes, faults at rates and all; another one does not", async () => {
    const [one, again, other] = [await run(1), await run(1), await run(2)];
    expect(again.trace.join("\n")).toBe(one.trace.join("\n"));
    expect(again.faultLog).toEqual(one.faultLog);
    expect([...again.files()]).toEqual([...one.files()]);
    expect(other.trace).not.toEqual(one.trace);
    expect(new Set(one.faultLog.map(({ kind }) => kind)).size).toBeGreaterThan(8);
  });

  test("trace and fault log keep the newest lines only: a long soak does not fill the memory", async () => {
    const [all, some] = [await run(1), await run(1, 20)];
    expect(all.forgotten).toEqual({ trace: 0, faultLog: 0 });
    expect(some.trace.length).toBeLessThanOrEqual(20);
    expect(some.trace).toEqual(all.trace.slice(-some.trace.length));
    expect(some.forgotten.trace + some.trace.length).toBe(all.trace.length);
    expect(some.faultLog).toEqual(all.faultLog.slice(-some.faultLog.length));
    expect(some.forgotten.faultLog + some.faultLog.length).toBe(all.faultLog.length);
    expect([...some.files()]).toEqual([...all.files()]);
  });
});
