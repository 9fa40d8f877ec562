/**
 * Stable codes of what the writer throws and rejects with. Codes of the layers below (`IO_*`, `RECORD_*`, `DWB_*`, recovery's
 * `WAL_CORRUPT` and its kin) pass through unchanged, or are the `cause`.
 *
 * - `WAL_ARGUMENT`: a call or an option that is wrong in itself. Nothing changed.
 * - `WAL_BACKPRESSURE`: no room for the record at this moment; wait for `ready()` and append again. No LSN was given.
 * - `WAL_NO_SPACE`: the next segment can't be made because the disk is full. No LSN was given, everything acknowledged
 *   stays, and appending works again once there is space.
 * - `WAL_RECORD_TOO_LARGE`: a record, or an atomic batch, that no segment of this log can hold.
 * - `WAL_LSN_EXHAUSTED`: the last LSN has been given.
 * - `WAL_CLOSED`: the writer is closed or closing.
 * - `WAL_POISONED`: a write or a sync failed; `cause` is the first failure. Nothing will be acknowledged any more: open the
 *   log again, and recovery finds out what reached the disk.
 * - `WAL_LOCKED`: another writer has the log open. Its lock ends when it closes the log, or with its process; the file `lock` is never to be deleted.
 * - `WAL_NOT_FOUND`: there is no log in the directory, and `create` is false.
 * - `WAL_REMOTE_FILE_SYSTEM`: the directory is on a network file system, and `allowRemote` is not set.
 * - `WAL_NOT_NOW`: a blocking call that takes the event loop, because a new segment has to be begun first. Nothing is lost: wait for
 *   `sync()`, or for `commit(record)` where `commitNow` has refused the record; it has no LSN then.
 * - `WAL_UNSUPPORTED`: what was asked for can't be had here; the message says why.
 */
export type WalErrorCode =
  | "WAL_ARGUMENT"
  | "WAL_BACKPRESSURE"
  | "WAL_NO_SPACE"
  | "WAL_RECORD_TOO_LARGE"
  | "WAL_LSN_EXHAUSTED"
  | "WAL_CLOSED"
  | "WAL_POISONED"
  | "WAL_LOCKED"
  | "WAL_NOT_FOUND"
  | "WAL_REMOTE_FILE_SYSTEM"
  | "WAL_NOT_NOW"
  | "WAL_UNSUPPORTED";

export class WalError extends Error {
  override readonly name = "WalError";
  readonly code: WalErrorCode;

  constructor(code: WalErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
