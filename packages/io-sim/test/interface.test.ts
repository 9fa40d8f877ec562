import { describe, expect, test } from "vitest";
import { SimDisk } from "../src/index.js";
import { codeOf, durableFile, filled, get, put, readAll, writeStep } from "./process.js";

describe("the interface is enforced", () => {
  test("memory changed while it is written is an error of its own: a real kernel would write either", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(512, 1));
    const arena = io.arena(512);
    const written = codeOf(
      io.submit([{ kind: "write", file, region: { arena, start: 0, length: 512 }, offset: 0 }]),
    );
    arena.bytes[100] = 1;
    expect(await written).toBe("IO_ARGUMENT");
    expect(disk.violations).toHaveLength(1);
  });

  test("alignment is asked of direct files only, and a chain that is wrong anywhere writes nothing", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(8192, 1));
    const direct = await io.open("/a", { access: "write", direct: true });
    expect([file.alignment, direct.alignment]).toEqual([1, 4096]);
    const good = writeStep(io, file, 0, filled(4096, 2), true);
    await expect(io.submit([good, writeStep(io, direct, 512, filled(4096, 3))])).rejects.toMatchObject({
      code: "IO_ALIGNMENT",
      step: 1,
    });
    await expect(io.submit([good, writeStep(io, direct, 0, filled(512, 3))])).rejects.toMatchObject({
      code: "IO_ALIGNMENT",
    });
    const arena = io.arena(8192);
    expect(await codeOf(direct.read({ arena, start: 1, length: 4096 }, 0))).toBe("IO_ALIGNMENT");
    expect(await codeOf(direct.writeZeros(0, 100))).toBe("IO_ALIGNMENT");
    expect(disk.fileBytes("/a")).toEqual(filled(8192, 1));
  });

  test("bounds, closed files, foreign files and files opened for reading are refused", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(512, 1));
    const arena = io.arena(16);
    const region = { arena, start: 8, length: 16 };
    expect(await codeOf(io.submit([{ kind: "write", file, region, offset: 0 }]))).toBe("IO_ARGUMENT");
    expect(await codeOf(put(io, file, -1, filled(1, 1)))).toBe("IO_ARGUMENT");
    expect(await codeOf(put(io, file, 2 ** 53, filled(1, 1)))).toBe("IO_ARGUMENT");
    expect(await codeOf(put(disk.mount(), file, 0, filled(1, 1)))).toBe("IO_ARGUMENT");
    const reader = await io.open("/a", { access: "read" });
    expect(await codeOf(put(io, reader, 0, filled(1, 2)))).toBe("IO_ARGUMENT");
    expect(await codeOf(reader.truncate(0))).toBe("IO_ARGUMENT");
    await file.close();
    await file.close();
    expect(await codeOf(put(io, file, 0, filled(1, 2)))).toBe("IO_CLOSED");
    expect(await codeOf(file.size())).toBe("IO_CLOSED");
  });

  test("huge offsets, reads at the end, and files that grow over a hole", async () => {
    const io = new SimDisk().mount();
    const file = await io.open("/a", { access: "create" });
    await put(io, file, 2 ** 45, Uint8Array.of(7));
    expect(await file.size()).toBe(2 ** 45 + 1);
    expect(await get(io, file, 2 ** 45 - 1, 10)).toEqual(Uint8Array.of(0, 7));
    expect(await get(io, file, 2 ** 46, 10)).toHaveLength(0);
  });

  test("opening and naming: nothing is replaced, and what is not there is said", async () => {
    const io = new SimDisk({ direct: false }).mount();
    await io.makeDirectory("/d");
    expect(await codeOf(io.makeDirectory("/d"))).toBe("IO_EXISTS");
    expect(await codeOf(io.makeDirectory("/no/d"))).toBe("IO_NOT_FOUND");
    await io.open("/d/b", { access: "create" });
    await io.open("/d/a", { access: "create" });
    expect(await io.list("/d")).toEqual(["a", "b"]);
    expect(await codeOf(io.open("/d/a", { access: "create" }))).toBe("IO_EXISTS");
    expect(await codeOf(io.open("/d/c", { access: "write" }))).toBe("IO_NOT_FOUND");
    expect(await codeOf(io.rename("/d/a", "/d/b"))).toBe("IO_EXISTS");
    expect(await codeOf(io.rename("/d/x", "/d/y"))).toBe("IO_NOT_FOUND");
    expect(await codeOf(io.unlink("/d/x"))).toBe("IO_NOT_FOUND");
    expect(await codeOf(io.list("/d/a"))).toBe("IO_NOT_FOUND");
    expect(await codeOf(io.open("/d/a", { access: "read", direct: true }))).toBe("IO_UNSUPPORTED");
    expect((await io.probe("/d")).direct).toBeUndefined();
  });

  test("a lock is exclusive, within a process too, and ends with its process", async () => {
    const disk = new SimDisk();
    const [a, b] = [disk.mount(), disk.mount()];
    expect(await a.isLocked("/lock")).toBe(false);
    expect(await a.list("/")).toEqual([]);
    const lock = await a.lock("/lock");
    expect(await codeOf(a.lock("/lock"))).toBe("IO_LOCKED");
    expect(await codeOf(b.lock("/lock"))).toBe("IO_LOCKED");
    expect(await b.isLocked("/lock")).toBe(true);
    await lock.release();
    await lock.release();
    await b.lock("/lock");
    await b.close();
    expect(await a.isLocked("/lock")).toBe(false);
  });

  test("closing waits for what is in flight", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(512, 1));
    const order: string[] = [];
    const written = put(io, file, 0, filled(512, 2), true).then(() => order.push("written"));
    const closed = io.close().then(() => order.push("closed"));
    expect(await codeOf(io.list("/"))).toBe("IO_CLOSED");
    await Promise.all([written, closed]);
    expect(order).toEqual(["written", "closed"]);
    expect(await codeOf(file.close())).toBe("resolved");
    expect(await readAll(disk.mount(), "/a")).toEqual(filled(512, 2));
  });
});

