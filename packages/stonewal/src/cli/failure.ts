import { RecoveryError } from "@stonewal/recovery";
import { colorsFor } from "./colors.js";
import { DWB_ELSEWHERE } from "./wording.js";

/**
 * Failures of the command line itself; those of the log have the log's own codes.
 *
 * - `CLI_USAGE`: a wrong call.
 * - `CLI_INPUT`: standard input could not be read to its end.
 * - `CLI_OUTPUT`: standard output could not be written.
 * - `CLI_INTERRUPTED`: a signal came before the end of the input.
 * - `CLI_INTERNAL`: a bug.
 */
export type CliErrorCode = "CLI_USAGE" | "CLI_INPUT" | "CLI_OUTPUT" | "CLI_INTERRUPTED" | "CLI_INTERNAL";

export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: CliErrorCode;

  constructor(code: CliErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** A failure, and what the person can do about it or needs to know besides. */
export class Hinted extends Error {
  readonly error: unknown;
  readonly hint: string;

  constructor(error: unknown, hint: string) {
    super(hint);
    this.error = error;
    this.hint = hint;
  }
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** Place of the damage: file, offset, sequence, frameNumber, firstLsn, lastLsn. */
  readonly [detail: string]: unknown;
}

/** What a failure says, with the place of the damage where it has one. Never a stack trace. */
function describe(thrown: unknown): Failure {
  const { error, hint: given } = thrown instanceof Hinted ? thrown : { error: thrown, hint: undefined };
  const { code, message }: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error));
  const hint = given ?? (code === "WAL_DWB_MISSING" ? DWB_ELSEWHERE : undefined);
  return {
    code: code ?? "CLI_INTERNAL",
    message: oneLine(message),
    ...(error instanceof RecoveryError ? error.details : {}),
    ...(hint === undefined ? {} : { hint }),
  };
}

/** On standard error: one line, or with `json` one object `{"error":{"code","message",...}}` on one line. */
export function reportFailure(thrown: unknown, json: boolean): void {
  const failure = describe(thrown);
  if (json) {
    process.stderr.write(`${JSON.stringify({ error: failure })}\n`);
    return;
  }
  const hint = failure.hint === undefined ? "" : ` (${failure.hint})`;
  process.stderr.write(
    `stonewal: ${colorsFor(process.stderr).red(failure.code)}: ${failure.message}${hint}\n`,
  );
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ").trim();
}
