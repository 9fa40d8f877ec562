// The check must be able to fail: logs that break the promise, each in its own way.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { openWal } from "stonewal";
import { describe, expect, it } from "vitest";
import type { Finding } from "../src/check.js";
import { runChecker } from "../src/checker-process.js";
import { scratchDir, writeFile } from "./support/scratch.js";

const CHECKER = path.resolve(import.meta.dirname, "../dist/checker.js");
const LINES = ["one\n", "two\n", "three\n", "four\n", "five"];

async function logOf(lines: readonly string[]): Promise<{ dir: string; file: string }> {
  const scratch = scratchDir();
  const dir = path.join(scratch, "log");
  const wal = await openWal({ dir, dwb: "off", segmentBytes: 262_144 });
  for (const line of lines) await wal.commit({ payload: Buffer.from(line) });
  await wal.close();
  return { dir, file: writeFile(scratch, LINES.join("")) };
}

const check = (
  log: { dir: string; file: string },
  acknowledged: number,
  attempted: number,
): Promise<Finding> => runChecker({ ...log, acknowledged, attempted });

describe("the checker", () => {
  it("is content with the whole file, and with a prefix that holds what was acknowledged", async () => {
    const whole = await logOf(LINES);
    expect(await check(whole, 5, 5)).toEqual({ recovered: 5, recoveredBytes: 23 });
    expect(await check(await logOf(LINES.slice(0, 3)), 3, 5)).toEqual({ recovered: 3, recoveredBytes: 14 });
    expect(await check(await logOf(LINES.slice(0, 3)), 2, 3)).toEqual({ recovered: 3, recoveredBytes: 14 });
  });

  it("finds the last acknowledged record missing", async () => {
    const { broken } = await check(await logOf(LINES.slice(0, 4)), 5, 5);
    expect(broken).toBe("1 acknowledged records are missing: 5 acknowledged, 4 recovered");
  });

  it("finds a record missing in the middle", async () => {
    const { broken } = await check(await logOf(["one\n", "two\n", "four\n", "five"]), 4, 5);
    expect(broken).toBe("record 3 differs from the file");
  });

  it("finds one byte of a record changed, its last newline too", async () => {
    expect((await check(await logOf(["one\n", "twO\n", "three\n"]), 3, 3)).broken).toBe(
      "record 2 differs from the file",
    );
    expect((await check(await logOf([...LINES.slice(0, 4), "five\n"]), 5, 5)).broken).toBe(
      "record 5 differs from the file",
    );
  });

  it("finds a record that was never attempted", async () => {
    const { broken } = await check(await logOf(LINES.slice(0, 4)), 2, 3);
    expect(broken).toBe("record 4 is there, but only 3 were attempted");
  });

  it("finds a record that the file doesn't have", async () => {
    const { broken } = await check(await logOf([...LINES, "six\n"]), 6, 6);
    expect(broken).toBe("record 6 is there, but the file has only 5");
  });

  it("finds acknowledged bytes damaged on the disk", async () => {
    const log = await logOf(LINES);
    const segment = path.join(
      log.dir,
      (await readdir(log.dir)).find((name) => name.endsWith(".wal")) as string,
    );
    const bytes = readFileSync(segment);
    const at = bytes.indexOf("three\n");
    expect(at).toBeGreaterThan(0);
    bytes[at] = (bytes[at] as number) ^ 1;
    writeFileSync(segment, bytes);
    expect((await check(log, 5, 5)).broken).toMatch(/^the log does not open: WAL_CORRUPT/);
  });

  it("finds the whole log gone, unless nothing was acknowledged", async () => {
    const log = await logOf(LINES);
    const gone = { ...log, dir: `${log.dir}-gone` };
    expect((await check(gone, 1, 1)).broken).toMatch(/^the log does not open: WAL_NOT_FOUND/);
    expect(await check(gone, 0, 1)).toEqual({ recovered: 0, recoveredBytes: 0 });
  });

  it("does not take a check that can't be made for a log that is fine", async () => {
    const log = await logOf(LINES);
    expect((await check({ ...log, file: `${log.file}-gone` }, 5, 5)).broken).toMatch(
      /^the check could not be made: .*ENOENT/,
    );
  });

  it("says so with its exit code", async () => {
    const log = await logOf(LINES.slice(0, 4));
    const exitCode = (acknowledged: number, dir = log.dir, file = log.file) => {
      try {
        const request = JSON.stringify({ dir, file, acknowledged, attempted: 5 });
        execFileSync(process.execPath, [CHECKER, request], { stdio: "pipe" });
        return 0;
      } catch (error) {
        return (error as { status: number }).status;
      }
    };
    expect(exitCode(4)).toBe(0);
    expect(exitCode(5)).toBe(1);
    expect(exitCode(4, log.dir, `${log.file}-gone`)).toBe(2);
  });
});
