import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { platform } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { pwrite } from "../src/index.js";
import { runChild } from "./support/child.js";
import { faultEnvironment } from "./support/fault-shim.mjs";
import { scratchRoot } from "./support/subject.mjs";

const linux = platform() === "linux";

interface Outcome {
  readonly code: string;
  readonly errno: string;
  readonly step: number;
  readonly message: string;
}

/** A chain that crosses the limit in its second step. */
const CROSSING = `
  const BLOCK = 4096;
  const cross = async (name, direct, durable) => {
    const file = await io.open(directory + "/" + name, { access: "create", direct });
    const arena = io.arena(16 * BLOCK);
    arena.bytes.fill(7);
    const write = (start, blocks, offset) =>
      ({ kind: "write", file, region: { arena, start, length: blocks * BLOCK }, offset, durable });
    const failed = await outcome(io.submit([write(0, 4, 0), write(0, 8, 4 * BLOCK), write(0, 1, 0)]));
    const size = await file.size();
    const later = await outcome(io.submit([write(0, 1, 0), { kind: "sync", file }]));
    const contents = await readFile(file.path);
    return { failed, size, later, sevens: contents.every((byte) => byte === 7) };
  };
`;

interface Crossing {
  readonly failed: Outcome;
  readonly size: number;
  readonly later: string;
  readonly sevens: boolean;
}

test.runIf(linux)(
  "a write cut short by a file size limit is IO_FILE_LIMIT with its step, and the file goes on",
  async () => {
    const limit = 10 * 4096;
    for (const direct of [false, true]) {
      for (const durable of [false, true]) {
        const body = `${CROSSING} report(await cross("a", ${direct}, ${durable}));`;
        const { failed, size, later, sevens } = await runChild<Crossing>(body, { limit });
        expect(failed).toMatchObject({ code: "IO_FILE_LIMIT", errno: "EFBIG", step: 1 });
        expect(size).toBe(limit);
        expect(later).toBe("resolved");
        expect(sevens).toBe(true);
      }
    }
  },
);

test.runIf(linux)(
  "a limit inside a block of a direct file is an error too, not an endless loop",
  async () => {
    const body = `${CROSSING} report(await cross("a", true, false));`;
    const { failed, later } = await runChild<Crossing>(body, { limit: 10 * 4096 + 512 });
    expect(["IO_FILE_LIMIT", "IO_WRITE_FAILED", "IO_FAILED"]).toContain(failed.code);
    expect(failed.step).toBe(1);
    expect(later).toBe("resolved");
  },
);

test.runIf(linux)("where the kernel refuses RWF_DSYNC, durable writes are made with fdatasync", async () => {
  const body = `
    const file = await io.open(directory + "/a", { access: "create", direct: true });
    const region = { arena: io.arena(4096), start: 0, length: 4096 };
    const results = [];
    for (let n = 0; n < 3; n++) {
      results.push(await outcome(io.submit([{ kind: "write", file, region, offset: 0, durable: true }])));
    }
    report({ results, durableWrite: (await io.probe(directory)).durableWrite });
  `;
  for (const errno of ["EOPNOTSUPP", "ENOSYS"]) {
    // The first sync of the file is that of the first durable write, in one call with it.
    const env = faultEnvironment(`sync:/a:1:${errno};sync:/a:4:EIO`);
    const { results, durableWrite } = await runChild<{ results: unknown[]; durableWrite: string }>(body, {
      env,
    });
    // 1 is refused, 2 to 4 are the fdatasyncs of the three writes: the last of them shows that they were made.
    expect(results.slice(0, 2)).toEqual(["resolved", "resolved"]);
    expect(results[2]).toMatchObject({ code: "IO_SYNC_FAILED" });
    expect(durableWrite).toBe("fdatasync");
  }
});

