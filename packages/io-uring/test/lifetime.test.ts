import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Handle } from "@stonewal/io/addon";
import { expect, test } from "vitest";
import { uring } from "../src/index.js";
import { loadAddon } from "../src/loader.js";
import { runChild } from "./support/child.js";
import { scratchRoot } from "./support/subject.js";

const GC = ["--expose-gc"];

test("descriptors come back: of closed back ends, of dropped ones, of terminated workers", async () => {
  const body = `
    const { readdirSync } = await import("node:fs");
    const { Worker } = await import("node:worker_threads");
    const open = () => readdirSync("/proc/self/fd").length;
    const collected = async (target) => {
      for (let n = 0; n < 200 && open() > target; n++) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return open();
    };
    const use = async (name) => {
      const io = uring();
      const file = await io.open(directory + "/" + name, { access: "create", direct: true });
      await io.lock(directory + "/" + name + ".lock");
      const arena = io.arena(1 << 17);
      const region = { arena, start: 0, length: 1 << 17 };
      for (let n = 0; n < 3; n++) await io.submit([{ kind: "write", file, region, offset: 0 }, { kind: "sync", file }]);
      return io;
    };
    await (await use("first")).close();
    const before = open();
    for (let n = 0; n < 300; n++) await (await use("closed" + n)).close();
    const closed = open();
    for (let n = 0; n < 100; n++) await use("dropped" + n);
    const dropped = await collected(before);
    const source = \`
      const { parentPort, workerData } = await import("node:worker_threads");
      const io = (await import(workerData.specifier)).uring();
      const file = await io.open(workerData.path, { access: "create" });
      await io.lock(workerData.path + ".lock");
      const arena = io.arena(1 << 20);
      const region = { arena, start: 0, length: 1 << 20 };
      parentPort.postMessage("busy");
      for (;;) await io.submit([{ kind: "write", file, region, offset: 0 }, { kind: "sync", file }]);
    \`;
    const specifier = import.meta.resolve("@stonewal/io-uring");
    // The first worker of a process opens descriptors that stay.
    let settled;
    for (let n = 0; n < 12; n++) {
      const workerData = { specifier, path: directory + "/worker" + n };
      const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(source)), { workerData });
      await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      await worker.terminate();
      if (n === 1) settled = open();
    }
    report({ before, closed, dropped, settled, workers: await collected(settled) });
  `;
  const counts = await runChild<Record<"before" | "closed" | "dropped" | "settled" | "workers", number>>(
    body,
    {
      flags: GC,
    },
  );
  expect(counts.closed).toBe(counts.before);
  expect(counts.dropped).toBe(counts.before);
  expect(counts.workers).toBe(counts.settled);
});

test("a chain goes on while JavaScript computes, and is told as soon as it stops", async () => {
  const body = `
    const { openSync, readSync } = await import("node:fs");
    const io = uring();
    const results = [];
    for (const direct of [false, true]) {
      const file = await io.open(directory + "/" + direct, { access: "create", direct });
      await file.writeZeros(0, 8 * BLOCK);
      const arena = io.arena(8 * BLOCK);
      arena.bytes.fill(5);
      const chain = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [
        { kind: "write", file, region: { arena, start: n * BLOCK, length: BLOCK }, offset: n * BLOCK },
        { kind: "sync", file },
      ]);
      const fd = openSync(file.path, "r");
      const byte = new Uint8Array(1);
      let told = false;
      const submitted = io.submit(chain).then(() => (told = true));
      const start = performance.now();
      let seen;
      // Not one turn of the event loop.
      while (performance.now() - start < 3000 && seen === undefined) {
        const pause = performance.now();
        while (performance.now() - pause < 20);
        readSync(fd, byte, 0, 1, 7 * BLOCK);
        if (byte[0] === 5) seen = performance.now() - start;
      }
      results.push({ seen: seen !== undefined, toldBefore: told });
      await submitted;
    }
    await io.close();
    report(results);
  `;
  const expected = { seen: true, toldBefore: false };
  expect(await runChild(body)).toEqual([expected, expected]);
});

