import { tmpdir } from "node:os";
import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { type BackendName, backendNames, type DwbMode } from "stonewal";
import { sampleFile } from "./sample-file.js";

export interface CommandLine {
  readonly file: string;
  /** Each gets a run of its own, and a column of the table. `undefined`: every one that works here. */
  readonly io: readonly ("auto" | BackendName)[] | undefined;
  readonly kills: number;
  readonly seed: number;
  /** `undefined`: as many as suit the file. */
  readonly committers: number | undefined;
  readonly dwb: DwbMode | undefined;
  readonly direct: boolean | undefined;
  readonly segmentBytes: number;
  /** Where the logs' temporary directory is made. */
  readonly parent: string;
  readonly keep: boolean;
}

/** Prints help or what is wrong, and ends the process, where the arguments ask for that. */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const program = new Command("npm start --")
    .description(
      "Writes a file to a log through a process that is killed again and again, and looks for a lost line.",
    )
    .argument("[file]", "the file; default: a large text file among this workspace's dependencies")
    .option(
      "--io <names>",
      `back ends, with commas between: ${backendNames().join(", ")}; default: all that work here`,
      names,
    )
    .option("--kills <n>", "how often the writer is killed", integer(0, 10_000), 10)
    .option(
      "--seed <n>",
      "of the moments it is killed at; default: a new one each time",
      integer(0, 2 ** 32 - 1),
    )
    .option(
      "--committers <n>",
      "how many commits wait for the disk at the same time; default: 64, fewer for a small file",
      integer(1, 4096),
    )
    .addOption(new Option("--dwb <mode>", "double-write buffer").choices(["off", "buffered", "direct"]))
    .addOption(
      new Option("--direct", "write past the page cache; default: where possible").conflicts("buffered"),
    )
    .option("--buffered", "write through the page cache")
    .option("--segment-bytes <n>", "size of a segment", integer(262_144, 2 ** 40), 4 * 1024 * 1024)
    .option("--in <dir>", "where the logs' temporary directory is made", tmpdir())
    .option("--keep", "keep the logs", false)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse(argv, { from: "user" });
  const options = program.opts();
  const [file] = program.args;
  return {
    file: file === undefined ? sampleFile() : fromInvoker(file),
    io: options.io,
    kills: options.kills,
    seed: options.seed ?? Math.floor(Math.random() * 2 ** 32),
    committers: options.committers,
    dwb: options.dwb,
    direct: options.buffered === true ? false : options.direct,
    segmentBytes: options.segmentBytes,
    parent: fromInvoker(options.in),
    keep: options.keep,
  };
}

/** npm runs scripts in the workspace's root; a relative path is meant from where npm was called. */
function fromInvoker(file: string): string {
  return path.resolve(process.env.INIT_CWD ?? process.cwd(), file);
}

function names(list: string): string[] {
  const known = backendNames();
  return list.split(",").map((name) => {
    if (known.includes(name)) return name;
    throw new InvalidArgumentError(`There are ${known.join(", ")}.`);
  });
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text !== "" && Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be an integer from ${min} to ${max}.`);
  };
}
