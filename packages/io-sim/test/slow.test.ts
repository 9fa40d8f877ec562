import { describe, expect, test } from "vitest";
import { SimDisk } from "../src/index.js";
import { codeOf, durableFile, filled, get, put } from "./process.js";

const SECTOR = 512;

describe("a slow call", () => {
  test("takes its simulated time and no real one: whatever else is going on overtakes it, and timers before its end are called first", async () => {
    const disk = new SimDisk({ seed: 3 });
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(2 * SECTOR, 1));
    const other = await durableFile(io, "/b", filled(SECTOR, 1));
    const start = io.clock.monotonic();
    const order: string[] = [];
    const at = (what: string) => () => order.push(`${what} ${io.clock.monotonic() - start}`);
    disk.fail({ operation: "write", path: /a/, effect: "slow", ms: 60_000 });
    io.clock.after(50_000, at("timer"));
    io.clock.after(70_000, at("late timer"));
    await Promise.all([
      put(io, file, 0, filled(SECTOR, 2), true).then(at("slow")),
      put(io, other, 0, filled(SECTOR, 2), true).then(at("fast")),
    ]);
    expect(order).toEqual(["fast 0", "timer 50000", "slow 60000"]);
  });

  test("is in flight all the while: a crash that comes by a timer finds its sectors old, new or torn", async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 60; seed++) {
      const disk = new SimDisk({ seed });
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(SECTOR, 1));
      disk.fail({ operation: "write", effect: "slow", ms: 100 });
      io.clock.after(50, () => disk.crash());
      expect(await codeOf(put(io, file, 0, filled(SECTOR, 2), true))).toBe("IO_CLOSED");
      const bytes = disk.fileBytes("/a");
      seen.add(bytes.every((byte) => byte === bytes[0]) ? String(bytes[0]) : "garbage");
    }
    expect([...seen].sort()).toEqual(["0", "1", "2", "garbage"]);
  });

  test("may be any call: reads, syncs, opens, renames; of two the shorter one is done first", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(SECTOR, 1));
    const order: string[] = [];
    for (const [operation, ms] of [
      ["read", 40],
      ["sync", 30],
      ["open", 20],
      ["rename", 10],
    ] as const)
      disk.fail({ operation, effect: "slow", ms });
    const start = io.clock.now();
    await Promise.all([
      get(io, file, 0, SECTOR).then(() => order.push("read")),
      file.sync().then(() => order.push("sync")),
      io.open("/b", { access: "create" }).then(() => order.push("open")),
      io.rename("/a", "/c").then(() => order.push("rename")),
    ]);
    expect(order).toEqual(["rename", "open", "sync", "read"]);
    expect(io.clock.now() - start).toBe(40);
  });

  test("ends when time is let pass, too, and dies with its process", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(SECTOR, 1));
    disk.fail({ operation: "write", effect: "slow", ms: 1000, times: 2 });
    const pending = codeOf(put(io, file, 0, filled(SECTOR, 2), true));
    disk.kill();
    expect(await pending).toBe("IO_CLOSED");
    const before = disk.mount().clock.monotonic();
    await disk.mount().list("/");
    expect(disk.mount().clock.monotonic()).toBe(before);
  });
});
