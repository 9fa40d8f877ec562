import type { IoBackend, Timer } from "@stonewal/io";
import { ANCHOR_NAME, type FrameHeader, LOCK_NAME, type LogRecord, NO_TAG } from "@stonewal/record";
import { readAnchor, readPreambles } from "./copies.js";
import { listLog, type SegmentFile } from "./directory.js";
import { type DiskAccess, openDisk } from "./disk.js";
import { DurableTracker } from "./durable-tracker.js";
import { RecoveryError } from "./errors.js";
import { follow } from "./follow.js";
import { FrameScanner } from "./frame-scan.js";
import { look, type Sight } from "./look.js";
import type {
  DurablePoint,
  LogView,
  OpenReaderOptions,
  Position,
  ReadOptions,
  ReplayOptions,
  SegmentRef,
} from "./model.js";
import { replay, replayBatches } from "./replay.js";
import type { SegmentKeys } from "./segment-keys.js";
import { refsOf } from "./segment-refs.js";
import { CHUNK_BYTES, identityOf, startOf } from "./segment-scan.js";
import { problemError } from "./walk.js";

/**
 * Opens a log for reading, changing nothing, beside a writer or without one. What the double-write buffer has and the log has
 * not is read in its place. Beside a writer only what the log itself says is durable is delivered; that lags behind what the
 * writer has acknowledged until its next frame, or until it falls quiet.
 *
 * Rejects as `recoverLog` does where the log is damaged (unless `damaged` is `prefix`), and with `WAL_NOT_FOUND`.
 */
export async function openReader(options: OpenReaderOptions): Promise<LogReader> {
  const sight = await look(options);
  const [problem] = sight.found.problems;
  if (problem !== undefined && (options.damaged !== "prefix" || problem.code === "WAL_ROLLED_BACK")) {
    sight.found.keys.destroy();
    throw problemError(problem);
  }
  return new LogReader(options, sight);
}

const DEFAULT_POLL_MS = 50;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A log open for reading. */
export class LogReader implements LogView {
  readonly #options: OpenReaderOptions;
  readonly #io: IoBackend;
  readonly logId: Uint8Array;
  readonly blockBytes: number;
  readonly keys: SegmentKeys;
  #segments: readonly SegmentRef[] = [];
  #durable: DurablePoint = { lsn: 0, frameNumber: 0 };
  #trimLsn = 0;
  #firstLsn = 1;
  #damage: RecoveryError | undefined;
  /** How far frames have been seen in the last segment, proven durable or not. */
  #tip: Position = { offset: 0, frameNumber: 0, nextLsn: 0, chain: 0n, tag: NO_TAG };
  #tracker = new DurableTracker(this.#durable);
  #access: DiskAccess;
  #live = false;
  /** What the end of the log looked like when nobody was writing. */
  #settledMark = "";
  #closed = false;
  #refreshing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #waiting: Waiter[] = [];

  /** Use `openReader`. */
  constructor(options: OpenReaderOptions, sight: Sight) {
    // Asked of the log at its opening, and not again: the writer beside it may rightly cut it shorter than that.
    this.#options = { ...options, atLeast: undefined };
    this.#io = options.io;
    const { found } = sight;
    const newest = found.segments.at(-1)?.walked.preamble;
    this.logId = newest?.logId ?? found.anchorFile.anchor?.logId ?? new Uint8Array(16);
    this.blockBytes = newest?.blockBytes ?? 4096;
    this.keys = found.keys;
    this.#access = { ...found.access, settle: false };
    this.#adopt(sight);
  }

  segments(): readonly SegmentRef[] {
    return this.#segments;
  }

  durable(): DurablePoint {
    return this.#durable;
  }

  /** First LSN that can be read. */
  firstLsn(): number {
    return this.#firstLsn;
  }

