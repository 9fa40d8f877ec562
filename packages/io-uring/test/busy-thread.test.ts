// Chains of a JavaScript thread that never rests, which threads of the ring's own take.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { IoBackend, IoFile, Step } from "@stonewal/io";
import type { Handle } from "@stonewal/io/addon";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { uring } from "../src/index.js";
import type { RingHandle } from "../src/native.js";
import { runChild } from "./support/child.js";
import { faultAddon, faultCounts, faultyUring, setFaults, setLanes } from "./support/fault-addon.mjs";
import { noLanes } from "./support/no-lanes.js";
import { scratchRoot } from "./support/subject.js";
import { withoutCall } from "./support/without-call.mjs";

const BLOCK = 4096;
const noAccounting = existsSync("/proc/thread-self/io")
  ? undefined
  : "this kernel counts no thread's calls (CONFIG_TASK_IO_ACCOUNTING)";

let directory: string;
let io: IoBackend;

beforeEach(async () => {
  directory = await mkdtemp(join(scratchRoot, "stonewal-uring-"));
});

afterEach(async () => {
  setLanes(false);
  setFaults("");
  await io.close();
  await rm(directory, { recursive: true });
});

async function create(name: string, direct = true): Promise<IoFile> {
  const file = await io.open(join(directory, name), { access: "create", direct });
  await file.writeZeros(0, 8 * BLOCK);
  return file;
}

function write(file: IoFile, byte: number, { blocks = 1, durable = true } = {}): Step {
  const arena = io.arena(blocks * BLOCK);
  arena.bytes.fill(byte);
  return { kind: "write", file, region: { arena, start: 0, length: blocks * BLOCK }, offset: 0, durable };
}

/** What the kernel says in that file of each of the ring's own threads. */
async function lanes(file: string): Promise<string[]> {
  const facts: string[] = [];
  for (const thread of await readdir("/proc/self/task")) {
    const fact = (name: string) => readFile(`/proc/self/task/${thread}/${name}`, "utf8").catch(() => "");
    if ((await fact("comm")).trim() === "stonewal") facts.push(await fact(file));
  }
  return facts;
}

/** How many calls that write they have made. */
async function laneWrites(): Promise<number> {
  const calls = (await lanes("io")).map((io) => Number(/syscw: (\d+)/.exec(io)?.[1]));
  return calls.reduce((sum, count) => sum + count, 0);
}

/** Which processors a thread may run on. */
const processorsOf = (status: string) => {
  const ranges = /Cpus_allowed_list:\t(.*)/.exec(status)?.[1] ?? "";
  return ranges.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });
};

/** The signals that a thread does not take. */
const blockedBy = (status: string) => {
  const mask = BigInt(`0x${/SigBlk:\t(\w+)/.exec(status)?.[1] ?? "0"}`);
  return Array.from({ length: 64 }, (_, n) => n + 1).filter((signal) => (mask >> BigInt(signal - 1)) & 1n);
};

test("where JavaScript never rests, and only there, direct durable writes are made by a thread of the ring's own", async ({
  skip,
}) => {
  io = uring();
  const reason = noAccounting ?? noLanes;
  if (reason !== undefined) return skip(reason);
  const [dwb, home, buffered] = [await create("dwb"), await create("home"), await create("buffered", false)];
  /** How many blocking writes the chains were, and the byte that the last one wrote. */
  const made = async (chain: (byte: number) => Step[]) => {
    const before = await laneWrites();
    let byte = 0;
    // How busy the thread is, is looked at whenever it submits.
    for (let looks = 0; looks < 20; looks++) {
      for (const end = performance.now() + 2; performance.now() < end; );
      byte += 1;
      await submitted(chain(byte));
    }
    return { writes: (await laneWrites()) - before, byte };
  };
  /** Looks for the outcome at every turn of the event loop: the thread doesn't sleep. */
  const submitted = async (chain: Step[]) => {
    let over = false;
    const submission = io.submit(chain).finally(() => (over = true));
    while (!over) await new Promise((resolve) => setImmediate(resolve));
    await submission;
  };

  await sleep(20);
  const twoFiles = await made((byte) => [write(dwb, byte), write(home, byte, { blocks: 8 })]);
  // The first few chains come before the thread counts as busy.
  expect(twoFiles.writes).toBeGreaterThanOrEqual(2);
  expect(twoFiles.writes % 2, "the whole chain, or nothing of it").toBe(0);
  for (const file of [dwb, home]) expect((await readFile(file.path))[0]).toBe(twoFiles.byte);

  const own = processorsOf(await readFile("/proc/thread-self/status", "utf8"));
  const [lane = ""] = await lanes("status");
  // Not on the one that JavaScript keeps busy, if there is another.
  expect(processorsOf(lane)).toHaveLength(Math.max(1, own.length - 1));

  expect((await made((byte) => [write(buffered, byte)])).writes, "buffered").toBe(0);
  expect((await made((byte) => [write(home, byte, { durable: false })])).writes, "not durable").toBe(0);

  const before = await laneWrites();
  for (let rests = 0; rests < 8; rests++) {
    await sleep(2);
    await io.submit([write(dwb, rests)]);
  }
  // The first of them may find a thread that was busy until then.
  expect((await laneWrites()) - before, "rested").toBeLessThanOrEqual(4);
});

