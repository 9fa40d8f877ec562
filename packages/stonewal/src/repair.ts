import { resolve } from "node:path";
import { type IoBackend, IoError, type IoLock } from "@stonewal/io";
import { ANCHOR_NAME, LOCK_NAME, parseSegmentName } from "@stonewal/record";
import { missingLog, type RecoveryReport, recoverLog } from "@stonewal/recovery";
import { WalError } from "@stonewal/writer";
import { withBackend } from "./backends.js";
import { checkDirectory } from "./open-wal.js";
import type { RememberedLog } from "./reading.js";

/**
 * Does what opening for writing does before it appends: puts back frames from the double-write buffer, renews damaged copies of
 * preambles and anchor, clears an interrupted write, and removes files that belong to the log no more. Nothing is appended, not
 * even the frames that mark an open and a close. What it leaves, opening finds as it would have left it itself.
 *
 * Of an encrypted log without keys it repairs the structure, and leaves for the next opening what takes a key.
 *
 * Rejects with `WAL_NOT_FOUND`, `WAL_ROLLED_BACK`, `WAL_LOCKED`, `DWB_DAMAGED`, and recovery's codes where acknowledged records are damaged beyond that; then nothing has
 * been changed.
 */
export async function repair(options: RememberedLog): Promise<RecoveryReport> {
  checkDirectory(options?.dir);
  const dir = resolve(options.dir);
  const { dwbPath, encryption, atLeast } = options;
  return withBackend(options.io, dir, async (io) => {
    await checkHoldsLog(io, options, dir);
    const lock = await lockLog(io, dir);
    try {
      const recovered = await recoverLog({
        io,
        directory: dir,
        dwbPath,
        encryption,
        atLeast,
        structureOnly: true,
      });
      if (recovered === undefined) throw missingLog(dir, options.atLeast);
      return recovered.report;
    } finally {
      await lock.release();
    }
  });
}

/** Locking creates the lock's file: not in a directory that has nothing to do with a log. */
async function checkHoldsLog(io: IoBackend, options: RememberedLog, dir: string): Promise<void> {
  const names = await io.list(dir).catch((error: unknown) => {
    if (error instanceof IoError && error.code === "IO_NOT_FOUND") throw missingLog(dir, options.atLeast);
    throw error;
  });
  const ofLog = (name: string) => name === ANCHOR_NAME || parseSegmentName(name) !== undefined;
  if (!names.some(ofLog)) throw missingLog(dir, options.atLeast);
}

async function lockLog(io: IoBackend, dir: string): Promise<IoLock> {
  return io.lock(`${dir}/${LOCK_NAME}`).catch((error: unknown) => {
    if (!(error instanceof IoError) || error.code !== "IO_LOCKED") throw error;
    throw new WalError(
      "WAL_LOCKED",
      `another writer has ${dir} open; its lock ends when it closes the log, or when its process ends`,
      error,
    );
  });
}
