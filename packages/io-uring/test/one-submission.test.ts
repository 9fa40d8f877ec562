import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runChild } from "./support/child.js";

const trial = spawnSync("strace", ["-o", "/dev/null", "true"], { encoding: "utf8" });
const noStrace =
  trial.status === 0 ? undefined : `strace can't trace here: ${trial.error?.message ?? trial.stderr.trim()}`;

const CALLS = [
  "io_uring_enter",
  "fdatasync",
  "fsync",
  "pwrite64",
  "pwritev",
  "pwritev2",
  "access",
  "faccessat",
  "faccessat2",
];
const COMMITS = 25;

/** What the process asked of the kernel between its two marks, call by call. */
async function callsBetweenMarks(body: string, traced = CALLS): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), "stonewal-strace-"));
  try {
    const log = join(directory, "log");
    await runChild(body, { through: ["strace", "-f", "-qq", "-o", log, "-e", `trace=${traced.join(",")}`] });
    const lines = (await readFile(log, "utf8")).split("\n");
    const mark = (name: string) => lines.findIndex((line) => line.includes(`/mark-${name}`));
    expect(mark("begin")).toBeGreaterThan(-1);
    expect(mark("end")).toBeGreaterThan(mark("begin"));
    return lines.slice(mark("begin") + 1, mark("end")).filter((line) => !line.includes("/mark-"));
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Commits in a row: to a double-write buffer, sync, to the log, sync; what is there is written over, as in a log. */
const commits = (direct: boolean, chain: string, options = "") => `
  const { existsSync } = await import("node:fs");
  const io = uring({ ${options} });
  const [dwb, wal] = await Promise.all(["dwb", "wal"].map((name) =>
    io.open(directory + "/" + name, { access: "create", direct: ${direct} })));
  await dwb.writeZeros(0, 64 * BLOCK);
  await wal.writeZeros(0, 64 * BLOCK);
  const arena = io.arena(32 * BLOCK);
  const write = (file, n, durable = false) =>
    ({ kind: "write", file, region: { arena, start: (n % 16) * BLOCK, length: BLOCK }, offset: (n % 60) * BLOCK, durable });
  const sync = (file) => ({ kind: "sync", file });
  existsSync("/mark-begin");
  for (let n = 0; n < ${COMMITS}; n++) await io.submit(${chain});
  existsSync("/mark-end");
  await io.close();
  report("done");
`;

const submitted = (line: string) => Number(/io_uring_enter\(\d+, (\d+),/.exec(line)?.[1] ?? Number.NaN);

const chains: [what: string, requests: number, chain: string][] = [
  ["write, sync, write, sync", 4, "[write(dwb, n), sync(dwb), write(wal, n), sync(wal)]"],
  [
    "several writes before each sync",
    8,
    "[...[0, 1, 2].map((k) => write(dwb, n + k)), sync(dwb), ...[0, 1, 2].map((k) => write(wal, n + k)), sync(wal)]",
  ],
  ["durable writes", 2, "[write(dwb, n, true), write(wal, n, true)]"],
];

for (const direct of [false, true]) {
  for (const [what, requests, chain] of chains) {
    const name = `a commit is one submission, and no other call that writes or syncs: ${what} (${direct ? "direct" : "buffered"})`;
    test(name, async ({ skip }) => {
      if (noStrace !== undefined) return skip(noStrace);
      const calls = await callsBetweenMarks(commits(direct, chain));
      expect(calls).toHaveLength(COMMITS);
      expect(calls.map(submitted)).toEqual(new Array(COMMITS).fill(requests));
    });
  }
}

test("a chain longer than the queue is as many submissions as it needs", async ({ skip }) => {
  if (noStrace !== undefined) return skip(noStrace);
  const chain = "[0, 1, 2, 3, 4, 5, 6, 7, 8].map((k) => write(wal, k)).concat(sync(wal))";
  const calls = await callsBetweenMarks(commits(false, chain, "entries: 4"));
  expect(calls.map(submitted)).toEqual(new Array(COMMITS).fill([4, 4, 2]).flat());
});

test("an arena is pinned once, where that pays, and not for each write", async ({ skip }) => {
  if (noStrace !== undefined) return skip(noStrace);
  const uses = (direct: boolean, bytes: number) => `
    const { existsSync } = await import("node:fs");
    const io = uring();
    const file = await io.open(directory + "/a", { access: "create", direct: ${direct} });
    const arena = io.arena(${bytes});
    const region = { arena, start: 0, length: BLOCK };
    existsSync("/mark-begin");
    for (let n = 0; n < 10; n++) await io.submit([{ kind: "write", file, region, offset: 0 }]);
    existsSync("/mark-end");
    await io.close();
    report("done");
  `;
  const registrations = async (direct: boolean, bytes: number) => {
    const calls = await callsBetweenMarks(uses(direct, bytes), [...CALLS, "io_uring_register"]);
    return calls.filter((line) => /BUFFERS_UPDATE|0x10,/.test(line)).length;
  };
  expect(await registrations(true, 2 ** 20)).toBe(1);
  expect(await registrations(true, 2 ** 12), "a small arena").toBe(0);
  expect(await registrations(false, 2 ** 20), "buffered writes are copied").toBe(0);
});
