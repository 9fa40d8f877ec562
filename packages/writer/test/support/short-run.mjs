// A short life of a log on a real disk, the same every time: commits of every size, a batch, segments that roll, a
// checkpoint, a cut, a close. Tells `onAcknowledged` of every LSN that was reported durable.
import { openLog } from "../../dist/index.js";

export const SHORT_RUN_MODE = {
  segmentBytes: 262_144,
  frameBytes: 65_536,
  bufferBytes: 262_144,
  idleMs: 0,
  dwb: { slots: 4, slotBytes: 8192 },
};

// Enough for three segments, the last in the file of one that the checkpoint has freed, and not more: every call is a run of its own.
export const RECORDS = 16;
const CHECKPOINT_AT = 8;

export function payloadOf(lsn) {
  const payload = Buffer.alloc(lsn % 2 === 0 ? 30_000 : lsn % 7 === 0 ? 5000 : 60, lsn);
  payload.writeUInt32LE(lsn, 0);
  return payload;
}

/** `ack`: what acknowledges, `wal` or `dwb`. */
export async function shortRun(io, directory, onAcknowledged, ack = "wal") {
  const wal = await openLog({ io, directory, ...SHORT_RUN_MODE, ack });
  try {
    while (wal.nextLsn <= RECORDS) {
      const lsn = wal.nextLsn;
      if (lsn % 5 === 0) {
        const batch = await wal.commitBatch([{ payload: payloadOf(lsn) }, { payload: payloadOf(lsn + 1) }]);
        onAcknowledged(batch.lastLsn);
      } else {
        onAcknowledged(await wal.commit({ payload: payloadOf(lsn) }));
      }
      if (lsn === CHECKPOINT_AT) await wal.checkpoint(lsn);
    }
    // What is cut away is written again, the same.
    if (wal.nextLsn === RECORDS + 1) {
      wal.append({ payload: Buffer.from("cut away") });
      await wal.truncateAfter(RECORDS);
    }
  } finally {
    await wal.close();
  }
}

/** Opens the log as it was left and compares: everything acknowledged is there, everything there was attempted. */
export async function checkLog(io, directory, acknowledged) {
  const wal = await openLog({ io, directory, ...SHORT_RUN_MODE });
  try {
    let next;
    for await (const record of wal.read()) {
      if (next !== undefined && record.lsn !== next) throw new Error(`LSN ${next} is missing`);
      if (next === undefined && record.lsn > CHECKPOINT_AT + 1)
        throw new Error(`records before ${record.lsn} are gone`);
      const cutAway =
        record.lsn === RECORDS + 1 && Buffer.from(record.payload).equals(Buffer.from("cut away"));
      if (!cutAway && !payloadOf(record.lsn).equals(record.payload))
        throw new Error(`LSN ${record.lsn} differs`);
      next = record.lsn + 1;
    }
    const last = wal.nextLsn - 1;
    if (next === undefined ? last > wal.trimLsn : next !== last + 1)
      throw new Error(`LSN ${next} to ${last} are missing`);
    if (last < acknowledged) throw new Error(`LSN ${acknowledged} was acknowledged; the log ends at ${last}`);
    // Batches begin at LSNs that 5 divides.
    if (last > 0 && last % 5 === 0 && last < RECORDS)
      throw new Error(`half of the batch at LSN ${last} is there`);
    return last;
  } finally {
    await wal.close();
  }
}
