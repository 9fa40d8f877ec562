import type { LiveSegment } from "./segment-store.js";

/** Readers that still need what a checkpoint would free, and how much they may keep. */
export class Holds {
  readonly #maxBytes: number;
  readonly #positions = new Set<() => number>();

  /** `maxBytes` of segments are held back at most. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** `position` answers the LSN above which the reader still needs records. The function returned ends the hold. */
  add(position: () => number): () => void {
    this.#positions.add(position);
    return () => this.#positions.delete(position);
  }

  /** The LSN up to which segments may be freed as far as readers are concerned. */
  keepFrom(trimLsn: number, live: readonly LiveSegment[]): number {
    let needed = Number.POSITIVE_INFINITY;
    for (const position of this.#positions) needed = Math.min(needed, position());
    if (needed >= trimLsn) return needed;
    // Newest first: what exceeds the bound is no longer held, and its reader will be told `WAL_TRIMMED`.
    let held = 0;
    for (const segment of live.toReversed()) {
      if (segment.lastLsn > trimLsn) continue;
      held += segment.preamble.segmentBytes;
      if (held > this.#maxBytes) return Math.max(needed, segment.lastLsn);
    }
    return needed;
  }
}
