import type { IoBackend } from "@stonewal/io";
import { FRAMES_START, preambleTag } from "@stonewal/record";
import { type LogPlace, type LogView, locate } from "@stonewal/recovery";
import type { AnchorFile } from "./anchor-file.js";
import { WalError } from "./errors.js";
import { channels } from "./events.js";
import type { FrameAssembler } from "./frame-assembler.js";
import type { GroupCommit } from "./group-commit.js";
import type { Holds } from "./holds.js";
import type { HomeWrites } from "./home-writes.js";
import { checkLsn } from "./lsn.js";
import type { NextSegment } from "./next-segment.js";
import type { LiveSegment, SegmentStart, SegmentStore } from "./segment-store.js";
import type { Counters } from "./stats.js";
import type { Witnesses } from "./witnesses.js";

export interface LogEndsOptions {
  readonly io: IoBackend;
  readonly directory: string;
  readonly store: SegmentStore;
  readonly anchor: AnchorFile;
  readonly counters: Counters;
  readonly assembler: FrameAssembler;
  readonly commits: GroupCommit;
  readonly home: HomeWrites;
  readonly nextSegment: NextSegment;
  readonly witnesses: Witnesses;
  readonly holds: Holds;
  readonly view: LogView;
  /** Throws where the log can't be written (any more). */
  readonly checkUsable: () => void;
  /** Appending may go on. */
  readonly onResume: () => void;
  /** What readers see has changed. */
  readonly onChange: () => void;
}

interface CutPlace extends Pick<LogPlace, "sequence" | "frameNumber" | "offset" | "checksum" | "tag"> {
  /** Tag of the frame with the last record that is kept. */
  readonly recordsTag: Uint8Array | undefined;
}

