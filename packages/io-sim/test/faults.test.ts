import { describe, expect, test } from "vitest";
import { type FaultRule, SimDisk } from "../src/index.js";
import { codeOf, durableFile, filled, get, put, readAll, writeStep } from "./process.js";

const SECTOR = 512;

describe("a failed sync", () => {
  async function failed() {
    const disk = new SimDisk({ seed: 3 });
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(4096, 1));
    const other = await io.open("/a", { access: "write" });
    disk.fail({ operation: "sync", path: /a/ });
    await put(io, file, 0, filled(4096, 2));
    expect(await codeOf(file.sync())).toBe("IO_SYNC_FAILED");
    return { disk, io, file, other };
  }

  test("drops the pages, which go on being read from the cache: a log that trusts the cache would deliver what is lost", async () => {
    const { disk, io } = await failed();
    expect(await readAll(io, "/a")).toEqual(filled(4096, 2));
    expect(await readAll(io, "/a", { direct: true })).toEqual(filled(4096, 1));
    const fresh = await io.open("/a", { access: "write" });
    await fresh.sync();
    expect(disk.fileBytes("/a")).toEqual(filled(4096, 1));
    await fresh.dropCache();
    expect(await readAll(io, "/a")).toEqual(filled(4096, 1));
  });

  test("poisons its open file for good; a new open's sync succeeds", async () => {
    const { io, file } = await failed();
    expect(await codeOf(file.sync())).toBe("IO_SYNC_POISONED");
    expect(await codeOf(put(io, file, 0, filled(1, 3)))).toBe("IO_SYNC_POISONED");
    expect(await codeOf(file.writeZeros(0, 1))).toBe("IO_SYNC_POISONED");
    const fresh = await io.open("/a", { access: "write" });
    expect(await codeOf(fresh.sync())).toBe("resolved");
  });

  test("is told once to every file that was open", async () => {
    const { other } = await failed();
    expect(await codeOf(other.sync())).toBe("IO_SYNC_FAILED");
    expect(await codeOf(other.sync())).toBe("IO_SYNC_POISONED");
  });

  test("fails a write in flight on the same open file", async () => {
    let inFlight = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const disk = new SimDisk({ seed });
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(SECTOR, 1));
      const from = disk.trace.length;
      disk.fail({ operation: "sync" });
      const [write] = await Promise.all([codeOf(put(io, file, 0, filled(SECTOR, 2))), codeOf(file.sync())]);
      const order = disk.trace.slice(from).map((line) => line.split(" ")[1]);
      const after = order.indexOf("written") < 0 || order.indexOf("written") > order.indexOf("fault");
      if (after && order.includes("write")) inFlight++;
      expect(write).toBe(after ? "IO_SYNC_POISONED" : "resolved");
    }
    expect(inFlight).toBeGreaterThan(0);
  });

  test("partial: some of the sectors reached the disk all the same", async () => {
    const disk = new SimDisk({ seed: 5 });
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(16 * SECTOR, 1));
    await put(io, file, 0, filled(16 * SECTOR, 2));
    disk.fail({ operation: "sync", effect: "partial" });
    expect(await codeOf(file.sync())).toBe("IO_SYNC_FAILED");
    expect(new Set(disk.fileBytes("/a"))).toEqual(new Set([1, 2]));
  });
});