test("no signal that is sent to the process is taken by such a thread", async ({ skip }) => {
  io = faultyUring();
  if (noLanes !== undefined) return skip(noLanes);
  const ownMask = () => blockedBy(readFileSync("/proc/thread-self/status", "utf8"));
  const file = await create("a");
  const before = ownMask();
  setLanes(true);
  await io.submit([write(file, 1)]);
  expect(ownMask(), "JavaScript's own").toEqual(before);
  const { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGKILL, SIGSTOP } = constants.signals;
  const taken = [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGKILL, SIGSTOP];
  // The C library's own, which are nobody's to block.
  const library = [32, 33, 34];
  const [lane, ...more] = (await lanes("status")).map(blockedBy);
  expect(more).toEqual([]);
  const all = Array.from({ length: 64 }, (_, n) => n + 1).filter((signal) => !library.includes(signal));
  expect(all.filter((signal) => !lane?.includes(signal))).toEqual(taken.sort((a, b) => a - b));
});

test("where there can be no such thread the kernel does it", async ({ skip }) => {
  io = faultyUring();
  if (noLanes !== undefined) return skip(noLanes);
  const file = await create("a");
  setLanes(true);
  setFaults("setup::1+:ENOMEM");
  for (let byte = 1; byte <= 3; byte++) await io.submit([write(file, byte)]);
  expect(faultCounts()).toMatchObject({ applied: 2, inLanes: 0 });
  expect((await readFile(file.path))[0]).toBe(3);
});

describe("where a seccomp filter refuses a call that such a thread makes, and not the ring, the kernel does it", () => {
  const faultAddonModule = new URL("./support/fault-addon.mjs", import.meta.url).href;
  const body = `
    const { faultCounts, faultyUring, setLanes } = await import(${JSON.stringify(faultAddonModule)});
    const io = faultyUring();
    setLanes(true);
    const file = await io.open(directory + "/a", { access: "create", direct: true });
    const arena = io.arena(BLOCK);
    const write = (offset, durable) =>
      ({ kind: "write", file, region: { arena, start: 0, length: BLOCK }, offset, durable });
    const outcomes = [];
    for (let byte = 1; byte <= 3; byte++) {
      arena.bytes.fill(byte);
      outcomes.push(await outcome(io.submit([write(0, true), write(BLOCK, false), { kind: "sync", file }])));
    }
    const bytes = await readFile(file.path);
    report({ outcomes, inLanes: faultCounts().inLanes, blocks: [bytes[0], bytes[BLOCK]], length: bytes.length });
  `;
  const resolved = ["resolved", "resolved", "resolved"];
  const written = { outcomes: resolved, blocks: [3, 3], length: 2 * BLOCK };
  const [launcher = "", ...flags] = withoutCall("pwritev2", "EPERM");
  const trial = spawnSync(launcher, [...flags, "true"], { encoding: "utf8" });
  afterAll(() => rmSync(launcher));

  beforeEach(({ skip }) => {
    io = faultyUring();
    if (noLanes !== undefined) skip(noLanes);
    if (trial.status !== 0) skip(`no filter of system calls can be had here: ${trial.stderr.trim()}`);
  });

  test.for([
    ["pwritev2", "EPERM"],
    ["pwritev2", "ENOSYS"],
    ["fdatasync", "EPERM"],
  ] as const)("%s: %s", async ([call, errno]) => {
    expect(await runChild(body)).toEqual({ ...written, inLanes: 3 });
    expect(await runChild(body, { through: withoutCall(call, errno) })).toEqual({ ...written, inLanes: 0 });
  });
});