describe("one seed, one history", () => {
  async function history(seed: number): Promise<SimDisk> {
    const disk = new SimDisk({ seed });
    const io = disk.mount();
    const file = await durableFile(io, "/a", io.random(8192));
    await Promise.all([0, 1, 2, 3].map((i) => put(io, file, i * 1000, io.random(3000))));
    disk.crash();
    return disk;
  }

  test("the same seed gives the same trace and the same bytes; another one does not", async () => {
    const [one, again, other] = [await history(1), await history(1), await history(2)];
    expect(again.trace).toEqual(one.trace);
    expect(again.fileBytes("/a")).toEqual(one.fileBytes("/a"));
    expect(other.trace).not.toEqual(one.trace);
  });

  test("chains interleave step by step, in an order that the seed decides", async () => {
    const orders = new Set<string>();
    for (let seed = 1; seed <= 30; seed++) {
      const disk = new SimDisk({ seed });
      const io = disk.mount();
      const file = await durableFile(io, "/a", filled(4096, 0));
      const from = disk.trace.length;
      const chain = (at: number) => [0, 1].map((i) => writeStep(io, file, at + i, Uint8Array.of(1)));
      await Promise.all([io.submit(chain(10)), io.submit(chain(20))]);
      orders.add(
        disk.trace
          .slice(from)
          .filter((line) => line.includes("written"))
          .map((line) => /(\d+)\+/.exec(line)?.[1])
          .join(),
      );
    }
    expect([...orders].sort()).toEqual([
      "10,11,20,21",
      "10,20,11,21",
      "10,20,21,11",
      "20,10,11,21",
      "20,10,21,11",
      "20,21,10,11",
    ]);
  });

  test("a clone goes its own way: what happens to it does not happen to the original", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(512, 1));
    await put(io, file, 0, filled(512, 2));
    const copy = disk.clone();
    copy.crash("none");
    copy.corrupt("/a", 0, Uint8Array.of(9));
    await file.sync();
    expect(disk.fileBytes("/a")).toEqual(filled(512, 2));
    expect(copy.fileBytes("/a")[1]).toBe(1);
  });

  test("a sync on a clone makes durable what was written before it was cloned: else a later crash loses it for no reason", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(512, 1));
    await put(io, file, 0, filled(512, 2));
    const copy = disk.clone();
    copy.kill();
    await (await copy.mount().open("/a", { access: "write" })).sync();
    copy.crash("none");
    expect(copy.fileBytes("/a")).toEqual(filled(512, 2));
  });

  test("planted files are durable, and files() shows every one", async () => {
    const disk = new SimDisk();
    disk.plant("/x/y/a", Uint8Array.of(1, 2, 3));
    disk.crash("none");
    expect([...disk.files()]).toEqual([["/x/y/a", Uint8Array.of(1, 2, 3)]]);
    expect(await disk.mount().list("/x/y")).toEqual(["a"]);
  });
});
