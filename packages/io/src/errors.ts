/**
 * Stable codes of everything a back end can report. A code is part of the public interface: it never changes
 * its meaning, and callers branch on it rather than on the message.
 *
 * - `IO_ALIGNMENT`: a region, offset or length is not a multiple of what the file needs.
 * - `IO_ARGUMENT`: a call that is wrong in itself (a negative offset, a region outside its arena).
 * - `IO_CLOSED`: the file, lock or back end is closed.
 * - `IO_EXISTS`: exclusive creation, or a rename, found something there.
 * - `IO_NOT_FOUND`: no such file or directory.
 * - `IO_NO_SPACE`: ENOSPC or EDQUOT.
 * - `IO_LOCKED`: another open file description holds the lock.
 * - `IO_FILE_LIMIT`: EFBIG, the file size limit of the process or file system.
 * - `IO_READ_FAILED`, `IO_WRITE_FAILED`, `IO_SYNC_FAILED`: the device or kernel refused (EIO and the like).
 * - `IO_SYNC_POISONED`: an earlier sync of this open file failed, so nothing written to it can be believed
 *   any more: the kernel may have dropped the dirty pages and would report success for the next sync.
 * - `IO_UNSUPPORTED`: this platform, kernel or file system cannot do what was asked for; the message says why.
 * - `IO_ACCESS`: EACCES, EPERM or EROFS.
 * - `IO_FAILED`: any other failure; `errno` and `syscall` say which.
 */
export type IoErrorCode =
  | "IO_ALIGNMENT"
  | "IO_ARGUMENT"
  | "IO_CLOSED"
  | "IO_EXISTS"
  | "IO_NOT_FOUND"
  | "IO_NO_SPACE"
  | "IO_LOCKED"
  | "IO_FILE_LIMIT"
  | "IO_READ_FAILED"
  | "IO_WRITE_FAILED"
  | "IO_SYNC_FAILED"
  | "IO_SYNC_POISONED"
  | "IO_UNSUPPORTED"
  | "IO_ACCESS"
  | "IO_FAILED";

export interface IoErrorDetails {
  /** The system's own name for the failure (`EIO`, `ENOSPC`), where there is one. */
  readonly errno?: string | undefined;
  /** The call that failed (`pwritev2`, `fdatasync`), where there is one. */
  readonly syscall?: string | undefined;
  readonly path?: string | undefined;
  /** Index, in the chain that was submitted, of the step that failed. No later step of it was started. */
  readonly step?: number | undefined;
  readonly cause?: unknown;
}

/** The only error a back end throws or rejects with. */
export class IoError extends Error {
  override readonly name = "IoError";
  readonly code: IoErrorCode;
  readonly errno: string | undefined;
  readonly syscall: string | undefined;
  readonly path: string | undefined;
  readonly step: number | undefined;

  constructor(code: IoErrorCode, message: string, details: IoErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.errno = details.errno;
    this.syscall = details.syscall;
    this.path = details.path;
    this.step = details.step;
  }
}

/** Which operation an errno came from: the same errno means different things to a read, a write and a sync. */
export type IoOperation = "read" | "write" | "sync" | "open" | "lock" | "rename" | "directory" | "probe";

const BY_ERRNO: Readonly<Record<string, IoErrorCode>> = {
  ENOSPC: "IO_NO_SPACE",
  EDQUOT: "IO_NO_SPACE",
  EFBIG: "IO_FILE_LIMIT",
  EEXIST: "IO_EXISTS",
  ENOTEMPTY: "IO_EXISTS",
  ENOENT: "IO_NOT_FOUND",
  ENOTDIR: "IO_NOT_FOUND",
  EACCES: "IO_ACCESS",
  EPERM: "IO_ACCESS",
  EROFS: "IO_ACCESS",
  EBADF: "IO_CLOSED",
  ENOSYS: "IO_UNSUPPORTED",
  EOPNOTSUPP: "IO_UNSUPPORTED",
};

const BY_OPERATION: Readonly<Partial<Record<IoOperation, IoErrorCode>>> = {
  read: "IO_READ_FAILED",
  write: "IO_WRITE_FAILED",
  sync: "IO_SYNC_FAILED",
};

/**
 * The code for an errno of an operation, so that every back end reports the same failure the same way.
 * A failed sync is always `IO_SYNC_FAILED`, whatever the errno: ENOSPC from fsync has lost data just as EIO has.
 */
export function ioErrorCode(errno: string, operation: IoOperation): IoErrorCode {
  if (operation === "sync" && errno !== "EBADF") return "IO_SYNC_FAILED";
  if (operation === "lock" && (errno === "EAGAIN" || errno === "EACCES")) return "IO_LOCKED";
  return BY_ERRNO[errno] ?? BY_OPERATION[operation] ?? "IO_FAILED";
}
