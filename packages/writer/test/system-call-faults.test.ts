import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { controlEnvironment, createFaultControl } from "../../io-pwrite/test/support/fault-shim.mjs";

const run = promisify(execFile);
const script = fileURLToPath(new URL("./support/fault-runner.mjs", import.meta.url));
// A call that fails does so before it gets to any disk: these runs, thousands of syncs, may be in memory.
const beside = fileURLToPath(new URL("./", import.meta.url));
const inMemory = "/dev/shm";
let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(existsSync(inMemory) ? join(inMemory, "stonewal-") : join(beside, "scratch-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** `rule`: what fails, with `@` for the path of what the runs write and `%n` for the number of the call. */
async function failEach(
  name: string,
  rule: string,
  ack: "wal" | "dwb" = "wal",
): Promise<{ runs: number; codes: Record<string, number> }> {
  const control = join(scratch, `${name}-control`);
  createFaultControl(control);
  const directory = join(scratch, name);
  const rules = rule.replaceAll("@", `${directory}/`);
  const args = [script, control, directory, rules, ack];
  const { stdout } = await run(process.execPath, args, { env: controlEnvironment(control) });
  return JSON.parse(stdout) as { runs: number; codes: Record<string, number> };
}

describe("each system call of a short run fails once, in the real back end", () => {
  const timeout = 300_000;
  beforeEach((context) => {
    if (process.platform !== "linux")
      context.skip("system calls are intercepted with LD_PRELOAD, on Linux only");
  });

  test("EIO from the nth write loses nothing acknowledged", { timeout }, async () => {
    const { runs, codes } = await failEach("write-eio", "write:@:%n:EIO");
    expect(runs).toBeGreaterThan(30);
    expect(codes.WAL_POISONED).toBeGreaterThan(10);
  });

  test("EIO from the nth sync loses nothing acknowledged, and is not retried", { timeout }, async () => {
    const { runs, codes } = await failEach("sync-eio", "sync:@:%n:EIO");
    expect(runs).toBeGreaterThan(30);
    expect(codes.WAL_POISONED).toBeGreaterThan(10);
  });

  test("a full disk at the nth write loses nothing acknowledged", { timeout }, async () => {
    const { runs, codes } = await failEach("write-enospc", "write:@:%n:ENOSPC");
    expect(runs).toBeGreaterThan(30);
    expect(codes.WAL_POISONED).toBeGreaterThan(10);
  });

  test("a short nth write is completed: it fails nothing", { timeout }, async () => {
    const { runs, codes } = await failEach("write-short", "write:@:%n:short=4096");
    expect(runs).toBeGreaterThan(30);
    expect(codes).toEqual({});
  });

  test("an interrupted nth write, sync and read are repeated: they fail nothing", { timeout }, async () => {
    const rules = ["write", "sync", "read"].map((call) => `${call}:@:%n:EINTR`).join(";");
    const { runs, codes } = await failEach("eintr", rules);
    expect(runs).toBeGreaterThan(30);
    expect(codes).toEqual({});
  });

  test("EIO from the nth rename, open or unlink loses nothing acknowledged", { timeout }, async () => {
    const renamed = await failEach("rename-eio", "rename:@:%n:EIO");
    const opened = await failEach("open-eio", "open:@:%n:EIO");
    const unlinked = await failEach("unlink-eio", "unlink:@:%n:EIO");
    expect(renamed.runs).toBeGreaterThan(2);
    expect(opened.runs).toBeGreaterThan(10);
    expect(unlinked.runs).toBeGreaterThan(0);
  });

  test("acknowledged by the DWB: EIO from the nth write or sync loses nothing acknowledged", {
    timeout,
  }, async () => {
    for (const call of ["write", "sync"]) {
      const { runs, codes } = await failEach(`dwb-${call}`, `${call}:@:%n:EIO`, "dwb");
      expect(runs).toBeGreaterThan(20);
      expect(codes.WAL_POISONED).toBeGreaterThan(10);
    }
  });
});
