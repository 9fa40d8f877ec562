// Programs and workers that end while a thread of the ring's own has a chain of theirs.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { childEnd } from "./support/child.js";
import { noLanes } from "./support/no-lanes.js";
import { scratchRoot } from "./support/subject.js";

const BLOCK = 4096;
const BLOCKS = 2048;
let directory: string;

beforeEach(async ({ skip }) => {
  directory = await mkdtemp(join(scratchRoot, "stonewal-uring-"));
  if (noLanes !== undefined) skip(noLanes);
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** Ends while the first of two writes is under way; its exit handler says how many chains such threads were given. */
const program = (rules: string, end: string) => `
  const { writeSync } = await import("node:fs");
  const { faultCounts, faultyUring, setFaults, setLanes } =
    await import(${JSON.stringify(new URL("support/fault-addon.mjs", import.meta.url).href)});
  const io = faultyUring();
  const [a, b] = await Promise.all(["a", "b"].map((name) => io.open(${JSON.stringify(`${directory}/`)} + name, { access: "create", direct: true })));
  for (const file of [a, b]) await file.writeZeros(0, ${BLOCKS * BLOCK});
  const arena = io.arena(${BLOCKS * BLOCK});
  arena.bytes.fill(1);
  const region = { arena, start: 0, length: ${BLOCKS * BLOCK} };
  const write = (file) => ({ kind: "write", file, region, offset: 0, durable: true });
  process.on("exit", (code) => writeSync(1, "exit " + code + ", given " + faultCounts().inLanes + "\\n"));
  setFaults(${JSON.stringify(rules)});
  setLanes(true);
  io.submit([write(a), write(b)]).finally(() => writeSync(1, "told\\n"));
  ${end}
`;

const inWorker = (source: string) => `
  const { Worker } = await import("node:worker_threads");
  const source = ${JSON.stringify(source)};
  const worker = new Worker(new URL("data:text/javascript," + encodeURIComponent(source)));
  worker.on("error", ({ message }) => console.log("error " + message));
  worker.on("exit", (code) => console.log("worker " + code));
`;

/** The bytes that the file's blocks are made of, each of one. */
async function bytesOf(name: string): Promise<Set<number>> {
  const bytes = await readFile(join(directory, name));
  expect(bytes.length).toBe(BLOCKS * BLOCK);
  const kinds = [0, 1].map((byte) => Buffer.alloc(BLOCK, byte));
  const blocks = Array.from({ length: BLOCKS }, (_, n) => bytes.subarray(n * BLOCK, (n + 1) * BLOCK));
  return new Set(blocks.map((block) => kinds.findIndex((kind) => kind.equals(block))));
}

const SLOW = "write:/a:1:delay=1000";
/** The thread has begun by then. */
const begun = (end: string) => `await new Promise((resolve) => setTimeout(resolve, 200)); ${end}`;
const UNCAUGHT = `setImmediate(() => { throw new Error("uncaught"); });`;

describe.each([
  ["process.exit()", 7, "process.exit(7);"],
  ["an uncaught exception", 1, UNCAUGHT],
])("%s", (_, code, end) => {
  test("of the main thread ends the process at once with its code, and no write is begun", async () => {
    const ended = await childEnd(program(SLOW, begun(end)));
    expect(ended).toMatchObject({ code, signal: null, output: `exit ${code}, given 1\n` });
    for (const name of ["a", "b"]) expect(await bytesOf(name)).toEqual(new Set([0]));
  });

  test("of a worker waits for the write that was made, begins no other, and tells nobody", async () => {
    const ended = await childEnd(inWorker(program(SLOW, begun(end))));
    expect(ended).toMatchObject({ code: 0, signal: null });
    const error = code === 1 ? "error uncaught\n" : "";
    expect(ended.output).toBe(`exit ${code}, given 1\n${error}worker ${code}\n`);
    expect(await bytesOf("a")).toEqual(new Set([1]));
    expect(await bytesOf("b")).toEqual(new Set([0]));
  });

  test.each([0, 2, 8].flatMap((ms) => [[ms, "the main thread"] as const, [ms, "a worker"] as const]))(
    "%i ms into a write, of %s, leaves every block whole",
    async (ms, thread) => {
      const later = `for (const from = performance.now(); performance.now() < from + ${ms}; );\n${end}`;
      const [body, expected] =
        thread === "a worker" ? [inWorker(program("", later)), 0] : [program("", later), code];
      const { code: actual, signal, output } = await childEnd(body);
      expect({ actual, signal }).toEqual({ actual: expected, signal: null });
      expect(output).toContain(`exit ${code}, given 1\n`);
      for (const name of ["a", "b"]) expect(await bytesOf(name)).not.toContain(-1);
    },
  );
});
