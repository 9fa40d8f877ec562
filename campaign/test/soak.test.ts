import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../dist/soak/main.js", import.meta.url));

function soak(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [MAIN, "--no-exhaustive", "--workers", "1", ...args],
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
      },
    );
  });
}

test("a soak runs the seeds that it was asked for, and says what was survived", async () => {
  const { code, output } = await soak("--from", "3", "--seeds", "2", "--campaign", "power cuts");
  expect(output).toMatch(/histories: power cuts *│ *2 /);
  expect(output).toContain("2 done");
  expect(output).toContain("seeds 3 to 4: nothing was lost");
  expect(code).toBe(0);
});

test("a soak that finds something ends with 1, and prints the seed, the shortest form and what was done to the disk", async () => {
  const { code, output } = await soak(
    "--seeds",
    "1",
    "--campaign",
    "power cuts",
    "--broken",
    "the log's sync is left out",
  );
  expect(code).toBe(1);
  expect(output).toContain("STONEWAL_SEED=1 npm test -- stonewal-campaign");
  expect(output).toMatch(/shortest form found, \d+ of \d+ steps/);
  expect(output).toMatch(/at \d+: crash/);
});
