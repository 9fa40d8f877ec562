import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { pwrite } from "@stonewal/io-pwrite";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { faultEnvironment } from "../../io-pwrite/test/support/fault-shim.mjs";
import { checkLog } from "./support/short-run.mjs";

const run = promisify(execFile);
const script = fileURLToPath(new URL("./support/kill-runner.mjs", import.meta.url));
// On the disk that the tests lie on.
const beside = fileURLToPath(new URL("./", import.meta.url));
let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(beside, "scratch-"));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("a process is killed at each system call of a short run, in the real back end", () => {
  const timeout = 300_000;
  beforeEach((context) => {
    if (process.platform !== "linux")
      context.skip("system calls are intercepted with LD_PRELOAD, on Linux only");
  });

  test("a process killed before, after or in the middle of its nth call loses nothing acknowledged", {
    timeout,
  }, async () => {
    // Every call is met by one of them; the soak campaign meets every call by all.
    const effects = ["kill", "kill-after", "torn=512"];
    expect(await killEach(effects, effects.length, "wal")).toBeGreaterThan(60);
  });

  test("acknowledged by the DWB: a process killed before its nth call loses nothing acknowledged", {
    timeout,
  }, async () => {
    expect(await killEach(["kill"], 6, "dwb")).toBeGreaterThan(10);
  });

  /** Kills a run at every `step`th call, each effect beginning with a call of its own. Answers how many were killed. */
  async function killEach(effects: readonly string[], step: number, ack: "wal" | "dwb"): Promise<number> {
    let killed = 0;
    for (const [first, effect] of effects.entries()) {
      const call = effect.startsWith("torn") ? "write" : "any";
      for (let n = first + 1; ; n += step) {
        const directory = join(scratch, `${ack}-${effect}-${n}`);
        const env = faultEnvironment(`${call}:${directory}:${n}:${effect}`);
        const args = [script, directory, ack];
        const stdout = await run(process.execPath, args, { env }).then(
          (finished) => finished.stdout,
          (error: { signal?: string; stdout: string; stderr: string }) => {
            expect(error.signal, error.stderr).toBe("SIGKILL");
            return error.stdout;
          },
        );
        const lines = stdout.trimEnd().split("\n");
        const done = lines.at(-1) === "done";
        const acknowledged = Number(done ? lines.at(-2) : (lines.at(-1) ?? 0));
        const io = pwrite();
        await checkLog(io, directory, acknowledged).catch((error: unknown) => {
          throw new Error(`${effect} at call ${n}: ${(error as Error).message}`, { cause: error });
        });
        await io.close();
        rmSync(directory, { recursive: true, force: true });
        if (done) break;
        killed += 1;
      }
    }
    return killed;
  }
});
