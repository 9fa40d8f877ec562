import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fileSizeLimit, runChild } from "./support/child.js";
import { noLanes } from "./support/no-lanes.js";

const BLOCK = 4096;

interface Outcome {
  readonly code: string;
  readonly errno: string;
  readonly step: number;
}

interface Crossing {
  readonly failed: Outcome;
  readonly size: number;
  readonly later: string;
  readonly sevens: boolean;
  readonly untouched: number;
}

/** A chain whose second step is cut short by the kernel and can't be continued; steps behind it, one of another file. */
const crossing = (opened = "uring()") => `
  const io = ${opened};
  const cross = async (direct, durable) => {
    const file = await io.open(directory + "/a", { access: "create", direct });
    const other = await io.open(directory + "/b", { access: "create", direct });
    const arena = io.arena(16 * BLOCK);
    arena.bytes.fill(7);
    const write = (file, blocks, offset) =>
      ({ kind: "write", file, region: { arena, start: 0, length: blocks * BLOCK }, offset, durable });
    const sync = { kind: "sync", file };
    const failed = await outcome(
      io.submit([write(file, 4, 0), write(file, 8, 4 * BLOCK), sync, write(other, 1, 0), write(file, 1, 0)]),
    );
    const size = await file.size();
    const untouched = await other.size();
    const later = await outcome(io.submit([write(file, 1, 0), sync]));
    const contents = await readFile(file.path);
    return { failed, size, later, sevens: contents.every((byte) => byte === 7), untouched };
  };
`;

const LANES = `
  const { faultyUring, setLanes } = await import("./test/support/fault-addon.mjs");
  setLanes(true);
`;

test.for([
  ["the kernel", crossing(), undefined],
  ["a thread of the ring's own", LANES + crossing("faultyUring()"), noLanes],
] as const)(
  "a write that %s cuts short at a file size limit is IO_FILE_LIMIT with its step, and nothing behind it runs",
  async ([, prelude, reason], { skip }) => {
    if (reason !== undefined) return skip(reason);
    for (const direct of [false, true]) {
      for (const durable of [false, true]) {
        const result = await runChild<Crossing>(`${prelude} report(await cross(${direct}, ${durable}));`, {
          through: fileSizeLimit(10 * BLOCK),
        });
        expect(result.failed).toMatchObject({ code: "IO_FILE_LIMIT", errno: "EFBIG", step: 1 });
        expect(result).toMatchObject({ size: 10 * BLOCK, later: "resolved", sevens: true, untouched: 0 });
      }
    }
  },
);

test("a limit inside a block of a direct file is an error too, not an endless loop", async () => {
  const { failed, later } = await runChild<Crossing>(`${crossing()} report(await cross(true, false));`, {
    through: fileSizeLimit(10 * BLOCK + 512),
  });
  expect(["IO_FILE_LIMIT", "IO_WRITE_FAILED", "IO_FAILED"]).toContain(failed.code);
  expect(failed.step).toBe(1);
  expect(later).toBe("resolved");
});

/** An ext4 of a few MiB, unmounted again afterwards; or why there can't be one. */
async function onSmallDisk(use: (directory: string) => Promise<void>): Promise<string | undefined> {
  const base = await mkdtemp(join(tmpdir(), "stonewal-disk-"));
  const image = join(base, "image");
  const mounted = join(base, "mounted");
  const run = (command: string, ...args: string[]) => {
    const result = spawnSync(command, args, { encoding: "utf8" });
    return result.status === 0 ? undefined : `${command}: ${result.error?.message ?? result.stderr.trim()}`;
  };
  try {
    const refused =
      run("truncate", "-s", "8M", image) ??
      run("mkfs.ext4", "-q", "-m", "0", "-b", "4096", image) ??
      run("mkdir", mounted) ??
      run("mount", "-o", "loop", image, mounted);
    if (refused !== undefined) return refused;
    await use(mounted).finally(() => {
      const left = run("umount", mounted);
      if (left !== undefined) throw new Error(left);
    });
    return undefined;
  } finally {
    await rm(base, { recursive: true });
  }
}

