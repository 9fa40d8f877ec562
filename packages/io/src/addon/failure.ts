import { constants } from "node:os";
import { IoError, type IoErrorDetails, type IoOperation, ioErrorCode } from "../errors.js";
import type { Done } from "./native.js";

/** Names by number. Some numbers have two names: the one that POSIX prefers wins. */
const ERRNO_NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, value]) => [value, name] as const),
  [constants.errno.EAGAIN, "EAGAIN"] as const,
  [constants.errno.EOPNOTSUPP, "EOPNOTSUPP"] as const,
]);

export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
}

/**
 * Starts a call of the addon. It throws for what cannot be checked before (an arena whose memory was detached, an
 * environment that is ending), and then has started nothing.
 */
export function startCall(start: () => void): IoError | undefined {
  try {
    start();
    return undefined;
  } catch (cause) {
    return argumentError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Runs one call of the addon to its end. Rejects with an `IoError` about `path`. */
export function complete<T>(path: string | undefined, start: (done: Done<T>) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const refused = startCall(() =>
      start((errno, operation, syscall, step, poisoned, value) => {
        if (errno === 0) resolve(value);
        else reject(failure(errno, operation, syscall, poisoned, path, step < 0 ? undefined : step));
      }),
    );
    if (refused !== undefined) reject(refused);
  });
}

/** The error for what the addon reports. */
export function failure(
  errno: number,
  operation: IoOperation,
  syscall: string,
  poisoned: boolean,
  path: string | undefined,
  step: number | undefined,
): IoError {
  const name = errnoName(errno);
  const details: IoErrorDetails = { errno: name, syscall: syscall || undefined, path, step };
  const where = `${path === undefined ? "" : `${path}: `}${step === undefined ? "" : `step ${step}: `}`;
  if (poisoned) {
    return new IoError(
      "IO_SYNC_POISONED",
      `${where}an earlier sync of this open file failed with ${name}; nothing written to it can be believed`,
      details,
    );
  }
  const code = ioErrorCode(name, operation);
  if (code === "IO_LOCKED") return new IoError(code, `${where}the lock is held elsewhere`, details);
  return new IoError(code, `${where}${syscall} failed with ${name}`, details);
}

/** The error for what node:fs reports. */
export function fsFailure(cause: unknown, operation: IoOperation, path: string): IoError {
  const { errno, syscall } = cause as NodeJS.ErrnoException;
  // Node has no portable names for some numbers (EDQUOT); the system's own name says which it was.
  const name = typeof errno === "number" ? errnoName(-errno) : undefined;
  if (name === undefined) {
    return new IoError("IO_ARGUMENT", `${path}: ${(cause as Error).message}`, { path, cause });
  }
  return new IoError(ioErrorCode(name, operation), `${path}: ${syscall} failed with ${name}`, {
    errno: name,
    syscall,
    path,
    cause,
  });
}

export function argumentError(message: string, details: IoErrorDetails = {}): IoError {
  return new IoError("IO_ARGUMENT", message, details);
}