describe("failing calls", () => {
  test("a chain stops at the step that failed, and names it", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(3 * SECTOR, 1));
    disk.fail({ operation: "write", nth: 2 });
    const steps = [0, 1, 2].map((i) => writeStep(io, file, i * SECTOR, filled(SECTOR, 2), true));
    await expect(io.submit(steps)).rejects.toMatchObject({ code: "IO_WRITE_FAILED", errno: "EIO", step: 1 });
    const bytes = disk.fileBytes("/a");
    expect([bytes[0], bytes[SECTOR], bytes[2 * SECTOR]]).toEqual([2, 1, 1]);
  });

  test("a failed write may have been done in part", async () => {
    const disk = new SimDisk({ seed: 2 });
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(16 * SECTOR, 1));
    disk.fail({ operation: "write", errno: "ENOSPC", effect: "partial" });
    expect(await codeOf(put(io, file, 0, filled(16 * SECTOR, 2)))).toBe("IO_NO_SPACE");
    expect(new Set(await readAll(io, "/a"))).toEqual(new Set([1, 2]));
  });

  test("a short write is completed, with a point in between where a crash may come", async () => {
    const disk = new SimDisk({ seed: 2 });
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(16 * SECTOR, 1));
    const plain = disk.operations;
    await put(io, file, 0, filled(16 * SECTOR, 2));
    const boundaries = disk.operations - plain;
    const fault = disk.fail({ operation: "write", effect: "short" });
    await put(io, file, 0, filled(16 * SECTOR, 3), true);
    expect(fault.struck).toBe(1);
    expect(disk.operations - plain - boundaries).toBeGreaterThan(boundaries);
    expect(disk.fileBytes("/a")).toEqual(filled(16 * SECTOR, 3));
  });

  test("nth, times and path choose which calls fail, and a cancelled rule none", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const fault = disk.fail({ operation: "open", path: /^\/x/, nth: 2, times: 2, errno: "EACCES" });
    const codes: string[] = [];
    for (const path of ["/x1", "/y1", "/x2", "/x3", "/x4"])
      codes.push(await codeOf(io.open(path, { access: "create" })));
    expect(codes).toEqual(["resolved", "resolved", "IO_ACCESS", "IO_ACCESS", "resolved"]);
    expect(fault.struck).toBe(2);
    const rename = disk.fail({ operation: "rename", times: Number.POSITIVE_INFINITY });
    expect(await codeOf(io.rename("/x1", "/z"))).toBe("IO_FAILED");
    rename.cancel();
    expect(await codeOf(io.rename("/x1", "/z"))).toBe("resolved");
  });

  test("a rate strikes that share of the calls, from the nth on and not more than `times`, and the same ones for the same seed", async () => {
    const run = async (seed: number, rule: Partial<FaultRule>): Promise<string> => {
      const disk = new SimDisk({ seed });
      const io = disk.mount();
      disk.fail({ operation: "list", ...rule });
      let codes = "";
      for (let i = 0; i < 400; i++) codes += (await codeOf(io.list("/"))) === "resolved" ? "." : "x";
      return codes;
    };
    const struck = (codes: string): number => codes.split("x").length - 1;
    const codes = await run(1, { rate: 0.25 });
    expect(struck(codes)).toBeGreaterThan(60);
    expect(struck(codes)).toBeLessThan(140);
    expect(await run(1, { rate: 0.25 })).toBe(codes);
    expect(await run(2, { rate: 0.25 })).not.toBe(codes);
    expect(struck(await run(1, { rate: 0.25, times: 7 }))).toBe(7);
    expect((await run(1, { rate: 0.25, nth: 301 })).indexOf("x")).toBeGreaterThanOrEqual(300);
    expect([struck(await run(1, { rate: 0 })), struck(await run(1, { rate: 1 }))]).toEqual([0, 400]);
  });

  test("a fault that cannot happen to a call is refused when it is armed, not missed later", () => {
    const disk = new SimDisk();
    expect(() => disk.fail({ operation: "open", effect: "short" })).toThrow(RangeError);
    expect(() => disk.fail({ operation: "sync", effect: "misdirected" })).toThrow(RangeError);
    expect(() => disk.fail({ operation: "read", rate: 1.5 })).toThrow(RangeError);
  });

  test("an unreadable sector is an error, not zeros, until it is written anew", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(4 * SECTOR, 1));
    disk.makeUnreadable("/a", SECTOR, 1);
    expect(await codeOf(readAll(io, "/a"))).toBe("IO_READ_FAILED");
    expect(await get(io, file, 0, SECTOR)).toEqual(filled(SECTOR, 1));
    await put(io, file, SECTOR, filled(SECTOR, 2));
    await file.sync();
    expect(await codeOf(readAll(io, "/a"))).toBe("resolved");
  });

  test("damage at rest is seen by every reader", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(3 * SECTOR, 1));
    disk.corrupt("/a", SECTOR - 1, Uint8Array.of(9, 9));
    expect((await get(io, file, SECTOR - 2, 4)).join()).toBe("1,9,9,1");
    expect(disk.fileBytes("/a").filter((byte) => byte === 9)).toHaveLength(2);
    disk.truncateFile("/a", SECTOR + 1);
    expect(await file.size()).toBe(SECTOR + 1);
    expect(disk.fileBytes("/a")).toHaveLength(SECTOR + 1);
  });
});