test.runIf(linux)(
  "where a file system has no exclusive rename, a new link does it, and never replaces",
  async () => {
    const body = `
    for (const name of ["a", "b"]) await (await io.open(directory + "/" + name, { access: "create" })).close();
    const refused = await outcome(io.rename(directory + "/a", directory + "/b"));
    const names = await io.list(directory);
    await io.rename(directory + "/a", directory + "/c");
    report({ refused, names, after: await io.list(directory) });
  `;
    for (const errno of ["EINVAL", "ENOSYS"]) {
      const env = faultEnvironment(`rename::1+:${errno}`);
      const { refused, names, after } = await runChild<{
        refused: Outcome;
        names: string[];
        after: string[];
      }>(body, { env });
      expect(refused.code).toBe("IO_EXISTS");
      expect(names).toEqual(["a", "b"]);
      expect(after).toEqual(["b", "c"]);
    }
  },
);

test.runIf(linux)("each errno keeps its name, and gets the code that callers branch on", async () => {
  const body = `
    const file = await io.open(directory + "/a", { access: "create" });
    const region = { arena: io.arena(4096), start: 0, length: 4096 };
    const write = () => outcome(io.submit([{ kind: "write", file, region, offset: 0 }]));
    report([await write(), await write(), await outcome(file.truncate(1)), await outcome(io.unlink(file.path)), await outcome(io.syncDirectory(directory))]);
  `;
  const env = faultEnvironment(
    "write:/a:1:EDQUOT;write:/a:2:EROFS;truncate:/a:1:EIO;unlink:/a:1:EACCES;sync::1:EIO",
  );
  const [quota, readOnly, truncate, unlink, directory] = await runChild<Outcome[]>(body, { env });
  expect(quota).toMatchObject({ code: "IO_NO_SPACE", errno: "EDQUOT", step: 0 });
  expect(readOnly).toMatchObject({ code: "IO_ACCESS", errno: "EROFS", step: 0 });
  expect(truncate).toMatchObject({ code: "IO_WRITE_FAILED", errno: "EIO" });
  expect(unlink).toMatchObject({ code: "IO_ACCESS", errno: "EACCES" });
  expect(directory).toMatchObject({ code: "IO_SYNC_FAILED", errno: "EIO" });
});

test.runIf(linux)(
  "a file system without direct I/O is IO_UNSUPPORTED by name; so is what is no regular file",
  async () => {
    const io = pwrite();
    const direct = io.open("/proc/version", { access: "read", direct: true });
    await expect(direct).rejects.toMatchObject({
      code: "IO_UNSUPPORTED",
      message: expect.stringContaining("proc"),
    });
    await expect(io.open("/dev/null", { access: "write" })).rejects.toMatchObject({ code: "IO_UNSUPPORTED" });
    const facts = await io.probe("/proc/self");
    expect(facts).toMatchObject({ fileSystem: "proc", direct: undefined, physicalBlockBytes: 4096 });
    expect(facts.directUnavailable).toMatch(/proc in \/proc\/self: \S+ failed with E/);
    await io.close();
  },
);

test.runIf(linux)(
  "a device that fails while it is probed is an error, not taken for one that can't do direct I/O",
  async () => {
    const body = `
    report([await outcome(io.probe(directory)), (await io.probe(directory)).direct !== undefined]);
  `;
    const [failed, direct] = await runChild<[Outcome, boolean]>(body, {
      env: faultEnvironment("write::1:EIO"),
    });
    expect(failed).toMatchObject({ code: "IO_WRITE_FAILED", errno: "EIO" });
    expect(direct).toBe(true);
  },
);

test("a pipe in a file's place is refused: opening it would wait for ever for its other end, and the process with it", async () => {
  const directory = await mkdtemp(join(scratchRoot, "stonewal-pwrite-"));
  const path = join(directory, "pipe");
  expect(spawnSync("mkfifo", [path]).status).toBe(0);
  const io = pwrite();
  onTestFinished(async () => {
    // Whoever waits in open() goes on when there is a writer.
    closeSync(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
    await io.close();
    await rm(directory, { recursive: true });
  });
  for (const access of ["read", "write"] as const) {
    await expect(io.open(path, { access })).rejects.toMatchObject({ code: "IO_UNSUPPORTED", path });
  }
});
