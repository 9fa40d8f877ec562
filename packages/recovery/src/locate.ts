import type { IoBackend } from "@stonewal/io";
import { frameTag, paddedFrameBytes } from "@stonewal/record";
import { RecoveryError } from "./errors.js";
import { FrameFeed, trimmed } from "./frame-feed.js";
import type { LogPlace, LogView } from "./model.js";
import { requireLsn } from "./record-batches.js";

/**
 * Finds the frame that holds the record `lsn`, which must be durable. Reads the log from the start of the record's segment on.
 *
 * Rejects with `WAL_ARGUMENT` for an LSN that is not durable, `WAL_TRIMMED` for one that is gone, and as `replay` at damage.
 */
export async function locate(io: IoBackend, view: LogView, lsn: number): Promise<LogPlace> {
  requireLsn(lsn, "lsn");
  const durable = view.durable();
  if (lsn > durable.lsn) {
    throw new RecoveryError("WAL_ARGUMENT", `LSN ${lsn} is not durable; the last that is is ${durable.lsn}`);
  }
  const firstLsn = view.segments()[0]?.preamble.firstLsn ?? 1;
  if (lsn < firstLsn) throw trimmed(lsn, firstLsn - 1);
  const feed = new FrameFeed(io, view, { from: lsn, unpack: false });
  try {
    for (
      let chunk = await feed.next(durable.frameNumber);
      chunk;
      chunk = await feed.next(durable.frameNumber)
    ) {
      for (const { header } of chunk.frames) {
        if (header.firstLsn > lsn || header.nextLsn <= lsn) continue;
        const { sequence, frameNumber, checksum } = header;
        const offset = header.offset + paddedFrameBytes(header.length, chunk.segment.preamble.blockBytes);
        const tag = frameTag(header);
        return { sequence, frameNumber, offset, checksum, tag, frameFirstLsn: header.firstLsn };
      }
      feed.release();
    }
  } finally {
    await feed.close();
  }
  throw new RecoveryError("WAL_CUT_AWAY", `LSN ${lsn} has been cut away`, { firstLsn: lsn });
}
