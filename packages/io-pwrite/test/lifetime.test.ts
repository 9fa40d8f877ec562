import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { pwrite } from "../src/index.js";
import { runChild } from "./support/child.js";
import { scratchRoot } from "./support/subject.mjs";

const linux = process.platform === "linux";
const RUNNER = fileURLToPath(new URL("./support/run-conformance-test.mjs", import.meta.url));

test.runIf(linux)(
  "descriptors come back: of closed back ends, of dropped ones, of terminated workers",
  async () => {
    const body = `
    const { readdirSync } = await import("node:fs");
    const { Worker } = await import("node:worker_threads");
    const open = () => readdirSync("/proc/self/fd").length;
    const collected = async (target) => {
      for (let n = 0; n < 100 && open() > target; n++) {
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return open();
    };
    const use = async (name) => {
      const one = pwrite();
      await one.open(directory + "/" + name, { access: "create" });
      await one.lock(directory + "/" + name + ".lock");
      return one;
    };
    await (await use("first")).close();
    const before = open();
    for (let n = 0; n < 200; n++) await (await use("closed" + n)).close();
    const closed = open();
    for (let n = 0; n < 50; n++) await use("dropped" + n);
    const dropped = await collected(before);
    const source = \`
      const { parentPort, workerData } = await import("node:worker_threads");
      const io = (await import(workerData.specifier)).pwrite();
      const file = await io.open(workerData.path, { access: "create" });
      await io.lock(workerData.path + ".lock");
      const arena = io.arena(1 << 20);
      const region = { arena, start: 0, length: 1 << 20 };
      parentPort.postMessage("busy");
      for (;;) await io.submit([{ kind: "write", file, region, offset: 0 }, { kind: "sync", file }]);
    \`;
    const specifier = import.meta.resolve("@stonewal/io-pwrite");
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
    // --expose-gc is not allowed in NODE_OPTIONS; the flag can be set at run time, for contexts made later.
    const expose = `
    const { setFlagsFromString } = await import("node:v8");
    const { runInNewContext } = await import("node:vm");
    setFlagsFromString("--expose-gc");
    globalThis.gc = runInNewContext("gc");
  `;
    const counts = await runChild<Record<"before" | "closed" | "dropped" | "settled" | "workers", number>>(
      expose + body,
    );
    expect(counts.closed).toBe(counts.before);
    expect(counts.dropped).toBe(counts.before);
    expect(counts.workers).toBe(counts.settled);
  },
);

test("memory in flight outlives its last reference when the collector really runs", () => {
  const name = "arena: memory in flight is not collected when its user has let go of it";
  const run = spawnSync(process.execPath, ["--expose-gc", RUNNER, name], { encoding: "utf8" });
  expect(run).toMatchObject({ status: 0, stderr: "" });
});

test("an arena can't be transferred away under the kernel's hands", async () => {
  const directory = await mkdtemp(join(scratchRoot, "stonewal-pwrite-"));
  const io = pwrite();
  const arena = io.arena(4096);
  const buffer = arena.bytes.buffer as ArrayBuffer & { transfer?(): ArrayBuffer };
  // Node 20 clones it instead, later ones throw.
  try {
    structuredClone(buffer, { transfer: [buffer] });
  } catch (error) {
    expect((error as Error).name).toBe("DataCloneError");
  }
  expect(arena.bytes.length).toBe(4096);
  const file = await io.open(join(directory, "a"), { access: "create" });
  const region = { arena, start: 0, length: 4096 };
  await io.submit([{ kind: "write", file, region, offset: 0 }]);
  if (buffer.transfer !== undefined) {
    // Nothing forbids this one; what is handed over afterwards is refused.
    buffer.transfer();
    await expect(io.submit([{ kind: "write", file, region, offset: 0 }])).rejects.toMatchObject({
      code: "IO_ARGUMENT",
    });
  }
  await io.close();
  await rm(directory, { recursive: true });
});

test("a worker that is terminated while it loads the addon, or at once after, takes nothing with it", async () => {
  const specifier = import.meta.resolve("@stonewal/io-pwrite");
  const source = `(await import(${JSON.stringify(specifier)})).pwrite().arena(1000);`;
  for (let delay = 0; delay < 60; delay += 4) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
      execArgv: [],
    });
    await new Promise((resolve) => setTimeout(resolve, delay));
    await worker.terminate();
  }
  const directory = await mkdtemp(join(scratchRoot, "stonewal-pwrite-"));
  const io = pwrite();
  expect(await io.list(directory)).toEqual([]);
  await io.close();
  await rm(directory, { recursive: true });
});
