import { resolve } from "node:path";
import {
  type EncryptionOptions,
  type InspectReport,
  inspectLog,
  type LogReader,
  type OpenReaderOptions,
  openReader as openLogReader,
  planRecovery,
  type RecoveryReport,
  type Tip,
  type VerifyReport,
  verifyLog,
} from "@stonewal/recovery";
import { type BackendChoice, pickBackend, withBackend } from "./backends.js";
import { checkDirectory } from "./open-wal.js";

/** Where a log lies. Nothing that takes only this changes anything on disk. */
export interface LogDirectory {
  readonly dir: string;
  /** Default `auto`. */
  readonly io?: BackendChoice | undefined;
  /** Path of the double-write buffer; default `<dir>/dwb`. */
  readonly dwbPath?: string | undefined;
  /** For an encrypted log. Without keys its structure can be looked at and repaired; its records can't be read. */
  readonly encryption?: EncryptionOptions | undefined;
}

/** A log that somebody remembers something of. */
export interface RememberedLog extends LogDirectory {
  /** What it has to hold, or else it is an older copy, or another history: `WAL_ROLLED_BACK`. `wal.tip` of an earlier time. */
  readonly atLeast?: Tip | undefined;
}

export type ReaderOptions = LogDirectory &
  Omit<OpenReaderOptions, "io" | "directory" | "dwbPath" | "encryption">;

/**
 * Opens a log for reading only, beside a running writer too. A back end made here is closed with the reader. Rejects with recovery's codes:
 * `WAL_NOT_FOUND`, or what is damaged unless `damaged` is `prefix`.
 */
export async function openReader(options: ReaderOptions): Promise<LogReader> {
  checkDirectory(options?.dir);
  const { dir, io: choice, ...rest } = options;
  const { io, owned } = pickBackend(choice, dir);
  let reader: LogReader;
  try {
    reader = await openLogReader({ ...rest, io, directory: resolve(dir) });
  } catch (error) {
    if (owned) await io.close();
    throw error;
  }
  if (owned) {
    const closeReader = reader.close.bind(reader);
    reader.close = async () => {
      await closeReader();
      await io.close();
    };
  }
  return reader;
}

/** Reads everything and reports what is damaged. Rejects only where the log can't be read at all. */
export async function verify(options: RememberedLog): Promise<VerifyReport> {
  checkDirectory(options?.dir);
  return withBackend(options.io, options.dir, (io) => verifyLog(location(options, io)));
}

/**
 * What opening for writing would do. `undefined` where there is no log. Rejects as opening would. Beside a running writer nothing needs to be put
 * right but what is damaged: what that has in flight, and its files, are left out.
 */
export async function planRepair(options: RememberedLog): Promise<RecoveryReport | undefined> {
  checkDirectory(options?.dir);
  return withBackend(options.io, options.dir, (io) =>
    planRecovery({ ...location(options, io), structureOnly: true }),
  );
}

/** What is where in the log, handed to `use`, which may read its list of frames. Resolves to what `use` does. */
export async function inspect<T>(
  options: RememberedLog,
  use: (report: InspectReport) => Promise<T>,
): Promise<T> {
  checkDirectory(options?.dir);
  return withBackend(options.io, options.dir, async (io) => use(await inspectLog(location(options, io))));
}

function location<T>(options: RememberedLog, io: T) {
  const { dir, dwbPath, encryption, atLeast } = options;
  return { io, directory: resolve(dir), dwbPath, encryption, atLeast };
}
