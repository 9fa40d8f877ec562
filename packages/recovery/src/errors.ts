/**
 * Stable codes of everything recovery can report. A code never changes its meaning; callers branch on it rather
 * than on the message. A back end's own failures (no permission, no such directory) stay `IoError`s.
 *
 * - `WAL_NOT_FOUND`: there is no log in this directory.
 * - `WAL_CORRUPT`: bytes that had been acknowledged are damaged, and no intact copy of them was found.
 * - `WAL_MISSING_SEGMENT`: a segment file that the log needs is not there.
 * - `WAL_OVERLAP`: two files claim to be the same segment, or a file belongs to another log.
 * - `WAL_CUT_SHORT`: a segment file is shorter than its preamble says.
 * - `WAL_UNREADABLE`: the device refuses to read a block that would decide between dropping and keeping.
 * - `WAL_DWB_MISSING`: the log acknowledged commits by a double-write buffer that is not at the path given, or by default in the log's directory.
 * - `DWB_DAMAGED`: what lies in the double-write buffer's place is not one. Records can be read; the log is not opened with a buffer until it has
 *   been moved away. The same code as that of `@stonewal/dwb`.
 * - `WAL_UNSUPPORTED_FORMAT`: written by a version, or with a feature, that this one does not know.
 * - `WAL_UNKNOWN_TYPE`: a replay met a record of a required type that the caller does not know.
 * - `WAL_TRIMMED`: the records asked for lie at or below the trim point, or a checkpoint freed them while they were read.
 * - `WAL_CUT_AWAY`: the records asked for, or already delivered, have been cut away by `truncateAfter`.
 * - `WAL_KEY_MISSING`: the log, or a part of it, is encrypted with a key that was not given; `keyId` names it.
 * - `WAL_KEY_WRONG`: the key given under this id is not the one the log was written with.
 * - `WAL_TAMPERED`: intact as far as checksums go, and not written by anyone who has the key: a frame, preamble or anchor was changed.
 * - `WAL_REPLAYED`: authentic, and not in its place: moved there from elsewhere in the log, from another copy of it, or from another time.
 * - `WAL_ROLLED_BACK`: the log does not hold what `atLeast` says that it held: an older copy, or one with another history.
 * - `WAL_NOT_ENCRYPTED`: keys were given, and the log is not encrypted.
 * - `WAL_CLOSED`: the reader, or the log that was being read, was closed.
 * - `WAL_ARGUMENT`: a call that is wrong in itself.
 */
export type RecoveryErrorCode =
  | "WAL_NOT_FOUND"
  | "WAL_CORRUPT"
  | "WAL_MISSING_SEGMENT"
  | "WAL_OVERLAP"
  | "WAL_CUT_SHORT"
  | "WAL_UNREADABLE"
  | "WAL_DWB_MISSING"
  | "DWB_DAMAGED"
  | "WAL_UNSUPPORTED_FORMAT"
  | "WAL_UNKNOWN_TYPE"
  | "WAL_TRIMMED"
  | "WAL_CUT_AWAY"
  | "WAL_KEY_MISSING"
  | "WAL_KEY_WRONG"
  | "WAL_TAMPERED"
  | "WAL_REPLAYED"
  | "WAL_ROLLED_BACK"
  | "WAL_NOT_ENCRYPTED"
  | "WAL_CLOSED"
  | "WAL_ARGUMENT";

/** Where, and what: as much of it as is known. */
export interface ErrorDetails {
  /** Path of the file concerned. */
  readonly file?: string | undefined;
  /** Byte offset in that file. */
  readonly offset?: number | undefined;
  /** Sequence of the segment concerned. */
  readonly sequence?: number | undefined;
  /** Number of the first frame that is missing. */
  readonly frameNumber?: number | undefined;
  /** First LSN that is missing or was asked for; absent where no record is. */
  readonly firstLsn?: number | undefined;
  /** Last LSN known to be missing; a damaged end may have held more. */
  readonly lastLsn?: number | undefined;
  /** Id of the key concerned. */
  readonly keyId?: number | undefined;
  readonly cause?: unknown;
}

/** What every function of this package throws or rejects with, besides a back end's `IoError`. */
export class RecoveryError extends Error {
  override readonly name = "RecoveryError";
  readonly code: RecoveryErrorCode;
  readonly details: Omit<ErrorDetails, "cause">;

  constructor(code: RecoveryErrorCode, message: string, details: ErrorDetails = {}) {
    const { cause, ...rest } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = rest;
  }
}
