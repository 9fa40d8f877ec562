import type { IoBackend } from "@stonewal/io";
import type { LogRecord } from "@stonewal/record";
import type { FrameFeed } from "./frame-feed.js";
import type { LogView, ReplayOptions } from "./model.js";
import {
  firstWanted,
  heeding,
  RecordIterator,
  RecordSelection,
  requireLsn,
  withFeed,
} from "./record-batches.js";

/**
 * The records of a log in LSN order, from `from` to `to`. Memory stays bounded by a few chunks, however long the log is;
 * payloads are views of memory that nothing else uses, so they may be kept (a payload kept keeps its chunk).
 *
 * Throws at once `WAL_ARGUMENT`, or `WAL_TRIMMED` for a `from` below the first LSN that is there. The iteration rejects with
 * `WAL_UNKNOWN_TYPE` at a required type that `knownTypes` denies, `WAL_TRIMMED` or `WAL_CUT_AWAY` where the log was freed or cut
 * under it, `WAL_CORRUPT` or `WAL_UNREADABLE` at damage, and with the signal's reason when that aborts.
 */
export function replay(
  io: IoBackend,
  view: LogView,
  options: ReplayOptions = {},
): AsyncIterableIterator<LogRecord> {
  const wanted = heeding(batches(io, view, options), options.signal, () => iterator.drop());
  const iterator = new RecordIterator(wanted);
  return iterator;
}

/** The same, some frames' records at a time: one promise per batch instead of one per record. */
export function replayBatches(
  io: IoBackend,
  view: LogView,
  options: ReplayOptions = {},
): AsyncIterableIterator<LogRecord[]> {
  return batches(io, view, options);
}

/** Not a generator itself: where the log ends is decided when it is called. */
function batches(
  io: IoBackend,
  view: LogView,
  options: ReplayOptions,
): AsyncGenerator<LogRecord[], void, undefined> {
  const from = firstWanted(view, options);
  if (options.to !== undefined && options.to !== 0) requireLsn(options.to, "to");
  const durable = view.durable();
  const to = Math.min(options.to ?? durable.lsn, durable.lsn);
  const damage = options.to === undefined || options.to > durable.lsn ? view.damage?.() : undefined;
  return withFeed(io, view, options, from, async function* (feed: FrameFeed) {
    const selection = new RecordSelection(options, from, to);
    while (from <= to && !selection.ended) {
      options.signal?.throwIfAborted();
      const chunk = await feed.next(durable.frameNumber);
      if (chunk === undefined) break;
      const records = selection.take(chunk);
      if (records.length > 0) yield records;
      else feed.release();
    }
    options.signal?.throwIfAborted();
    if (selection.unknown !== undefined) throw selection.unknown;
    if (damage !== undefined && !selection.pastTime) throw damage;
  });
}
