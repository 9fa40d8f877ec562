import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";

export interface CommandLine {
  readonly quick: boolean;
  /** Where the results go, as JSON. */
  readonly out: string;
  /** Where the logs' temporary directory is made: this is the disk that is measured. */
  readonly parent: string;
}

const BENCH = fileURLToPath(new URL("..", import.meta.url));

/** Prints help or what is wrong, and ends the process, where the arguments ask for that. */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const options = new Command("npm run bench --")
    .description("Runs the same commits on each back end and as bare system calls, in turns, and compares.")
    .option("--quick", "fewer and shorter rounds: a first look, not a result", false)
    .option("--out <file>", "where the results go as JSON; default: bench/results/latest.json")
    .option("--in <dir>", "where the logs are written; default: this repository's disk")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse(argv, { from: "user" })
    .opts<{ quick: boolean; out?: string; in?: string }>();
  return {
    quick: options.quick,
    out: options.out === undefined ? path.join(BENCH, "results", "latest.json") : fromInvoker(options.out),
    parent: options.in === undefined ? BENCH : fromInvoker(options.in),
  };
}

/** npm runs scripts in the workspace's root; a relative path is meant from where npm was called. */
function fromInvoker(file: string): string {
  return path.resolve(process.env.INIT_CWD ?? process.cwd(), file);
}
