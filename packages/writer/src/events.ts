import { channel } from "node:diagnostics_channel";

/**
 * `diagnostics_channel` channels. A message is a plain object that names the log's `directory` and never holds a payload.
 *
 * - `stonewal:open`: { directory, created, report }: opened; `report` is recovery's.
 * - `stonewal:flush`: { directory, frames, records, bytes, milliseconds, durableLsn }: a chain completed.
 * - `stonewal:segment`: { directory, sequence, firstLsn, name }: a segment became the active one.
 * - `stonewal:checkpoint`: { directory, lsn, freed }: a trim point is durable; `freed` segments went.
 * - `stonewal:truncate`: { directory, lsn }: a cut is durable.
 * - `stonewal:dwb`: { directory, protection, error? }: the answer to "am I protected?" changed.
 * - `stonewal:no-space`: { directory, error }: the next segment could not be prepared.
 * - `stonewal:poison`: { directory, error }: a write or sync failed; the writer is of no more use.
 * - `stonewal:close`: { directory, durableLsn }.
 */
export const channels = {
  open: channel("stonewal:open"),
  flush: channel("stonewal:flush"),
  segment: channel("stonewal:segment"),
  checkpoint: channel("stonewal:checkpoint"),
  truncate: channel("stonewal:truncate"),
  dwb: channel("stonewal:dwb"),
  noSpace: channel("stonewal:no-space"),
  poison: channel("stonewal:poison"),
  close: channel("stonewal:close"),
} as const;
