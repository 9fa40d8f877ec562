import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Processes, not threads: a native crash then costs one test file, and the addon's exit path runs for real.
    pool: "forks",
    maxWorkers: 2,
    // Most tests start processes that write segments of 64 MiB, beside the other packages' tests.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    passWithNoTests: true,
  },
});