test("memory in flight is the arena's until its own completion, whatever the collector does", async () => {
  const body = `
    const { loadAddon } = await import("./dist/loader.js");
    const io = uring();
    const addon = loadAddon();
    const [ring] = addon.openRing(64);
    const LENGTH = 4 << 20;
    const CHAINS = 24;
    let ended = 0;
    const done = (errno) => { if (errno !== 0) throw new Error("errno " + errno); ended++; };
    const opened = (path, direct) => new Promise((resolve) =>
      addon.open(path, 2, direct, (errno, operation, syscall, step, poisoned, [handle]) => resolve(handle)));
    // Straight to the addon, and in a function of its own: nothing of JavaScript's holds the arena when it returns.
    const start = (file, n) => {
      const arena = io.arena(LENGTH).bytes;
      arena.fill(n + 1);
      addon.submit(ring, [file], [arena], Float64Array.of(1, 0, LENGTH, n * LENGTH), 1, done);
    };
    for (const direct of [false, true]) {
      const path = directory + "/" + direct;
      const file = await opened(path, direct);
      ended = 0;
      for (let n = 0; n < CHAINS; n++) {
        start(file, n);
        globalThis.gc();
        // Memory that was given back would be taken again by these, and overwritten.
        for (let k = 0; k < 2; k++) new Uint8Array(LENGTH + 4096).fill(255);
      }
      while (ended < CHAINS) await new Promise((resolve) => setTimeout(resolve, 5));
      const bytes = await readFile(path);
      for (let n = 0; n < CHAINS; n++) {
        if (!bytes.subarray(n * LENGTH, (n + 1) * LENGTH).every((byte) => byte === n + 1)) throw new Error("chain " + n);
      }
    }
    addon.end(ring);
    report("intact");
  `;
  expect(await runChild(body, { flags: GC })).toBe("intact");
});

test("an arena is never taken for an earlier one whose memory it was given", async () => {
  const body = `
    const io = uring();
    const LENGTH = 1 << 20;
    const file = await io.open(directory + "/a", { access: "create", direct: true });
    const wrong = [];
    for (let n = 0; n < 300; n++) {
      const arena = io.arena(LENGTH);
      arena.bytes.fill(n % 251);
      const region = { arena, start: 0, length: LENGTH };
      // The first use notes the arena, the second registers it, the third finds it.
      for (let k = 0; k < 3; k++) await io.submit([{ kind: "write", file, region, offset: 0 }]);
      const bytes = await readFile(file.path);
      if (!bytes.every((byte) => byte === n % 251)) wrong.push(n);
      if (n % 5 === 0) globalThis.gc();
    }
    report(wrong);
  `;
  expect(await runChild(body, { flags: GC })).toEqual([]);
});

test("the pages of an arena are let go when it is collected", async () => {
  const body = `
    const pinned = async () => Number(/VmPin:\\s+(\\d+) kB/.exec(await readFile("/proc/self/status", "utf8"))[1]);
    const io = uring();
    const file = await io.open(directory + "/a", { access: "create", direct: true });
    const use = async () => {
      const region = { arena: io.arena(1 << 20), start: 0, length: 1 << 16 };
      for (let n = 0; n < 2; n++) await io.submit([{ kind: "write", file, region, offset: 0 }]);
    };
    for (let n = 0; n < 20; n++) await use();
    const before = await pinned();
    for (let n = 0; n < 100 && (await pinned()) > 0; n++) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    report({ before: before > 0, after: await pinned() });
  `;
  expect(await runChild(body, { flags: GC })).toEqual({ before: true, after: 0 });
});

test("a worker that is terminated with hundreds of chains of many steps in flight takes nothing with it", async () => {
  const specifier = import.meta.resolve("@stonewal/io-uring");
  const body = `
    const { Worker } = await import("node:worker_threads");
    const source = \`
      const { parentPort, workerData: { specifier, directory, n } } = await import("node:worker_threads");
      const { uring } = await import(specifier);
      for (let r = 0; r < 3; r++) {
        const io = uring({ entries: 16 });
        for (const direct of [false, true]) {
          const file = await io.open(directory + "/" + [n, r, direct].join("-"), { access: "create", direct });
          const arena = io.arena(1 << 18);
          for (let c = 0; c < 100; c++) {
            const chain = [];
            for (let s = 0; s < 20; s++) {
              chain.push({ kind: "write", file, region: { arena, start: 0, length: 1 << 18 }, offset: s << 18 });
              if (c % 2) chain.push({ kind: "sync", file });
            }
            io.submit(chain);
          }
        }
      }
      parentPort.postMessage("busy");
    \`;
    const times = [];
    for (let n = 0; n < 10; n++) {
      const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(source)), {
        workerData: { specifier: ${JSON.stringify(specifier)}, directory, n },
      });
      await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      await new Promise((resolve) => setTimeout(resolve, 2 * n));
      const start = performance.now();
      await worker.terminate();
      times.push(performance.now() - start);
    }
    // The process and its back ends are none the worse.
    const io = uring();
    const file = await io.open(directory + "/after", { access: "create" });
    await file.writeZeros(0, BLOCK);
    await io.close();
    report(Math.max(...times));
  `;
  // What is with the kernel is waited for; what has not started is not.
  expect(await runChild<number>(body)).toBeLessThan(20_000);
});

