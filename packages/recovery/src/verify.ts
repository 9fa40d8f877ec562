import { hex } from "./directory.js";
import { type Examination, foreignDwb } from "./examine.js";
import { look } from "./look.js";
import type { Corruption, DwbReport, EncryptionReport, VerifyOptions, VerifyReport } from "./model.js";
import { placeOf, tornTailOf } from "./report.js";

/**
 * Reads everything there is of a log and says what is wrong with it, changing nothing. Damage does not make it reject: it is
 * listed. Beside a running writer it covers what the log itself says is durable.
 *
 * Rejects with `WAL_NOT_FOUND` where there is no log (`WAL_ROLLED_BACK` where `atLeast` says that there was), `WAL_MISSING_SEGMENT` where only traces of one are left,
 * `WAL_UNSUPPORTED_FORMAT`, and a back end's `IoError` (no permission).
 */
export async function verifyLog(options: VerifyOptions): Promise<VerifyReport> {
  const { found, live } = await look({ ...options, structureOnly: true });
  found.keys.destroy();
  return verdictOn(found, live);
}

export function verdictOn(found: Examination, live: boolean): VerifyReport {
  const { firstLsn, segments } = found;
  const foreign = live ? undefined : foreignDwb(found);
  const problems = [...found.problems, ...(foreign === undefined ? [] : [foreign])].map(
    ({ code, message, details: { cause: _, ...details } }): Corruption => ({
      code,
      message,
      ...details,
      repairable: false,
    }),
  );
  const lastLsn = live
    ? Math.max(found.durable.point.lsn, firstLsn - 1)
    : Math.max(found.position.nextLsn - 1, firstLsn - 1);
  // What a writer at work is about to complete is not torn.
  const tail = live ? undefined : tornTailOf(found);
  return {
    records: lastLsn - firstLsn + 1,
    firstLsn,
    lastLsn,
    segments: segments.length,
    frames: found.frames,
    bytes: segments.reduce((sum, { walked }) => sum + walked.preamble.segmentBytes, 0),
    closedCleanly: found.closedCleanly,
    tornTail: !live && (tail !== undefined || found.unfinished.length > 0),
    tail,
    corruption: [...problems, ...found.repairable],
    dwb: dwbReport(found),
    encryption: encryptionReport(found),
    tip: live || found.problems.length > 0 ? undefined : found.tip,
  };
}

function encryptionReport({ walk, keys, anchorFile }: Examination): EncryptionReport | undefined {
  const ids = walk.run.map(({ preamble }) => preamble.encryption?.keyId);
  // The anchor may have been written with a key that no segment has, or has any more.
  const all = [...ids, anchorFile.anchor?.encryption?.keyId];
  const keyIds = [...new Set(all.filter((id) => id !== undefined))];
  if (keyIds.length === 0) return undefined;
  const unencryptedSegments = ids.filter((id) => id === undefined).length;
  return { keyIds, unchecked: keys.unchecked, unencryptedSegments };
}

function dwbReport(found: Examination): DwbReport {
  const { dwb, dwbPath: path } = found;
  if (dwb === undefined) {
    return {
      present: false,
      path,
      headerIntact: false,
      slots: 0,
      images: 0,
      damaged: 0,
      unreadable: 0,
      restores: [],
    };
  }
  return {
    present: true,
    path,
    id: dwb.id && hex(dwb.id),
    headerIntact: dwb.headerIntact,
    slots: dwb.slots,
    images: [...dwb].length,
    damaged: dwb.damagedSlots.length,
    unreadable: dwb.unreadableSlots.length,
    restores: found.restores.map((restore) => placeOf(restore.path, restore.header)),
  };
}
