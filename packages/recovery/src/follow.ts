import type { IoBackend } from "@stonewal/io";
import type { LogRecord } from "@stonewal/record";
import type { FrameFeed } from "./frame-feed.js";
import type { LogView, ReadOptions } from "./model.js";
import { firstWanted, heeding, RecordIterator, RecordSelection, withFeed } from "./record-batches.js";

/**
 * As `replay`, but goes on with what becomes durable: it ends when the loop is left, when `signal` aborts (without an
 * error: that is how to end it), or when the log is closed and everything has been delivered. `WAL_CUT_AWAY` where
 * `truncateAfter` took back records that had been delivered.
 */
export function follow(
  io: IoBackend,
  view: LogView,
  options: ReadOptions = {},
): AsyncIterableIterator<LogRecord> {
  const from = firstWanted(view, options);
  const ended = new AbortController();
  const batches = withFeed(io, view, options, from, (feed) =>
    batchesOf(feed, view, options, from, ended.signal),
  );
  const end = () => {
    iterator.drop();
    ended.abort();
  };
  const iterator = new RecordIterator(heeding(batches, options.signal, end), end);
  return iterator;
}

async function* batchesOf(
  feed: FrameFeed,
  view: LogView,
  options: ReadOptions,
  from: number,
  ended: AbortSignal,
): AsyncGenerator<LogRecord[], void, undefined> {
  const selection = new RecordSelection(options, from, Number.MAX_SAFE_INTEGER);
  let changed: Promise<void> | undefined;
  while (!ended.aborted) {
    const closed = view.closed();
    const chunk = await feed.next(view.durable().frameNumber);
    if (chunk !== undefined) {
      changed = undefined;
      const records = selection.take(chunk);
      if (records.length > 0) yield records;
      else feed.release();
      if (selection.unknown !== undefined) throw selection.unknown;
      continue;
    }
    const damage = view.damage?.();
    if (damage !== undefined) throw damage;
    if (closed) return;
    // Ask for the bell first, then look once more: what happens in between rings it.
    if (changed === undefined) changed = view.changed();
    else {
      await settledOr(changed, ended);
      changed = undefined;
    }
  }
}

/** Waits for `changed` or the signal. Leaves nothing behind on the signal, which may outlive many waits. */
function settledOr(changed: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", done, { once: true });
    changed.then(done, (error: unknown) => {
      signal.removeEventListener("abort", done);
      reject(error);
    });
  });
}
