#!/usr/bin/env node

/** Anything but 1, which says that records are damaged. */
const FAILED = 2;

function fail(error: unknown): void {
  const message = String(error instanceof Error ? error.message : error).replace(/\s*[\r\n]+\s*/g, " ");
  process.stderr.write(`stonewal: CLI_INTERNAL: ${message}\n`);
  process.exit(FAILED);
}

process.on("uncaughtException", fail);
// Commands watch what they write by themselves. Whoever stops reading the help, or a failure, is not to change the exit code.
process.stdout.on("error", () => undefined);
process.stderr.on("error", () => undefined);

// Loaded from here, so that a broken installation is a failure like any other.
import("./program.js").then(async ({ run }) => {
  process.exitCode = await run(process.argv.slice(2));
}, fail);
