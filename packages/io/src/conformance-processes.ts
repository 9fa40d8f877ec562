import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import {
  assertBytes,
  type Bench,
  BLOCK_BYTES,
  pattern,
  readBytes,
  rejection,
  type Scenario,
} from "./conformance-subject.js";

export function processTests(): Scenario[] {
  const blocking = [exitHandler, workerExitHandler].map((scenario) => ({
    ...scenario,
    needs: ["module", "now"] as const,
  }));
  return [
    ...[twoWorkers, terminated, endedInFlight, exitInFlight, keepsAlive, timers, lockDies].map(
      (scenario) => ({
        ...scenario,
        needs: ["module"] as const,
      }),
    ),
    ...blocking,
  ];
}

const MIB = 2 ** 20;

/**
 * What runs in the other thread or process, before `body`: `io` is a back end of its own, `directory` the scratch
 * directory, `say` tells the test something.
 */
function program(bench: Bench, body: string): string {
  const { specifier, factory } = bench.module;
  return `
    const { parentPort } = await import("node:worker_threads");
    const { writeSync } = await import("node:fs");
    const say = (text) => (parentPort ? parentPort.postMessage(text) : writeSync(1, text + "\\n"));
    const directory = ${JSON.stringify(bench.directory)};
    const io = (await import(${JSON.stringify(specifier)}))[${JSON.stringify(factory)}]();
    ${body}
  `;
}

function worker(bench: Bench, body: string): Worker {
  // As a data: URL, because an eval'd worker is CommonJS and has no top-level await.
  const source = new URL(`data:text/javascript,${encodeURIComponent(program(bench, body))}`);
  return new Worker(source, { execArgv: [] });
}

/** Resolves when the worker has said so; rejects when it fails first. */
async function said(thread: Worker, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    thread.once("error", reject);
    thread.once("exit", (code) => reject(new Error(`the worker ended with ${code} before it said ${text}`)));
    thread.on("message", (message) => {
      if (message === text) resolve();
    });
  });
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

function child(bench: Bench, body: string): ChildProcess {
  const flags = ["--input-type=module", "--eval", program(bench, body)];
  return spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "pipe"] });
}

