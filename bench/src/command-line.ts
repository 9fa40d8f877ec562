import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import type { Experiment } from "./experiment.js";
import { experiments } from "./experiments/index.js";

export interface CommandLine {
  readonly quick: boolean;
  readonly rounds: number | undefined;
  /** What is to be run. */
  readonly experiments: readonly Experiment[];
  /** Where the results go, as JSON. */
  readonly out: string;
  /** Where everything is written: this is the disk that is measured. */
  readonly parent: string;
  /** Results whose figures and charts go into docs/performance.md; then nothing is measured. */
  readonly writeDocs: string | undefined;
}

const BENCH = fileURLToPath(new URL("..", import.meta.url));
const NAMES = experiments.map(({ name }) => name).join(", ");

/** Prints help or what is wrong, and ends the process, where the arguments ask for that. */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const options = new Command("npm run bench --")
    .description(
      "Commits, appends, replays and opens, by stonewal, by other stores, and as bare system calls, in turns, and compares.",
    )
    .option("--quick", "fewer and shorter rounds, smaller logs: a first look, not a result", false)
    .option("--only <experiments>", `comma-separated; of: ${NAMES}`, readExperiments, experiments)
    .option("--rounds <count>", "how often each side has its turn", readRounds)
    .option("--out <file>", "where the results go as JSON; default: bench/results/latest.json")
    .option("--in <dir>", "where everything is written; default: this repository's disk")
    .option(
      "--write-docs <file>",
      "measure nothing: put these results into docs/performance.md, and draw them",
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse(argv, { from: "user" })
    .opts<{
      quick: boolean;
      only: readonly Experiment[];
      rounds?: number;
      out?: string;
      in?: string;
      writeDocs?: string;
    }>();
  return {
    quick: options.quick,
    rounds: options.rounds,
    experiments: options.only,
    out: options.out === undefined ? path.join(BENCH, "results", "latest.json") : fromInvoker(options.out),
    parent: options.in === undefined ? BENCH : fromInvoker(options.in),
    writeDocs: options.writeDocs === undefined ? undefined : fromInvoker(options.writeDocs),
  };
}

function readExperiments(given: string): Experiment[] {
  const wanted = given.split(",").map((name) => name.trim());
  for (const name of wanted) {
    if (!experiments.some((experiment) => experiment.name === name)) {
      throw new InvalidArgumentError(`there is no ${JSON.stringify(name)}; there is ${NAMES}.`);
    }
  }
  return experiments.filter(({ name }) => wanted.includes(name));
}

function readRounds(given: string): number {
  const rounds = Number(given);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    throw new InvalidArgumentError("it must be an integer from 1 to 1,000.");
  }
  return rounds;
}

/** npm runs scripts in the workspace's root; a relative path is meant from where npm was called. */
function fromInvoker(file: string): string {
  return path.resolve(process.env.INIT_CWD ?? process.cwd(), file);
}