  /** Last LSN that can be read; one less than the first where there is none. */
  lastLsn(): number {
    return Math.max(this.#durable.lsn, this.#firstLsn - 1);
  }

  trimLsn(): number {
    return this.#trimLsn;
  }

  closed(): boolean {
    return this.#closed;
  }

  /** The damage behind the last record that can be read, if there is any; see `damaged`. */
  damage(): RecoveryError | undefined {
    return this.#damage;
  }

  /** As the function `replay`; `WAL_CLOSED` after `close`. */
  replay(options?: ReplayOptions): AsyncIterableIterator<LogRecord> {
    this.#checkOpen();
    return replay(this.#io, this, options);
  }

  /** As the function `replayBatches`; `WAL_CLOSED` after `close`. */
  replayBatches(options?: ReplayOptions): AsyncIterableIterator<LogRecord[]> {
    this.#checkOpen();
    return replayBatches(this.#io, this, options);
  }

  /** As the function `follow`; `WAL_CLOSED` after `close`. Looks for news every `pollMs`. */
  follow(options?: ReadOptions): AsyncIterableIterator<LogRecord> {
    this.#checkOpen();
    return follow(this.#io, this, options);
  }

  /** Looks for what a writer has added, freed or cut since. `follow` does so by itself. */
  refresh(): Promise<void> {
    this.#checkOpen();
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  changed(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#poll();
    });
  }

  /** Ends everything that follows; what is being replayed may go on. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#ring((waiting) => waiting.resolve());
    await this.#refreshing?.catch(() => undefined);
    this.keys.destroy();
  }

  #checkOpen(): void {
    if (this.#closed) throw new RecoveryError("WAL_CLOSED", "the reader is closed");
  }

  #poll(): void {
    if (this.#timer !== undefined || this.#closed) return;
    const look = () => {
      this.#timer = undefined;
      if (this.#closed || this.#waiting.length === 0) return;
      this.refresh().then(
        () => {
          if (this.#waiting.length > 0) this.#poll();
        },
        (error: unknown) => this.#ring((waiting) => waiting.reject(error)),
      );
    };
    // Somebody waits for it: it keeps the process alive.
    this.#timer = this.#io.clock.after(this.#options.pollMs ?? DEFAULT_POLL_MS, look, true);
  }

  #ring(settle: (waiting: Waiter) => void): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const waiting of this.#waiting.splice(0)) settle(waiting);
  }

  async #refresh(): Promise<void> {
    if (this.#damage !== undefined) return;
    const before = this.#state();
    if (await this.#io.isLocked(`${this.#options.directory}/${LOCK_NAME}`)) {
      this.#live = true;
      if (!(await this.#advance())) this.#adopt(await look(this.#options));
    } else if (this.#live || (await this.#mark()) !== this.#settledMark) {
      this.#adopt(await look(this.#options));
    }
    if (this.#state() !== before) this.#ring((waiting) => waiting.resolve());
  }

  #state(): string {
    const { frameNumber, lsn } = this.#durable;
    const [first, last] = [this.#segments[0], this.#segments.at(-1)];
    return [frameNumber, lsn, first?.sequence, last?.sequence, this.#damage?.message].join();
  }

  #adopt({ found, live }: Sight): void {
    if (found.keys !== this.keys) found.keys.destroy();
    const [problem] = found.problems;
    this.#damage = problem && problemError(problem);
    this.#segments = refsOf(found);
    this.#trimLsn = found.trimLsn;
    this.#firstLsn = found.firstLsn;
    this.#tip = found.position;
    this.#tracker = found.durable;
    this.#live = live;
    const { nextLsn, frameNumber } = found.position;
    const all = { lsn: nextLsn - 1, frameNumber: frameNumber - 1 };
    this.#durable = live
      ? found.durable.point
      : found.segments.length === 0
        ? { lsn: 0, frameNumber: 0 }
        : all;
    this.#settledMark = live
      ? ""
      : markOf(found.listing.segments, found.anchorFile.anchor?.generation, false);
  }

  /** A cheap look at whether anything has happened while nobody was seen writing. */
  async #mark(): Promise<string> {
    const listing = await listLog(this.#io, this.#options.directory);
    const anchor = await readAnchor(this.#access, `${this.#options.directory}/${ANCHOR_NAME}`);
    const last = this.#segments.at(-1);
    const scanned = last === undefined ? undefined : await this.#scan(last, this.#tip, undefined, () => {});
    const grown = scanned !== undefined && scanned.frameNumber !== this.#tip.frameNumber;
    return markOf(listing?.segments ?? [], anchor.anchor?.generation, grown);
  }

  /** Follows a writer from where we were. False: what is there does not follow on that; it takes a whole look to say why. */
  async #advance(): Promise<boolean> {
    const listing = await listLog(this.#io, this.#options.directory);
    const { anchor } = await readAnchor(this.#access, `${this.#options.directory}/${ANCHOR_NAME}`);
    if (listing === undefined || anchor === undefined) return false;
    const segments = await this.#liveSegments(listing.segments, anchor.trimPoint);
    if (segments === undefined) return false;
    let tip = this.#tip;
    let at = segments.findIndex((segment) => segment.sequence === this.#segments.at(-1)?.sequence);
    // Cut away. (A cut below our tip in its own segment is found by the scan that does not end where the cut is.)
    if (at === -1) return false;
    for (; at < segments.length; at++) {
      const next = segments[at + 1];
      const reached = await this.#scan(segments[at]!, tip, next, (header) => this.#tracker.add(header));
      if (reached === undefined) return false;
      tip = reached;
      if (next === undefined) break;
      if (tip.frameNumber !== next.preamble.previousFrameNumber + 1) return false;
      tip = this.#begin(next);
    }
    this.#tracker.raise(anchor.watermark);
    this.#segments = segments;
    this.#tip = tip;
    this.#trimLsn = Math.max(this.#trimLsn, anchor.trimPoint);
    this.#firstLsn = Math.max(this.#trimLsn + 1, segments[0]!.preamble.firstLsn);
    this.#durable = this.#tracker.point;
    // The anchor knows of frames that we can't find.
    return anchor.watermark <= tip.frameNumber;
  }

  /** Enters a segment: its name proves everything before it. */
  #begin({ preamble }: SegmentRef): Position {
    this.#tracker.reset({ frameNumber: preamble.previousFrameNumber, lsn: preamble.previousLsn });
    return startOf(preamble);
  }

  /** The segments that are live now, by the preambles of those that are new. */
  async #liveSegments(
    files: readonly SegmentFile[],
    trimLsn: number,
  ): Promise<readonly SegmentRef[] | undefined> {
    const known = new Map(this.#segments.map((segment) => [segment.sequence, segment]));
    const bySequence = new Map(files.map((file) => [file.sequence, file]));
    const added: SegmentRef[] = [];
    let file = files.at(-1);
    while (file !== undefined && !known.has(file.sequence)) {
      const ref = await this.#readRef(file);
      if (ref === undefined) return undefined;
      added.unshift(ref);
      const { previousSequence, firstLsn } = ref.preamble;
      if (previousSequence === 0 || firstLsn <= trimLsn + 1) return added;
      file = bySequence.get(previousSequence);
    }
    const last = file?.sequence;
    if (last === undefined) return undefined;
    const kept = this.#segments.filter(({ sequence }) => sequence <= last && bySequence.has(sequence));
    return [...kept, ...added];
  }

  async #readRef(file: SegmentFile): Promise<SegmentRef | undefined> {
    const disk = await openDisk(this.#access, file.path).catch(() => undefined);
    if (disk === undefined) return undefined;
    try {
      const preambles = (await readPreambles(disk)).map((copy) => copy.value);
      const preamble = preambles.find((copy) => copy?.sequence === file.sequence);
      if (preamble !== undefined) await this.keys.unpackerFor(file.path, preamble);
      return preamble && { sequence: file.sequence, path: file.path, preamble };
    } finally {
      await disk.close();
    }
  }

  /** Reads frames from `tip` on; answers where they end, or nothing if the file is gone. */
  async #scan(
    segment: SegmentRef,
    tip: Position,
    next: SegmentRef | undefined,
    onFrame: (header: FrameHeader) => void,
  ): Promise<Position | undefined> {
    const disk = await openDisk(this.#access, segment.path).catch(() => undefined);
    if (disk === undefined) return undefined;
    for (const image of segment.overlay ?? []) disk.overlay(image);
    const unpacker = await this.keys.unpackerFor(segment.path, segment.preamble);
    const options = {
      checksum: this.#io.checksum,
      unpacker,
      keep: false,
      chunkBytes: CHUNK_BYTES,
      ahead: false,
    };
    const scanner = new FrameScanner(disk, identityOf(segment.preamble, disk), tip, options);
    try {
      for (;;) {
        const chunk = await scanner.next(next?.preamble.previousFrameNumber);
        if (chunk === undefined) return scanner.position;
        for (const { header } of chunk.frames) onFrame(header);
        scanner.release();
      }
    } finally {
      await scanner.end();
      await disk.close();
    }
  }
}

function markOf(files: readonly SegmentFile[], generation: number | undefined, grown: boolean): string {
  return [...files.map((file) => file.name), generation, grown].join();
}