test("a chain that comes while all of the threads have one goes to the kernel, and none waits for another", async ({
  skip,
}) => {
  io = faultyUring();
  if (noLanes !== undefined) return skip(noLanes);
  const files = await Promise.all(["a", "b", "c", "d"].map((name) => create(name)));
  setLanes(true);
  setFaults("write:/a:1:delay=900;write:/b:1:delay=900");
  const finished: string[] = [];
  await Promise.all(
    files.map((file) => io.submit([write(file, 5)]).then(() => finished.push(file.path.slice(-1)))),
  );
  expect(finished.slice(0, 2).sort()).toEqual(["c", "d"]);
  expect(faultCounts().inLanes).toBe(2);
  for (const file of files) expect((await readFile(file.path))[0]).toBe(5);
});

test("a worker that is terminated with chains there takes nothing with it, and leaves no descriptor or thread", async ({
  skip,
}) => {
  io = uring();
  if (noLanes !== undefined) return skip(noLanes);
  const body = `
    const { readdirSync, readFileSync } = await import("node:fs");
    const { Worker } = await import("node:worker_threads");
    const open = () => readdirSync("/proc/self/fd").length;
    const lanes = () => readdirSync("/proc/self/task").filter((thread) => {
      try { return readFileSync("/proc/self/task/" + thread + "/comm", "utf8").trim() === "stonewal"; } catch { return false; }
    }).length;
    const source = \`
      const { parentPort, workerData } = await import("node:worker_threads");
      const io = (await import(workerData.specifier)).uring();
      const files = [];
      for (const name of ["a", "b", "c"]) {
        files.push(await io.open(workerData.path + name, { access: "create", direct: true }));
      }
      const arena = io.arena(1 << 20);
      const region = { arena, start: 0, length: 1 << 20 };
      let turns = 0;
      (function turn() {
        for (const end = performance.now() + 1; performance.now() < end; );
        for (const file of files) io.submit([{ kind: "write", file, region, offset: 0, durable: true }]);
        if (++turns === 20) parentPort.postMessage("busy");
        setImmediate(turn);
      })();
    \`;
    const specifier = import.meta.resolve("@stonewal/io-uring");
    let settled;
    let most = 0;
    for (let n = 0; n < 10; n++) {
      const workerData = { specifier, path: directory + "/worker" + n };
      const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(source)), { workerData });
      await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      most = Math.max(most, lanes());
      await worker.terminate();
      if (n === 1) settled = open();
    }
    for (let n = 0; n < 200 && (open() > settled || lanes() > 0); n++) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    report({ most, lanes: lanes(), left: open() - settled });
  `;
  const { most, lanes, left } = await runChild<Record<"most" | "lanes" | "left", number>>(body, {
    flags: ["--expose-gc"],
  });
  expect(most).toBeGreaterThan(0);
  expect({ lanes, left }).toEqual({ lanes: 0, left: 0 });
});

