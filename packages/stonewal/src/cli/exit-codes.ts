import { RecoveryError, type RecoveryErrorCode } from "@stonewal/recovery";
import { Hinted } from "./failure.js";

/** The same for every command. */
export const EXIT = {
  /** All is well. */
  fine: 0,
  /** Something that was acknowledged is damaged or missing. */
  damaged: 1,
  /** A wrong call, a log that can't be opened, or work that could not be finished. */
  failed: 2,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const DAMAGE: ReadonlySet<RecoveryErrorCode> = new Set<RecoveryErrorCode>([
  "WAL_CORRUPT",
  "WAL_MISSING_SEGMENT",
  "WAL_OVERLAP",
  "WAL_CUT_SHORT",
  "WAL_UNREADABLE",
  "WAL_DWB_MISSING",
  "WAL_TAMPERED",
  "WAL_REPLAYED",
  "WAL_ROLLED_BACK",
]);

export function exitCodeOf(thrown: unknown): ExitCode {
  const error = thrown instanceof Hinted ? thrown.error : thrown;
  return error instanceof RecoveryError ? exitCodeOfProblem(error.code) : EXIT.failed;
}

export function exitCodeOfProblem(code: RecoveryErrorCode): ExitCode {
  return DAMAGE.has(code) ? EXIT.damaged : EXIT.failed;
}