async function ended(process: ChildProcess): Promise<Ended> {
  let output = "";
  process.stdout?.on("data", (chunk) => (output += chunk));
  process.stderr?.on("data", (chunk) => (output += chunk));
  const [code, signal] = (await once(process, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, output };
}

/** Fills as `fillPattern` does. Its own text would not survive a build. */
const FILL = `
  const fill = (bytes, seed) => {
    let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0;
    for (let index = 0; index < bytes.length; index++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      bytes[index] = state >>> 24;
    }
  };
`;

/** Keeps chains of large writes and syncs in flight for ever, on the file named \`name\`. */
const BUSY = `
  const busy = async (name, direct) => {
    const file = await io.open(directory + "/" + name, { access: "create", direct });
    const arena = io.arena(${4 * MIB});
    const forever = async (n) => {
      for (;;) {
        const region = { arena, start: n * ${MIB}, length: ${MIB} };
        await io.submit([{ kind: "write", file, region, offset: n * ${MIB} }, { kind: "sync", file }]);
      }
    };
    for (let n = 0; n < 4; n++) forever(n);
  };
`;

const twoWorkers: Scenario = {
  name: "workers: several at once, on files of their own and on one in common, each byte where it belongs",
  async run(bench) {
    const blocks = 40;
    const io = bench.backend();
    const common = await io.open(bench.path("common"), { access: "create" });
    const threads = [0, 1, 2].map((n) =>
      worker(
        bench,
        `${FILL}
        const own = await io.open(directory + "/own-${n}", { access: "create" });
        const common = await io.open(directory + "/common", { access: "write" });
        const arena = io.arena(${BLOCK_BYTES});
        for (let k = 0; k < ${blocks}; k++) {
          fill(arena.bytes, ${n} * 1000 + k);
          const region = { arena, start: 0, length: ${BLOCK_BYTES} };
          await io.submit([
            { kind: "write", file: own, region, offset: k * ${BLOCK_BYTES} },
            { kind: "sync", file: own },
            { kind: "write", file: common, region, offset: (k * 3 + ${n}) * ${BLOCK_BYTES}, durable: true },
          ]);
        }
        await io.close();
        say("done");`,
      ),
    );
    await Promise.all(threads.map((thread) => said(thread, "done")));
    await Promise.all(threads.map((thread) => thread.terminate()));
    for (const n of [0, 1, 2]) {
      const own = await io.open(bench.path(`own-${n}`), { access: "read" });
      for (let k = 0; k < blocks; k++) {
        const expected = pattern(BLOCK_BYTES, n * 1000 + k);
        assertBytes(await readBytes(io, own, k * BLOCK_BYTES, BLOCK_BYTES), expected, `own ${n}, block ${k}`);
        const place = (k * 3 + n) * BLOCK_BYTES;
        assertBytes(await readBytes(io, common, place, BLOCK_BYTES), expected, `common ${n}, block ${k}`);
      }
    }
  },
};

const terminated: Scenario = {
  name: "workers: one terminated in flight takes nothing with it, and gives its lock back",
  async run(bench) {
    const io = bench.backend();
    for (let round = 0; round < 8; round++) {
      const name = `busy-${round}`;
      const thread = worker(
        bench,
        `${BUSY} await io.lock(directory + "/lock"); await busy("${name}"); say("busy");`,
      );
      await said(thread, "busy");
      await rejection(io.lock(bench.path("lock")), "IO_LOCKED");
      // Not always at the same moment of a chain.
      await new Promise((resolve) => setTimeout(resolve, round * 3));
      await thread.terminate();
      await (await io.lock(bench.path("lock"))).release();
      await io.unlink(bench.path(name));
    }
    const file = await io.open(bench.path("after"), { access: "create" });
    await file.writeZeros(0, BLOCK_BYTES);
  },
};

const endedInFlight: Scenario = {
  name: "workers: one that calls process.exit() in flight ends with its code",
  async run(bench) {
    for (let round = 0; round < 3; round++) {
      const thread = worker(bench, `${BUSY} await busy("busy-${round}"); process.exit(3);`);
      const [code] = await once(thread, "exit");
      assert.equal(code, 3);
    }
  },
};

const exitInFlight: Scenario = {
  name: "process: process.exit() in flight ends with its code, on the main thread and with busy workers",
  async run(bench) {
    const main = await ended(child(bench, `${BUSY} await busy("busy"); process.exit(5);`));
    assert.deepEqual(main, { code: 5, signal: null, output: "" });
    const inner = program(bench, `${BUSY} await busy("inner"); say("busy");`);
    const withWorker = await ended(
      child(
        bench,
        `const { Worker } = await import("node:worker_threads");
        const source = ${JSON.stringify(inner)};
        const thread = new Worker(new URL("data:text/javascript," + encodeURIComponent(source)), { execArgv: [] });
        thread.once("message", () => process.exit(6));`,
      ),
    );
    assert.deepEqual(withWorker, { code: 6, signal: null, output: "" });
  },
};

/** Ends with chains in flight; an exit handler waits for one of them, and then writes over half of it. */
const EXIT_HANDLER = `${FILL}
  const file = await io.open(directory + "/a", { access: "create" });
  const arena = io.arena(${4 * MIB});
  const other = io.arena(${2 * MIB});
  fill(arena.bytes, 1);
  fill(other.bytes, 2);
  const whole = { arena, start: 0, length: ${4 * MIB} };
  const half = { arena: other, start: 0, length: ${2 * MIB} };
  const chains = [1, 2, 3, 4, 5, 6].map(() =>
    io.submit([{ kind: "write", file, region: whole, offset: 0 }, { kind: "sync", file }]));
  process.on("exit", () => {
    for (const chain of chains) io.now.finish(chain);
    io.now.submit([{ kind: "write", file, region: half, offset: 0 }, { kind: "sync", file }]);
    say("written");
  });
  process.exit(7);
`;

async function checkExitHandler(bench: Bench): Promise<void> {
  const io = bench.backend();
  const file = await io.open(bench.path("a"), { access: "read" });
  const expected = pattern(4 * MIB, 1);
  expected.set(pattern(2 * MIB, 2));
  assertBytes(await readBytes(io, file, 0, 4 * MIB), expected, "what the exit handler left");
}

const exitHandler: Scenario = {
  name: "now: an exit handler finishes chains in flight and writes after them, with no event loop",
  async run(bench) {
    assert.deepEqual(await ended(child(bench, EXIT_HANDLER)), { code: 7, signal: null, output: "written\n" });
    await checkExitHandler(bench);
  },
};

const workerExitHandler: Scenario = {
  name: "now: a worker's exit handler finishes chains in flight and writes after them",
  async run(bench) {
    const thread = worker(bench, EXIT_HANDLER);
    const [code] = await once(thread, "exit");
    assert.equal(code, 7);
    await checkExitHandler(bench);
  },
};

const keepsAlive: Scenario = {
  name: "process: a chain in flight keeps the process alive, an idle back end does not",
  async run(bench) {
    const busy = await ended(
      child(
        bench,
        `const file = await io.open(directory + "/a", { access: "create" });
        const arena = io.arena(${4 * MIB});
        const region = { arena, start: 0, length: ${4 * MIB} };
        io.submit([{ kind: "write", file, region, offset: 0 }, { kind: "sync", file }]).then(() => say("settled"));`,
      ),
    );
    assert.deepEqual(busy, { code: 0, signal: null, output: "settled\n" });
    const idle = await ended(
      child(
        bench,
        `await io.open(directory + "/a", { access: "write" });
        await io.lock(directory + "/lock");`,
      ),
    );
    assert.deepEqual(idle, { code: 0, signal: null, output: "" });
  },
};

const timers: Scenario = {
  name: "process: a timer keeps the process alive only when told to",
  async run(bench) {
    const loose = await ended(child(bench, `io.clock.after(60_000, () => say("fired"));`));
    assert.deepEqual(loose, { code: 0, signal: null, output: "" });
    const kept = await ended(child(bench, `io.clock.after(20, () => say("fired"), true);`));
    assert.deepEqual(kept, { code: 0, signal: null, output: "fired\n" });
  },
};

const lockDies: Scenario = {
  name: "process: a lock excludes other processes, and dies with its own, however that ends",
  async run(bench) {
    const io = bench.backend();
    for (const end of ["SIGKILL", "SIGTERM"] as const) {
      const holder = child(
        bench,
        `await io.lock(directory + "/lock");
        say("locked");
        setInterval(() => {}, 1000);`,
      );
      const over = ended(holder);
      assert(holder.stdout);
      await once(holder.stdout, "data");
      assert.equal(await io.isLocked(bench.path("lock")), true);
      await rejection(io.lock(bench.path("lock")), "IO_LOCKED");
      holder.kill(end);
      assert.equal((await over).signal, end);
      assert.equal(await io.isLocked(bench.path("lock")), false);
      await (await io.lock(bench.path("lock"))).release();
    }
  },
};
