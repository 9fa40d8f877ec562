import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** How every package's tests run. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: [fileURLToPath(new URL("vitest.same-bytes.ts", import.meta.url))],
    // Processes, not threads: a native crash then costs one test file, and the addon's exit path runs for real.
    pool: "forks",
    maxWorkers: 2,
    // Generous: a machine may be shared, and none of the tests is about time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    passWithNoTests: true,
  },
});
