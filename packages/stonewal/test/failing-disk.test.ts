import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { faultEnvironment } from "../../io-pwrite/test/support/fault-shim.mjs";
import { durableLsns, lastDurable, MAIN, type Outcome, ok, run } from "./support/cli.js";
import { scratch, snapshot } from "./support/files.js";
import { closedLog, printed } from "./support/logs.js";

/** What is in the log holds everything that was printed as durable, and nothing that was not in the input. */
async function nothingLost(dir: string, { stdout }: Outcome, input: string): Promise<void> {
  const text = (await ok(["cat", dir])).toString();
  expect(input.startsWith(text)).toBe(true);
  expect(text.split("\n").length - 1).toBeGreaterThanOrEqual(lastDurable(stdout));
}

describe.skipIf(process.platform !== "linux")(
  "a disk that fails under append: one line says so, exit code 2",
  () => {
    const input = printed(400);

    test.each([
      ["a sync that fails", "sync:.wal:5:EIO"],
      ["a write that fails", "write:.wal:6:EIO"],
      ["a write to the double-write buffer that fails", "write:dwb:9:EIO"],
      ["a disk that is full under a write", "write:.wal:6:ENOSPC"],
    ])("%s poisons the log, and nothing printed as durable is lost", async (_, rules) => {
      const dir = scratch();
      // A log that has its files already, so that the failure hits a commit.
      await ok(["append", dir], { input: "" });
      const outcome = await run(["append", dir, "--sync-every", "50"], {
        input,
        env: faultEnvironment(rules),
      });
      expect(outcome.code).toBe(2);
      expect(outcome.stderr).toMatch(/^stonewal: WAL_POISONED: [^\n]+ \(durable up to LSN \d+\)\n$/);
      expect(Number(/LSN (\d+)\)/.exec(outcome.stderr)?.[1])).toBe(lastDurable(outcome.stdout));
      await nothingLost(dir, outcome, input);
      const before = lastDurable(await ok(["append", dir], { input: "after\n" }));
      expect((await ok(["cat", dir, "--from", String(before)])).toString()).toBe("after\n");
    });

    test("no room for the next segment: what was appended is durable and the log is closed", async () => {
      const dir = scratch();
      await closedLog(dir, 0);
      const long = printed(12_000);
      // The spare that is there is of another size, so it is replaced: which doesn't work, again and again.
      const outcome = await run(["append", dir], {
        input: long,
        env: faultEnvironment("write:spare-:1+:ENOSPC"),
      });
      expect(outcome.code).toBe(2);
      expect(outcome.stderr).toMatch(
        /^stonewal: WAL_NO_SPACE: [^\n]+ \(everything appended is durable, up to LSN \d+\)\n$/,
      );
      expect(durableLsns(outcome.stdout).length).toBeGreaterThan(0);
      await nothingLost(dir, outcome, long);
      const report = JSON.parse((await ok(["verify", dir, "--json"])).toString());
      expect(report).toMatchObject({ closedCleanly: true, lastLsn: lastDurable(outcome.stdout) });
    });

    test("a log that can't be made is not left half made", async () => {
      const dir = scratch();
      const { code, stderr } = await run(["append", dir], {
        input,
        env: faultEnvironment("write::1+:ENOSPC"),
      });
      expect(code).toBe(2);
      expect(stderr).toMatch(/^stonewal: WAL_NO_SPACE: [^\n]+\n$/);
      expect((await run(["cat", dir])).code).toBe(2);
      await ok(["append", dir], { input });
      expect((await ok(["cat", dir])).toString()).toBe(input);
    });
  },
);

describe.skipIf(process.platform !== "linux")("a disk that refuses to be read", () => {
  test.each([["cat"], ["verify"]])("%s says so, and never ends with 0", async (command) => {
    const dir = scratch();
    await closedLog(dir, 20, { dwb: "off" });
    const before = snapshot(dir);
    const { code, stdout, stderr } = await run([command, dir], { env: faultEnvironment("read:.wal:1+:EIO") });
    expect(code).not.toBe(0);
    expect(stdout.toString() + stderr).toMatch(/WAL_UNREADABLE|IO_READ_FAILED/);
    expect(snapshot(dir)).toEqual(before);
  });
});

test("an input that can't be read is a failure, not an empty input", () => {
  const dir = scratch();
  const directory = openSync(dir, "r");
  try {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, "append", scratch()], {
      stdio: [directory, "pipe", "pipe"],
      encoding: "utf8",
    });
    expect(status).toBe(2);
    expect(stderr).toMatch(/^stonewal: CLI_INPUT: [^\n]+directory[^\n]+\n$/);
  } finally {
    closeSync(directory);
  }
});

test.skipIf(process.platform !== "linux")(
  "output that goes to a full disk is a failure, not a short answer",
  async () => {
    const dir = scratch();
    await closedLog(dir, 20);
    const full = openSync("/dev/full", "w");
    try {
      for (const command of ["cat", "verify", "inspect"]) {
        const { status, stderr } = spawnSync(process.execPath, [MAIN, command, dir], {
          stdio: ["ignore", full, "pipe"],
          encoding: "utf8",
        });
        expect(status).toBe(2);
        expect(stderr).toMatch(/^stonewal: CLI_OUTPUT: [^\n]+ENOSPC[^\n]+\n$/);
      }
    } finally {
      closeSync(full);
    }
  },
);
