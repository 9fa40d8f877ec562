import { createRequire } from "node:module";
import { COMPRESSION_ALGORITHMS } from "@stonewal/record";
import { Command, CommanderError, Option } from "commander";
import { backendNames } from "../backends.js";
import { append } from "./append.js";
import { cat } from "./cat.js";
import { dwbPathOption } from "./dwb-path.js";
import { EXIT, type ExitCode, exitCodeOf } from "./exit-codes.js";
import { CliError, reportFailure } from "./failure.js";
import { inspect } from "./inspect.js";
import { keygen } from "./keygen.js";
import { acceptUnencryptedOption, keyFileOption } from "./keys.js";
import { positiveInteger, u32 } from "./numbers.js";
import { repair } from "./repair.js";
import { rotate } from "./rotate.js";
import { atLeastOption } from "./tip.js";
import { verify } from "./verify.js";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

const EXIT_CODES = `
Exit codes, the same for every command:
  0  fine
  1  something that was acknowledged is damaged or missing
  2  a wrong call, or a log that can't be opened (not there, not a log, another writer has it, another file in its buffer's place)

Failures are one line on standard error: "stonewal: CODE: message", with --json {"error":{"code","message",...}}.`;

const DIR = "directory of the log";
const JSON_OUTPUT = "print JSON";