test("on a full disk a chain is IO_NO_SPACE with the step that did not fit, and goes on when there is room again", async ({
  skip,
}) => {
  const refused = await onSmallDisk(async (directory) => {
    for (const direct of [false, true]) {
      const body = `
        const { unlink, writeFile } = await import("node:fs/promises");
        const io = uring();
        const name = (n) => directory + "/${direct}-" + n;
        await writeFile(name("ballast"), new Uint8Array(1 << 20));
        const file = await io.open(name("a"), { access: "create", direct: ${direct} });
        const other = await io.open(name("b"), { access: "create", direct: ${direct} });
        await other.writeZeros(0, BLOCK);
        const arena = io.arena(64 << 10);
        arena.bytes.fill(9);
        const length = arena.bytes.length;
        const write = (n) => ({ kind: "write", file, region: { arena, start: 0, length }, offset: n * length });
        // More than the disk holds, in chains of a few steps each.
        let failure, chains = 0;
        for (; failure === undefined && chains < 100; chains++) {
          const steps = [0, 1, 2, 3].map((n) => write(4 * chains + n));
          const mark = { kind: "write", file: other, region: { arena, start: 0, length: BLOCK }, offset: 0 };
          const result = await outcome(io.submit([...steps, mark]));
          if (result !== "resolved") failure = result;
          else await io.submit([{ kind: "write", file: other, region: { arena: io.arena(BLOCK), start: 0, length: BLOCK }, offset: 0 }]);
        }
        const size = await file.size();
        const marked = (await readFile(other.path))[0];
        await unlink(name("ballast"));
        const again = await outcome(io.submit([write(4 * chains - 4), write(4 * chains - 3), { kind: "sync", file }]));
        const contents = await readFile(file.path);
        const written = contents.subarray(0, (4 * chains - 2) * length);
        await io.close();
        await unlink(name("a"));
        report({ failure, chains, size, marked, length, again, nines: written.every((byte) => byte === 9) });
      `;
      const result = await runChild<{
        failure: Outcome;
        chains: number;
        size: number;
        marked: number;
        length: number;
        again: string;
        nines: boolean;
      }>(body, { directory });
      expect(result.failure).toMatchObject({ code: "IO_NO_SPACE", errno: "ENOSPC" });
      const { failure, chains, size, length } = result;
      const reached = size - (chains - 1) * 4 * length;
      expect(failure.step, "the step at which the disk was full").toBe(Math.floor(reached / length));
      expect(result).toMatchObject({ again: "resolved", marked: 0, nines: true });
    }
  });
  if (refused !== undefined) skip(`no small disk: ${refused}`);
});

test("where arenas may not be pinned, chains on direct files go without", async ({ skip }) => {
  // Root may lock as much as it likes, so somebody else has to try.
  const plain = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const nobody = spawnSync(plain[0] as string, [...plain.slice(1), process.execPath, "--version"], {
    encoding: "utf8",
  });
  if (nobody.status !== 0) return skip(`setpriv: ${nobody.error?.message ?? nobody.stderr.trim()}`);
  const directory = await mkdtemp(join(tmpdir(), "stonewal-uring-"));
  try {
    expect(spawnSync("chmod", ["777", directory]).status).toBe(0);
    const body = `
      const io = uring();
      const file = await io.open(directory + "/a", { access: "create", direct: true });
      const arena = io.arena(1 << 20);
      arena.bytes.fill(3);
      for (let n = 0; n < 4; n++) {
        await io.submit([{ kind: "write", file, region: { arena, start: n << 18, length: 1 << 18 }, offset: n << 18, durable: true }]);
      }
      const read = await file.read({ arena, start: 0, length: 1 << 20 }, 0);
      report({ read, threes: arena.bytes.every((byte) => byte === 3) });
    `;
    const limited = ["/bin/sh", "-c", 'ulimit -l 64; exec "$@"', "sh", ...plain];
    expect(await runChild(body, { directory, through: limited })).toEqual({ read: 1 << 20, threes: true });
  } finally {
    await rm(directory, { recursive: true });
  }
});