test("a back end that is closed while chains wait for each other waits for them all", async () => {
  const body = `
    const io = uring();
    const file = await io.open(directory + "/a", { access: "create" });
    const arena = io.arena(BLOCK);
    let settled = 0;
    for (let n = 0; n < 50; n++) {
      io.submit([{ kind: "write", file, region: { arena, start: 0, length: BLOCK }, offset: n * BLOCK }, { kind: "sync", file }])
        .then(() => settled++);
    }
    await io.close();
    report(settled);
  `;
  expect(await runChild(body)).toBe(50);
});

test("a worker that is terminated while it loads the addon, or at once after, takes nothing with it", async () => {
  const specifier = import.meta.resolve("@stonewal/io-uring");
  const source = `(await import(${JSON.stringify(specifier)})).uring().arena(1000);`;
  for (let delay = 0; delay < 60; delay += 4) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
      execArgv: [],
    });
    await new Promise((resolve) => setTimeout(resolve, delay));
    await worker.terminate();
  }
  const io = uring();
  await io.submit([]);
  await io.close();
});

test("hundreds of rings at once on one loop each complete their own chains", async () => {
  const body = `
    const ios = Array.from({ length: 300 }, () => uring({ entries: 8 }));
    const results = await Promise.all(ios.map(async (io, n) => {
      const file = await io.open(directory + "/" + n, { access: "create" });
      const arena = io.arena(BLOCK);
      arena.bytes.fill(n % 256);
      const region = { arena, start: 0, length: BLOCK };
      await io.submit([{ kind: "write", file, region, offset: 0 }, { kind: "sync", file }]);
      const back = io.arena(BLOCK);
      const got = await file.read({ arena: back, start: 0, length: BLOCK }, 0);
      return got === BLOCK && back.bytes.every((byte) => byte === n % 256);
    }));
    await Promise.all(ios.map((io) => io.close()));
    report(results.every(Boolean) && results.length);
  `;
  expect(await runChild(body)).toBe(300);
});

test("a closed file is closed: the ring's table does not keep it open", async () => {
  const body = `
    const { readdirSync, readFileSync, readlinkSync } = await import("node:fs");
    const held = () => readdirSync("/proc/self/fd")
      .filter((fd) => { try { return readlinkSync("/proc/self/fd/" + fd).includes("io_uring"); } catch { return false; } })
      .flatMap((fd) => readFileSync("/proc/self/fdinfo/" + fd, "utf8").split("\\n"))
      .filter((line) => line.includes("held-open"));
    const io = uring();
    // More files than the table has places for: the others go without.
    const files = await Promise.all(
      Array.from({ length: 80 }, (_, n) => io.open(directory + "/held-open-" + n, { access: "create" })));
    await Promise.all(files.map((file) => file.writeZeros(0, BLOCK)));
    const before = held().length;
    await Promise.all(files.map((file) => file.close()));
    const after = held().length;
    const again = await io.open(directory + "/held-open-again", { access: "create" });
    await again.writeZeros(0, BLOCK);
    report({ before, after, again: held().length });
    await io.close();
  `;
  expect(await runChild(body)).toEqual({ before: 64, after: 0, again: 1 });
});

test("when a ring has ended the kernel reads no more of the memory that it was given", async () => {
  const directory = await mkdtemp(join(scratchRoot, "stonewal-uring-"));
  const addon = loadAddon();
  const LENGTH = 64 * 2 ** 20;
  const arena = uring().arena(LENGTH).bytes;
  for (const pause of [0, 1, 3, 6, 10, 15]) {
    const [ring] = addon.openRing(8);
    if (ring === undefined) throw new Error("no ring");
    const path = join(directory, String(pause));
    const file = await new Promise<Handle>((resolve) =>
      addon.open(path, 2, false, (_errno, _operation, _syscall, _step, _poisoned, [handle]) =>
        resolve(handle),
      ),
    );
    arena.fill(0xaa);
    addon.submit(ring, [file], [arena], Float64Array.of(1, 0, LENGTH, 0), 1, () => undefined);
    // Into the middle of the copying, which a worker of the kernel does meanwhile.
    const start = performance.now();
    while (performance.now() - start < pause);
    // As the end of an environment does. From here on the memory may be anybody's.
    addon.end(ring);
    arena.fill(0x55);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const bytes = await readFile(path);
    expect(bytes.includes(0x55), `ended after ${pause} ms`).toBe(false);
    await rm(path);
  }
  await rm(directory, { recursive: true });
});
