// A step of the soak: the fuzz tests of all packages that read what somebody else may have written, STONEWAL_FUZZ=n times as long as in
// `npm test`. A failure prints its seed.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { exitWith, root } from "./setup.mjs";

await exitWith(async () => {
  const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
  let passed = true;
  for (const name of ["record", "dwb", "recovery", "stonewal"]) {
    const cwd = path.join(root, "packages", name);
    const { status } = spawnSync(process.execPath, [vitest, "run", "test/fuzz.test.ts", "--testTimeout=0"], {
      cwd,
      stdio: "inherit",
    });
    passed = status === 0 && passed;
  }
  return passed ? 0 : 1;
});
