import type { Arena, IoBackend, IoFile } from "@stonewal/io";
import { IoError } from "@stonewal/io";
import { encodePreamble, FRAMES_START, type Preamble, segmentName, spareName } from "@stonewal/record";
import type { LiveSegment as RecoveredSegment } from "@stonewal/recovery";
import { WalError } from "./errors.js";
import type { LogPacking } from "./packing.js";
import type { Counters } from "./stats.js";

/** A segment of the live log; its end moves while it is the active one. */
export interface LiveSegment extends RecoveredSegment {
  lastLsn: number;
  end: number;
}

/** A file of full size that waits to become a segment. */
export interface Spare {
  readonly name: string;
  /** It was a segment before, so it isn't all zeros. */
  readonly recycled: boolean;
}

/** What a new segment states about itself and about the end of the log before it. */
export type SegmentStart = Pick<
  Preamble,
  | "sequence"
  | "firstLsn"
  | "firstFrameNumber"
  | "previousSequence"
  | "previousFrameNumber"
  | "previousLsn"
  | "previousChecksum"
  | "previousEnd"
> & {
  /** Tag of the frame or preamble it follows on; zeros where that isn't encrypted. */
  readonly previousTag: Uint8Array;
};

export interface SegmentStoreOptions {
  readonly io: IoBackend;
  readonly directory: string;
  readonly logId: Uint8Array;
  readonly incarnation: Uint8Array;
  readonly segmentBytes: number;
  readonly blockBytes: number;
  readonly direct: boolean;
  /** How many spares are kept at most; segments freed beyond that are removed. */
  readonly spareLimit: number;
  readonly packing: LogPacking;
  readonly counters: Counters;
}

/**
 * Zeros are written in pieces, each with its sync, so that a commit never waits behind more than one of them: some 0.2 ms of what a
 * disk writes. Larger ones when the log itself waits for the segment.
 */
const PIECE_BYTES = 256 * 1024;
const URGENT_PIECE_BYTES = 4 * 1024 * 1024;

/**
 * The files of a log: which are live, which wait as spares, and the steps, with their syncs, that turn one into the other.
 * A file has its segment name only while its size, contents and preamble are durable; a freed file isn't
 * written before its new name is.
 */
export class SegmentStore {
  readonly #options: SegmentStoreOptions;
  readonly #arena: Arena;
  readonly #spares: Spare[] = [];
  #nextSpare: number;
  #preparing: Promise<void> | undefined;
  /** Somebody waits for what is being prepared. */
  #urgent = false;
  #stopping = false;
  #activating = false;
  /** Live segments, oldest first. The last is the active one. */
  readonly live: LiveSegment[] = [];
  #active: IoFile | undefined;

  constructor(options: SegmentStoreOptions, found: { spares: readonly string[]; highestSpare: number }) {
    this.#options = options;
    this.#arena = options.io.arena(FRAMES_START);
    this.#nextSpare = found.highestSpare + 1;
    // Whether a spare from an earlier opening is all zeros isn't known any more: take it for recycled.
    for (const name of found.spares) this.#spares.push({ name, recycled: true });
  }

  get active(): LiveSegment {
    return this.live[this.live.length - 1] as LiveSegment;
  }

  get activeFile(): IoFile {
    return this.#active as IoFile;
  }

  get spares(): number {
    return this.#spares.length;
  }

  /** Takes a spare out of the pool, if one is ready. */
  takeSpare(): Spare | undefined {
    return this.#spares.shift();
  }

  /** Puts an unused spare back. */
  returnSpare(spare: Spare): void {
    this.#spares.unshift(spare);
  }