/** Moves the ends of the log: frees its beginning, ends its active segment, cuts off its end. One at a time. */
export class LogEnds {
  readonly #options: LogEndsOptions;
  #trimLsn: number;
  #paused = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: LogEndsOptions, trimLsn: number) {
    this.#options = options;
    this.#trimLsn = trimLsn;
  }

  get trimLsn(): number {
    return this.#trimLsn;
  }

  /** Appending waits while the log stands still. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Runs `work` when nothing else moves the ends. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** For what runs `alone`: everything appended before is durable in its place when `work` begins, and nothing more is appended until it has ended. */
  async still(work: () => Promise<void>): Promise<void> {
    this.#paused = true;
    try {
      await this.#options.commits.drain();
      await work();
    } finally {
      this.#paused = false;
      this.#options.onResume();
    }
  }

  /** See `Wal.checkpoint`. */
  checkpoint(lsn: number): Promise<number> {
    const { checkUsable, commits, home, store, counters, directory, witnesses, nextSegment } = this.#options;
    return this.alone(async () => {
      checkUsable();
      if (lsn > this.#trimLsn) {
        // A trim point never runs ahead of the log's own files.
        if (lsn > home.point.lsn) await commits.bringHome();
        await this.writeAnchor(lsn);
        this.#trimLsn = lsn;
      }
      const freed = this.#freeable();
      await store.free(freed).catch((error: unknown) => {
        commits.fail(error);
        throw error;
      });
      counters.checkpoints += 1;
      channels.checkpoint.publish({ directory, lsn, freed: freed.length });
      if (freed.length > 0) {
        if (witnesses.openPending) witnesses.open();
        nextSegment.spaceFreed();
        this.#options.onResume();
        this.#options.onChange();
      }
      return freed.length;
    });
  }

  /** Whole segments below the trim point that nobody holds; never the active one, nor one that waits to be written. */
  #freeable(): LiveSegment[] {
    const { holds, store } = this.#options;
    const keepFrom = holds.keepFrom(this.#trimLsn, store.live);
    const freeable: LiveSegment[] = [];
    for (const segment of store.live.slice(0, -1)) {
      if (segment.lastLsn > Math.min(this.#trimLsn, keepFrom)) break;
      freeable.push(segment);
    }
    return freeable;
  }

  async writeAnchor(trimLsn = this.#trimLsn): Promise<void> {
    const { anchor, commits, home, store } = this.#options;
    try {
      // What only the DWB has the anchor doesn't know of: its readers find everything in the log that it calls durable.
      await anchor.write(() => ({
        trimLsn,
        watermark: home.point.watermark,
        durableLsn: home.point.lsn,
        sequence: store.active.sequence,
      }));
    } catch (error) {
      commits.fail(error);
      throw commits.poison ?? error;
    }
  }

  /** See `Wal.seal`. */
  seal(): Promise<void> {
    const { checkUsable, commits, assembler, nextSegment } = this.#options;
    return this.alone(async () => {
      checkUsable();
      await commits.drain();
      if (assembler.atHead) return;
      assembler.roll(await nextSegment.obtain());
      await commits.drain();
    });
  }

  /** See `Wal.rotateKey`. */
  rotateKey(): Promise<void> {
    const { checkUsable, commits, assembler, nextSegment } = this.#options;
    return this.alone(async () => {
      checkUsable();
      if (assembler.keyIsOld) {
        await commits.drain();
        assembler.roll(await nextSegment.obtain());
      }
      // Appends may have begun segments with other keys by themselves, which then wait behind frames of the old ones.
      await commits.drain();
    });
  }

  /** See `Wal.truncateAfter`. */
  truncateAfter(lsn: number): Promise<void> {
    const { checkUsable, commits, assembler, witnesses, directory } = this.#options;
    return this.alone(async () => {
      checkUsable();
      this.#checkCut(lsn);
      await witnesses.ensureOpen();
      await commits.drain();
      if (lsn === assembler.nextLsn - 1) return;
      await this.still(async () => {
        await this.#cut(lsn);
        // The cut may have taken away the one there was.
        witnesses.open();
        await commits.drain();
      });
      channels.truncate.publish({ directory, lsn });
    });
  }

  #checkCut(lsn: number): void {
    const lowest = Math.max(this.#trimLsn, this.#oldest.firstLsn - 1);
    const { nextLsn } = this.#options.assembler;
    checkLsn(lsn);
    if (lsn >= lowest && lsn < nextLsn) return;
    throw new WalError(
      "WAL_ARGUMENT",
      `the log can be cut after LSN ${lowest} to ${nextLsn - 1}, not ${lsn}`,
    );
  }

  get #oldest(): LiveSegment {
    return this.#options.store.live[0] as LiveSegment;
  }

  async #cut(lsn: number): Promise<void> {
    const { assembler, commits, store, nextSegment } = this.#options;
    const place = await this.#placeAfter(lsn);
    const spare = await nextSegment.obtain();
    // Frame numbers are not given again: whatever still names one beyond the cut, in the DWB too, fits nowhere.
    const firstFrame = assembler.nextFrame;
    const sequence = assembler.highestSequence + 1;
    const start: SegmentStart = {
      sequence,
      firstLsn: lsn + 1,
      firstFrameNumber: firstFrame,
      previousSequence: place.sequence,
      previousFrameNumber: place.frameNumber,
      previousLsn: lsn,
      previousChecksum: place.checksum,
      previousEnd: place.offset,
      previousTag: place.tag,
    };
    try {
      const preamble = store.preambleFor(spare, start);
      await store.activate(spare, preamble);
      const { checksum: chain } = place;
      assembler.restart(
        {
          offset: FRAMES_START,
          frameNumber: firstFrame,
          nextLsn: lsn + 1,
          chain,
          tag: preambleTag(preamble),
        },
        preamble,
      );
      commits.restart({ lsn, tag: place.recordsTag });
      const kept = store.live.find((segment) => segment.sequence === place.sequence) as LiveSegment;
      kept.lastLsn = lsn;
      kept.end = place.offset;
      const cutAway = store.live.filter(
        (segment) => segment.sequence > place.sequence && segment.sequence < sequence,
      );
      await this.writeAnchor();
      await store.free(cutAway);
      this.#options.onChange();
    } catch (error) {
      commits.fail(error);
      throw commits.poison ?? error;
    }
  }

  async #placeAfter(lsn: number): Promise<CutPlace> {
    const oldest = this.#oldest;
    if (lsn >= oldest.firstLsn) {
      const place = await locate(this.#options.io, this.#options.view, lsn);
      return { ...place, recordsTag: place.tag };
    }
    // Nothing remains: the log ends where its oldest segment begins.
    const { sequence, preamble } = oldest;
    return {
      sequence,
      frameNumber: preamble.firstFrameNumber - 1,
      offset: FRAMES_START,
      checksum: preamble.previousChecksum,
      tag: preambleTag(preamble),
      recordsTag: undefined,
    };
  }
}