test.for([
  ["a ring that ends waits for the call that such a thread has made, and no other is begun", ""],
  ["and also where the kernel does not take what the thread has to tell", ";message::1+:ENOMEM"],
] as const)("%s", async ([, rule], { skip }) => {
  io = faultyUring();
  if (noLanes !== undefined) return skip(noLanes);
  const path = join(directory, "a");
  setLanes(true);
  const [ring] = faultAddon.openRing(8) as readonly [RingHandle, string];
  const file = await new Promise<Handle>((resolve, reject) =>
    faultAddon.open(path, 2, true, (errno, _operation, _syscall, _step, _poisoned, opened) =>
      errno === 0 ? resolve(opened[0]) : reject(new Error(`errno ${errno}`)),
    ),
  );
  const { bytes } = io.arena(2 * BLOCK);
  bytes.fill(1);
  setFaults(`write:/a:1:delay=300${rule}`);
  const [writeTo0, writeTo1] = [
    [1, 0, BLOCK, 0],
    [1, 0, BLOCK, BLOCK],
  ] as const;
  const steps = Float64Array.of(...writeTo0, ...writeTo1);
  let told = false;
  faultAddon.submit(ring, [file, file], [bytes, bytes], steps, 2, () => {
    told = true;
  });
  await sleep(100);
  const start = performance.now();
  faultAddon.end(ring);
  expect(performance.now() - start, "it was waited for").toBeGreaterThan(100);
  bytes.fill(2);
  expect([...(await readFile(path))]).toEqual(new Array(BLOCK).fill(1));
  expect(faultCounts().inLanes).toBe(1);
  expect(told).toBe(false);
});

describe("where the kernel does not take what such a thread has to tell", () => {
  beforeEach(({ skip }) => {
    io = faultyUring();
    if (noLanes !== undefined) skip(noLanes);
    setLanes(true);
  });

  test("at first, it is told later, and the thread is used again", async () => {
    const file = await create("a");
    setFaults("message::1-40:ENOMEM");
    for (let byte = 1; byte <= 3; byte++) await io.submit([write(file, byte)]);
    expect(faultCounts()).toMatchObject({ applied: 40, inLanes: 3 });
    expect(await lanes("comm")).toHaveLength(1);
    expect((await readFile(file.path))[0]).toBe(3);
  });

  test("for good, it is told nevertheless, and chains go to the kernel from then on", async () => {
    const [a, b] = [await create("a"), await create("b")];
    setFaults("message::2+:ENOMEM");
    await io.submit([write(a, 1), write(b, 1)]);
    io.now?.submit([write(a, 2), write(b, 2)]);
    expect(faultCounts().inLanes).toBe(2);
    await io.submit([write(a, 3), write(b, 3)]);
    expect(faultCounts().inLanes, "both threads are given up").toBe(2);
    for (const file of [a, b]) expect((await readFile(file.path))[0]).toBe(3);
  });

  test("for good, a failure is told as one", async () => {
    const [a, b] = [await create("a"), await create("b")];
    setFaults("write:/a:1:EIO;message::1+:ENOMEM");
    await expect(io.submit([write(a, 1), write(b, 1)])).rejects.toMatchObject({ errno: "EIO", step: 0 });
    expect(faultCounts().inLanes).toBe(1);
    expect((await readFile(b.path))[0]).toBe(0);
  });

  test("for good, a chain that it is given meanwhile is made and told too", async () => {
    let meanwhile = 0;
    for (let round = 0; round < 40 && meanwhile < 3; round++) {
      const [a, b] = [await create(`a${round}`), await create(`b${round}`)];
      setFaults("message::1+:ENOMEM");
      const first = io.submit([write(a, 1)]);
      for (const from = performance.now(); performance.now() < from + (round % 8); );
      await Promise.all([first, io.submit([write(b, 1)])]);
      for (const file of [a, b]) expect((await readFile(file.path))[0]).toBe(1);
      // The second one has none yet.
      if ((await lanes("comm")).length === 1) meanwhile += 1;
      await io.close();
      io = faultyUring();
    }
    expect(meanwhile).toBeGreaterThan(0);
  });

  test("for good, while a chain is on its way to it, that chain goes to the kernel", async () => {
    let refused = 0;
    for (let round = 0; round < 20 && refused === 0; round++) {
      const [a, b] = [await create(`a${round}`), await create(`b${round}`)];
      setFaults("message::1+:ENOMEM;give::2:delay=30");
      const first = io.submit([write(a, 1)]);
      // It has made the write by then, most likely, and is still trying to tell.
      for (const from = performance.now(); performance.now() < from + 3; );
      await Promise.all([first, io.submit([write(b, 1)])]);
      for (const file of [a, b]) expect((await readFile(file.path))[0]).toBe(1);
      if (faultCounts().inLanes === 1 && (await lanes("comm")).length === 1) refused += 1;
      await io.close();
      io = faultyUring();
    }
    expect(refused).toBe(1);
  });
});
