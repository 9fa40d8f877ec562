import type { Examination } from "./examine.js";
import { look } from "./look.js";
import type { LogLocation, SalvagedRecord, SalvageReport } from "./model.js";
import { replayBatches } from "./replay.js";
import { viewOf } from "./segment-refs.js";
import { survivors } from "./survivors.js";
import { verdictOn } from "./verify.js";

/** Every intact record of a damaged log, oldest first, and what is missing. */
export interface Salvage extends AsyncIterable<SalvagedRecord> {
  /** Complete once the iteration has ended. */
  report(): SalvageReport;
}

/**
 * Reads what can be read of a log, whatever has happened to it: first what precedes the damage, as a replay would give it, then every
 * record behind it that is intact beyond doubt. Never changes anything. The LSNs in a new log made of it are others behind a gap, so each
 * record comes with the one it had.
 *
 * Iterating rejects with `WAL_NOT_FOUND`, `WAL_MISSING_SEGMENT` (not one segment is left), `WAL_UNSUPPORTED_FORMAT`, `IoError`.
 */
export function salvage(options: LogLocation): Salvage {
  const tally = new Tally();
  return {
    report: () => tally.report(),
    [Symbol.asyncIterator]: () => records(options, tally),
  };
}

/** Counts what comes out, and so what does not. */
class Tally {
  #records = 0;
  #firstLsn: number | undefined;
  #lastLsn: number | undefined;
  readonly #missing: { firstLsn: number; lastLsn: number | undefined }[] = [];
  #corruption: SalvageReport["corruption"] = [];
  #knownLsn = 0;

  get next(): number | undefined {
    return this.#lastLsn === undefined ? undefined : this.#lastLsn + 1;
  }

  begin(found: Examination, live: boolean): void {
    this.#records = 0;
    this.#firstLsn = undefined;
    this.#missing.length = 0;
    this.#knownLsn = 0;
    this.#lastLsn = found.firstLsn - 1;
    this.#corruption = verdictOn(found, live).corruption;
  }

  /** False: this record has come already. */
  add(lsn: number): boolean {
    const expected = this.next!;
    if (lsn < expected) return false;
    if (lsn > expected) this.#missing.push({ firstLsn: expected, lastLsn: lsn - 1 });
    this.#firstLsn ??= lsn;
    this.#lastLsn = lsn;
    this.#records++;
    return true;
  }

  /** That it had been durable. */
  know(lsn: number): void {
    this.#knownLsn = Math.max(this.#knownLsn, lsn);
  }

  end(found: Examination): void {
    const { problems, listing, anchorFile } = found;
    const stated = problems.map(({ details }) => details.lastLsn ?? 0);
    const lastLsn = Math.max(this.#knownLsn, anchorFile.anchor?.durableLsn ?? 0, ...stated);
    const firstLsn = this.next!;
    const openEnded = problems
      .map(({ details }) => details)
      .filter((details) => details.lastLsn === undefined);
    const newest = listing.segments.at(-1)?.sequence ?? 0;
    // Nobody knows what a segment held that is gone from the end.
    const newestMissing = openEnded.some(({ sequence }) => sequence !== undefined && sequence > newest);
    if (lastLsn >= firstLsn && !newestMissing) this.#missing.push({ firstLsn, lastLsn });
    else if (newestMissing || openEnded.some((details) => details.firstLsn === firstLsn)) {
      this.#missing.push({ firstLsn, lastLsn: undefined });
    }
  }

  report(): SalvageReport {
    const lastLsn = this.#firstLsn === undefined ? undefined : this.#lastLsn;
    return {
      records: this.#records,
      firstLsn: this.#firstLsn,
      lastLsn,
      missing: [...this.#missing],
      corruption: this.#corruption,
    };
  }
}

async function* records(options: LogLocation, tally: Tally): AsyncGenerator<SalvagedRecord, void, undefined> {
  const { found, live } = await look(options);
  try {
    tally.begin(found, live);
    for await (const batch of replayBatches(options.io, viewOf(found, live))) {
      for (const record of batch) if (tally.add(record.lsn)) yield { record, originalLsn: record.lsn };
    }
    if (found.problems.length > 0) {
      for await (const batch of survivors(found, (lsn) => tally.know(lsn))) {
        for (const record of batch) if (tally.add(record.lsn)) yield { record, originalLsn: record.lsn };
      }
      tally.end(found);
    }
  } finally {
    found.keys.destroy();
  }
}
