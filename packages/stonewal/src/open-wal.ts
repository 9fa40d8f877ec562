import { openLog, type Wal, WalError, type WalOptions } from "@stonewal/writer";
import { type BackendChoice, pickBackend } from "./backends.js";

export interface OpenWalOptions extends Omit<WalOptions, "io" | "directory" | "ownsIo"> {
  /** The log's own directory. Created, with its parents, unless `create` is false. */
  readonly dir: string;
  /** Default `auto`: the best back end that works here. `wal.io.name` says which it is, and so does `stonewal:backend`. */
  readonly io?: BackendChoice;
}

/**
 * Opens the log in `dir` for writing, creating it where there is none. Resolves when everything that survived is durable and the
 * log is ready for its next record. A back end made here is closed with the log; one handed in stays its owner's.
 *
 * Rejects with `WAL_ARGUMENT` for an option that is wrong (an unknown back end included), `WAL_UNSUPPORTED` where no back end works,
 * and as `openLog` does: `WAL_LOCKED`, `WAL_NOT_FOUND`, `WAL_NO_SPACE`, `WAL_REMOTE_FILE_SYSTEM`, recovery's codes where acknowledged
 * records are damaged (then nothing has been changed), and the back end's `IO_*`.
 */
export async function openWal(options: OpenWalOptions): Promise<Wal> {
  checkDirectory(options?.dir);
  const { dir, io: choice, ...rest } = options;
  const { io, owned } = pickBackend(choice, dir);
  return openLog({ ...rest, directory: dir, io, ownsIo: owned });
}

/** Throws `WAL_ARGUMENT`. */
export function checkDirectory(dir: unknown): asserts dir is string {
  if (typeof dir !== "string" || dir === "") throw new WalError("WAL_ARGUMENT", "dir must be a path");
}