/** Runs the command line; resolves to the exit code. Never rejects. */
export async function run(args: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = EXIT.fine;
  const program = makeProgram((result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.fine;
    reportFailure(error instanceof CommanderError ? usageError(error) : error, wantsJson(args));
    return exitCodeOf(error);
  }
}

function makeProgram(ended: (code: ExitCode) => void): Command {
  /** What a command resolves to is the exit code. */
  const ending =
    <O>(command: (dir: string, options: O) => Promise<ExitCode>) =>
    async (dir: string, options: O) =>
      ended(await command(dir, options));

  const program = new Command("stonewal")
    .description("A durable write-ahead log: append to it, read it, check it, put it right.")
    .usage("[options] <command>")
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .addHelpText("after", EXIT_CODES)
    .helpCommand("help [command]", "display help for command")
    .argument("[command]")
    .action((name: string | undefined) => {
      const what = name === undefined ? "no command" : `unknown command '${name}'`;
      throw new CliError("CLI_USAGE", `${what}; stonewal --help lists them`);
    })
    .allowExcessArguments(true);

  program
    .command("append")
    .summary("append standard input, one record per line")
    .description(
      "Appends standard input to the log in DIR, creating it if need be: one record per line, the newline not included, bytes as " +
        'they are. Prints "durable LSN" each time everything up to that LSN has become durable, never before. Ends with 0 when ' +
        "everything is durable.",
    )
    .argument("<DIR>", DIR)
    .option("--io <NAME>", `back end: ${backendNames().join(", ")}`, "auto")
    .addOption(
      new Option("--dwb <MODE>", "double-write buffer (default: as the log is written)").choices([
        "off",
        "buffered",
        "direct",
        "auto",
      ]),
    )
    .addOption(
      new Option(
        "--ack <SYNC>",
        "whose sync makes a record durable: the log's own, or the buffer's (default: wal)",
      ).choices(["wal", "dwb"]),
    )
    .addOption(new Option("--buffered", "write through the page cache").conflicts("direct"))
    .addOption(new Option("--direct", "write past the page cache (default: where the file system can)"))
    .option("--type <N>", "type of the records, 0 to 0xffffffff (default: 0)", u32)
    .option(
      "--sync-every <N>",
      "sync after every N records (default: whatever has been read, as soon as the disk is free)",
      positiveInteger,
    )
    .addOption(dwbPathOption())
    .addOption(keyFileOption())
    .addOption(acceptUnencryptedOption())
    .addOption(
      new Option(
        "--compress <ALGORITHM>",
        "compress frames where that saves a block (default: don't)",
      ).choices(COMPRESSION_ALGORITHMS),
    )
    .addOption(atLeastOption())
    .option("--tip", 'print "tip LSN" at the end, of an encrypted log "tip LSN:TAG": what --at-least takes')
    .action(ending(append));

  program
    .command("cat")
    .summary("print records")
    .description(
      "Prints the payloads of the log in DIR, a newline after each. Changes nothing on disk, and works beside a running writer. Where " +
        "acknowledged records are damaged it prints what precedes them and ends with 1.",
    )
    .argument("<DIR>", DIR)
    .option("--from <LSN>", "first record (default: the first that is there)", positiveInteger)
    .option("--to <LSN>", "last record (default: the last that is durable)", positiveInteger)
    .option(
      "--json",
      "print one object per line: lsn, type, tenant, shard, database, time (ms), payload (base64); integers above 2^53 - 1 are strings",
    )
    .addOption(dwbPathOption())
    .addOption(keyFileOption())
    .addOption(acceptUnencryptedOption())
    .addOption(atLeastOption())
    .action(ending(cat));

  program
    .command("verify")
    .summary("check everything, changing nothing")
    .description(
      "Reads all of the log in DIR and its double-write buffer. Ends with 0 when every acknowledged record is readable (an interrupted " +
        "write at the end is reported, and is no error; so is a frame that the double-write buffer makes good), with 1 when something is damaged, " +
        "with 2 when the records are readable and something that is no double-write buffer lies in its place, which has to be moved away.",
    )
    .argument("<DIR>", DIR)
    .option(
      "--json",
      `${JSON_OUTPUT}: records, firstLsn, lastLsn, segments, bytes, tornTail, corruption, dwb, ...`,
    )
    .addOption(dwbPathOption())
    .addOption(keyFileOption())
    .addOption(acceptUnencryptedOption())
    .addOption(atLeastOption())
    .action(ending(verify));

  program
    .command("repair")
    .summary("do what opening for writing would do")
    .description(
      "Does what opening the log in DIR for writing would do before it appends: puts back what the double-write buffer has, clears an " +
        "interrupted write, renews damaged copies. Where acknowledged records are damaged beyond that it changes nothing and ends with 1, and where opening would be " +
        "refused for another reason, with 2.",
    )
    .argument("<DIR>", DIR)
    .option("--dry-run", "only tell what would be done")
    .option(
      "--salvage <TO>",
      "instead: copy every intact record into a new log in TO, leaving this one untouched",
    )
    .option("--json", JSON_OUTPUT)
    .addOption(dwbPathOption())
    .addOption(keyFileOption())
    .addOption(acceptUnencryptedOption())
    .addOption(atLeastOption().conflicts("salvage"))
    .action(ending(repair));

  program
    .command("inspect")
    .summary("show segments, frames, and double-write buffer")
    .description(
      "Shows what the log in DIR is made of: segments, frames with their LSNs and padding, slots of the double-write buffer. Changes nothing.",
    )
    .argument("<DIR>", DIR)
    .option("--json", JSON_OUTPUT)
    .addOption(dwbPathOption())
    .addOption(keyFileOption())
    .addOption(acceptUnencryptedOption())
    .addOption(atLeastOption())
    .action(ending(inspect));

  program
    .command("rotate")
    .summary("go over to another key")
    .description(
      "Begins a segment of the encrypted log in DIR that is written with the first key given. What is older keeps its key, which is needed too, until a " +
        "checkpoint has freed it. With --accept-unencrypted it makes a log that isn't encrypted go on encrypted.",
    )
    .argument("<DIR>", DIR)
    .addOption(dwbPathOption())
    .addOption(keyFileOption())
    .addOption(acceptUnencryptedOption())
    .addOption(atLeastOption())
    .action(ending(rotate));

  program
    .command("keygen")
    .summary("make a key")
    .description(
      "Writes a new key, 32 random bytes, into FILE, which must not be there yet and which only its owner can read.",
    )
    .argument("<FILE>", "where to")
    .action(ending(keygen));

  for (const command of program.commands) command.allowExcessArguments(false);
  return program;
}

function usageError(error: CommanderError): CliError {
  // `help` of something that is no command.
  if (error.code === "commander.help") {
    return new CliError("CLI_USAGE", "no such command; stonewal --help lists them");
  }
  return new CliError("CLI_USAGE", error.message.replace(/^error: /, ""));
}

/** Also where the call is too wrong to be parsed. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end).includes("--json");
}
