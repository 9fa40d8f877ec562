import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { pwrite } from "@stonewal/io-pwrite";
import { expect, it, onTestFinished } from "vitest";

const program = path.join(import.meta.dirname, "programs", "open-reader.mjs");

it("a program that looks at a log beside its writer ends with an answer, not in the middle of waiting", async () => {
  const directory = await mkdtemp(path.join(tmpdir(), "stonewal-recovery-"));
  const io = pwrite();
  onTestFinished(async () => {
    await io.close();
    await rm(directory, { recursive: true, force: true });
  });
  // A writer that is about to create the log: worth looking again.
  await io.lock(`${directory}/lock`);
  const { stdout } = await promisify(execFile)(process.execPath, [program, directory]);
  expect(stdout).toBe("WAL_NOT_FOUND\n");
});