  #path(name: string): string {
    return `${this.#options.directory}/${name}`;
  }

  /**
   * Resolves when at least one spare is ready. `urgent`: before everything else, commits included. `WAL_NO_SPACE` on a full disk; then
   * nothing is left behind.
   */
  async ensureSpare(urgent: boolean): Promise<void> {
    if (this.#spares.length > 0) return;
    this.#urgent ||= urgent;
    this.#preparing ??= this.#prepare().finally(() => {
      this.#preparing = undefined;
      this.#urgent = false;
    });
    await this.#preparing;
  }

  async #prepare(): Promise<void> {
    const { io, segmentBytes, direct, counters } = this.#options;
    const name = spareName(this.#nextSpare);
    this.#nextSpare += 1;
    const unfinished = this.#path(`${name}.new`);
    try {
      const file = await io.open(unfinished, { access: "create", direct });
      try {
        for (let offset = 0; offset < segmentBytes; ) {
          if (this.#stopping) throw new WalError("WAL_CLOSED", "the log is being closed");
          const piece = this.#urgent ? URGENT_PIECE_BYTES : PIECE_BYTES;
          const bytes = Math.min(piece, segmentBytes - offset);
          await file.writeZeros(offset, bytes);
          counters.preparedBytes += bytes;
          offset += bytes;
        }
      } finally {
        await file.close();
      }
      await io.rename(unfinished, this.#path(name));
    } catch (error) {
      await io.unlink(unfinished).catch(() => undefined);
      if (error instanceof IoError && error.code === "IO_NO_SPACE") {
        const which = this.live.length === 0 ? "first" : "next";
        throw new WalError(
          "WAL_NO_SPACE",
          `no space for the ${which} segment of ${segmentBytes} bytes; segmentBytes sets how large one is`,
          error,
        );
      }
      throw error;
    }
    this.#spares.push({ name, recycled: false });
  }

  /** Opens the segment that recovery found to be the last. */
  async openActive(segments: readonly RecoveredSegment[]): Promise<void> {
    for (const segment of segments) this.live.push({ ...segment });
    this.#active = await this.#options.io.open(this.active.path, {
      access: "write",
      direct: this.#options.direct,
    });
  }

  /**
   * What `spare` will state as a segment. To be called once for a start: a preamble's tag takes a nonce, and frames may be sealed behind
   * it before it is written.
   */
  preambleFor(spare: Spare, start: SegmentStart): Preamble {
    const { io, logId, incarnation, segmentBytes, blockBytes, packing } = this.#options;
    const { previousTag, ...place } = start;
    const { recycled } = spare;
    const time = io.clock.now();
    return packing.preamble(
      { logId, incarnation, segmentBytes, blockBytes, time, recycled, ...place },
      previousTag,
    );
  }

  /**
   * Makes `spare` the active segment. Every frame before it must be durable already: its name is what proves that they were.
   * Resolves when its preamble and its name are durable, so that what is written in it from then on can be found.
   */
  async activate(spare: Spare, preamble: Preamble): Promise<LiveSegment> {
    if (this.#activating) throw new Error("two segments are being activated at a time");
    this.#activating = true;
    try {
      return await this.#activate(spare, preamble);
    } finally {
      this.#activating = false;
    }
  }

  async #activate(spare: Spare, preamble: Preamble): Promise<LiveSegment> {
    const { io, direct, directory, counters } = this.#options;
    const { sequence, firstLsn } = preamble;
    const sparePath = this.#path(spare.name);
    const name = segmentName(sequence, firstLsn);
    const path = this.#path(name);

    const unnamed = await io.open(sparePath, { access: "write", direct });
    try {
      this.#arena.bytes.set(encodePreamble(preamble));
      const region = { arena: this.#arena, start: 0, length: FRAMES_START };
      await io.submit([{ kind: "write", file: unnamed, region, offset: 0, durable: true }]);
    } finally {
      await unnamed.close();
    }
    await io.rename(sparePath, path);
    await io.syncDirectory(directory);

    const file = await io.open(path, { access: "write", direct });
    await this.#active?.close();
    this.#active = file;
    const segment: LiveSegment = {
      name,
      path,
      sequence,
      firstLsn,
      lastLsn: firstLsn - 1,
      preamble,
      end: FRAMES_START,
    };
    this.live.push(segment);
    counters.segmentsActivated += 1;
    return segment;
  }

  /**
   * Lets go of `segments`, which are no longer live: some become spares, the others are removed. Resolves when the directory
   * says so durably; only then may a spare be written.
   */
  async free(segments: readonly LiveSegment[]): Promise<void> {
    if (segments.length === 0) return;
    const { io, directory, segmentBytes, blockBytes, spareLimit, counters } = this.#options;
    const gone = new Set(segments);
    const kept = this.live.filter((segment) => !gone.has(segment));
    this.live.splice(0, this.live.length, ...kept);

    const recycled: Spare[] = [];
    for (const segment of segments) {
      const fits =
        segment.preamble.segmentBytes === segmentBytes && segment.preamble.blockBytes === blockBytes;
      if (fits && this.#spares.length + recycled.length < spareLimit) {
        const name = spareName(this.#nextSpare);
        this.#nextSpare += 1;
        await io.rename(segment.path, this.#path(name));
        recycled.push({ name, recycled: true });
        counters.segmentsRecycled += 1;
      } else {
        await io.unlink(segment.path);
        counters.segmentsRemoved += 1;
      }
    }
    await io.syncDirectory(directory);
    this.#spares.push(...recycled);
  }

  /** Gives up a spare that is being prepared; resolves when nothing of it is in flight. No other can be made from then on. */
  async stopPreparing(): Promise<void> {
    this.#stopping = true;
    await this.#preparing?.catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.stopPreparing();
    await this.#active?.close();
    this.#active = undefined;
  }
}
