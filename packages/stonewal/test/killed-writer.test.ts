import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { backendsHere } from "./support/backends-here.mjs";
import { lastDurable, ok, outcome, run, start } from "./support/cli.js";
import { scratch } from "./support/files.js";

const ROUNDS = 8;
const LINES = 40_000;

/** Lines of many lengths, none like another. */
const lines = Array.from({ length: LINES }, (_, i) => `${i + 1} ${"x".repeat((i * 7919) % 211)}`);

interface Kill {
  /** From the start of the process, or from the first LSN that it says is durable. */
  readonly after: "start" | "durable";
  readonly ms: number;
}

interface Log {
  readonly dir: string;
  /** How it is written, and how it is read. */
  readonly append: readonly string[];
  readonly read: readonly string[];
}

/** Feeds `append` with the lines from `from` on, a few at a time, until it is killed or has them all. */
async function appendAndKill({ dir, append }: Log, from: number, kill?: Kill) {
  const child = start(["append", dir, ...append]);
  const ended = outcome(child);
  let exited = false;
  child.once("close", () => {
    exited = true;
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const arm = () => {
    timer = setTimeout(() => child.kill("SIGKILL"), kill?.ms);
  };
  if (kill?.after === "start") arm();
  if (kill?.after === "durable") child.stdout.once("data", arm);
  for (let at = from; at < LINES && !exited; at += 25) {
    const more = child.stdin.write(`${lines.slice(at, at + 25).join("\n")}\n`);
    if (!more) await Promise.race([once(child.stdin, "drain").catch(() => undefined), ended]);
    else await new Promise((resolve) => setTimeout(resolve, 1));
  }
  child.stdin.end();
  const result = await ended;
  clearTimeout(timer);
  return result;
}

/** What is in the log; nothing, where the writer was killed before there was one. */
async function recovered({ dir, read }: Log): Promise<string[]> {
  const { code, stdout, stderr } = await run(["cat", dir, ...read]);
  if (code === 2 && stderr.includes("WAL_NOT_FOUND")) return [];
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return stdout.toString().split("\n").slice(0, -1);
}

async function survivesKills(log: Log, rounds: number): Promise<void> {
  let there = 0;
  let killed = 0;
  for (let round = 0; round < rounds; round++) {
    // The first two perhaps while the log is being made, or opened.
    const kill: Kill =
      round < 2 ? { after: "start", ms: 120 + 80 * round } : { after: "durable", ms: Math.random() * 300 };
    const { signal, stdout } = await appendAndKill(log, there, kill);
    if (signal === "SIGKILL") killed += 1;
    const durable = Math.max(there, lastDurable(stdout));
    const records = await recovered(log);
    expect(records.length).toBeGreaterThanOrEqual(durable);
    expect(records).toEqual(lines.slice(0, records.length));
    if (records.length > 0) expect((await run(["verify", log.dir, ...log.read])).code).toBe(0);
    there = records.length;
    if (there === LINES) break;
  }
  expect(killed).toBeGreaterThan(1);
  const { code } = await appendAndKill(log, there);
  expect(code).toBe(0);
  expect((await ok(["cat", log.dir, ...log.read])).toString()).toBe(`${lines.join("\n")}\n`);
  const report = JSON.parse((await ok(["verify", log.dir, "--json", ...log.read])).toString());
  expect(report).toMatchObject({ records: LINES, tornTail: false, corruption: [], closedCleanly: true });
}

test.for(await backendsHere())(
  "killed at any moment, eight times: all that was printed as durable is there, in order, and nothing else (%s)",
  (io) => survivesKills({ dir: scratch(), append: ["--io", io], read: [] }, ROUNDS),
);

test("killed at any moment, encrypted and compressed: all that was printed as durable is there, and none of it in the clear", async () => {
  const dir = scratch();
  const key = join(scratch(), "key");
  await ok(["keygen", key]);
  const read = ["--key-file", key];
  await survivesKills({ dir, append: [...read, "--compress", "deflate-raw"], read }, 4);
  const marker = `${LINES} ${"x".repeat(20)}`;
  for (const name of readdirSync(dir))
    expect(readFileSync(join(dir, name)).includes(marker), name).toBe(false);
});
