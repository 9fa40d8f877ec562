import { type IoBackend, IoError } from "@stonewal/io";
import type { FrameUnpacker } from "@stonewal/record";
import { type DiskFile, openDisk } from "./disk.js";
import { RecoveryError } from "./errors.js";
import { type FrameChunk, FrameScanner, type Stop } from "./frame-scan.js";
import type { LogView, SegmentRef } from "./model.js";
import { SegmentKeys } from "./segment-keys.js";
import { CHUNK_BYTES, identityOf, startOf } from "./segment-scan.js";

export interface FeedOptions {
  /** First LSN that is wanted: where reading begins. 0: with the very first frame, records or not. */
  readonly from: number;
  readonly direct?: boolean | undefined;
  readonly chunkBytes?: number | undefined;
  /** Whether records are wanted, and not only frames: default true. */
  readonly unpack?: boolean | undefined;
}

export interface FeedChunk extends FrameChunk {
  /** The segment they lie in. */
  readonly segment: SegmentRef;
  /** Records behind this LSN do not exist: the log was cut there. */
  readonly lastLsn: number;
}

interface OpenSegment {
  /** As the view has it: it may learn of images that stand in for frames of it. */
  ref: SegmentRef;
  readonly file: DiskFile;
  readonly scanner: FrameScanner;
}

/** A frame that was durable a moment ago and is not to be found: how often to look again before calling it damage. */
const LOOKS = 3;
const PAUSE_MS = 20;
const SMALLEST_CHUNK_BYTES = 65536;

/**
 * The frames of a log in order, across segments, while it grows at one end and is freed at the other. Every frame is
 * checked again as recovery checked it: what is read now need not be what was read then.
 */
export class FrameFeed {
  readonly #io: IoBackend;
  readonly #view: LogView;
  readonly #options: FeedOptions;
  readonly #keys: SegmentKeys;
  #open: OpenSegment | undefined;
  /** That, or one less than the first LSN that is wanted. */
  #delivered: number;
  /** The last LSN handed out; 0 before the first, which may be one that the log hasn't got to. */
  #handedOut = 0;
  /** Sequence of the segment that was entered last. */
  #entered: number | undefined;

  constructor(io: IoBackend, view: LogView, options: FeedOptions) {
    this.#io = io;
    this.#view = view;
    this.#options = options;
    this.#keys = view.keys ?? new SegmentKeys(undefined, { checksum: io.checksum });
    this.#delivered = options.from - 1;
  }

  /** The last LSN handed out: what lies at or below it is not needed any more. */
  get delivered(): number {
    return this.#delivered;
  }

  /**
   * The next frames up to the number `limit`, all of which are durable; `undefined` where there are none left. Their bytes stay
   * as they are unless `release` is called.
   */
  async next(limit: number): Promise<FeedChunk | undefined> {
    let looks = 0;
    for (;;) {
      const refs = this.#view.segments();
      const open = this.#open ?? (await this.#enter(this.#startOf(refs)));
      // Vanished while it was opened, or since: what the view says now tells why.
      const index = refs.findIndex((ref) => ref.sequence === open?.ref.sequence);
      if (open === undefined || index === -1) {
        if (++looks > LOOKS) throw this.#vanished();
        await this.#leave();
        this.#explainGap(refs);
        if (open === undefined) await this.#lookAgain();
        continue;
      }
      const { scanner } = open;
      const ref = refs[index]!;
      if (ref !== open.ref) {
        for (const image of ref.overlay ?? []) open.file.overlay(image);
        open.ref = ref;
      }
      const next = refs[index + 1];
      if (next !== undefined && scanner.position.frameNumber > next.preamble.previousFrameNumber) {
        if (this.#handedOut > next.preamble.previousLsn) throw this.#cutAway(next.preamble.previousLsn);
        await this.#leave();
        await this.#enter(next);
        continue;
      }
      const home = this.#view.home?.frameNumber() ?? limit;
      const bound = Math.min(limit, home, next?.preamble.previousFrameNumber ?? limit);
      const chunk = await scanner.next(bound);
      if (chunk !== undefined) {
        const readable =
          this.#view.damage?.() === undefined ? Number.MAX_SAFE_INTEGER : this.#view.durable().lsn;
        const lastLsn = Math.min(next?.preamble.previousLsn ?? Number.MAX_SAFE_INTEGER, readable);
        const last = chunk.frames.at(-1)!.header;
        const reached = Math.min(last.nextLsn - 1, lastLsn);
        if (reached > this.#delivered) this.#delivered = this.#handedOut = reached;
        return { ...chunk, segment: ref, lastLsn };
      }
      const stop = scanner.stop!;
      scanner.resume();
      if (stop.kind === "limit") {
        if (scanner.position.frameNumber > limit) return undefined;
        if (scanner.position.frameNumber > home) await this.#view.home?.reach();
        continue;
      }
      // Read ahead of the writer, or the segment has just been freed or left behind: look again before judging.
      if (++looks > LOOKS) throw this.#damaged(open, stop);
      await this.#lookAgain(looks > 1);
    }
  }

  /** A writer in another process may have moved on since the view was last brought up to date. */
  async #lookAgain(pause = true): Promise<void> {
    if (pause) await this.#pause();
    if (!this.#view.closed()) await this.#view.refresh?.();
  }

  /** Nothing of the chunk that came last is in use any more. */
  release(): void {
    this.#open?.scanner.release();
  }

  async close(): Promise<void> {
    await this.#leave();
  }

  /** Of several segments that start at or before the LSN the last one holds it. Throws if that has been freed since it was asked for. */
  #startOf(refs: readonly SegmentRef[]): SegmentRef | undefined {
    this.#refuseCut(refs);
    const start = refs.findLast((ref) => ref.preamble.firstLsn <= this.#delivered + 1);
    if (start === undefined && this.#delivered >= 0) this.#explainGap(refs);
    return start ?? refs[0];
  }

  async #enter(ref: SegmentRef | undefined): Promise<OpenSegment | undefined> {
    if (ref === undefined) return undefined;
    const io = this.#io;
    const keep = this.#options.unpack ?? true;
    const unpacker = keep ? await this.#unpackerFor(ref) : undefined;
    const access = { io, direct: this.#options.direct ?? false, settle: false };
    let file: DiskFile;
    try {
      file = await openDisk(access, ref.path);
    } catch (error) {
      if (error instanceof IoError && error.code === "IO_NOT_FOUND") return undefined;
      throw error;
    }
    for (const image of ref.overlay ?? []) file.overlay(image);
    const asked =
      Math.ceil((this.#options.chunkBytes ?? CHUNK_BYTES) / SMALLEST_CHUNK_BYTES) * SMALLEST_CHUNK_BYTES;
    const chunkBytes = Math.max(SMALLEST_CHUNK_BYTES, asked);
    const options = { checksum: io.checksum, unpacker, keep, chunkBytes, ahead: true };
    const scanner = new FrameScanner(file, identityOf(ref.preamble, file), startOf(ref.preamble), options);
    this.#open = { ref, file, scanner };
    this.#entered = ref.sequence;
    return this.#open;
  }

  async #unpackerFor({ path, preamble }: SegmentRef): Promise<FrameUnpacker> {
    const unpacker = await this.#keys.unpackerFor(path, preamble);
    if (unpacker !== undefined) return unpacker;
    const keyId = preamble.encryption?.keyId;
    const message = `${path} is encrypted with key ${keyId}, which is not at hand`;
    throw new RecoveryError("WAL_KEY_MISSING", message, { file: path, keyId, firstLsn: preamble.firstLsn });
  }

  async #leave(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.scanner.end();
    await open?.file.close();
  }

  /** The segment that was being read is no part of the log any more. Throws unless the log goes on right behind what was delivered. */
  #explainGap(refs: readonly SegmentRef[]): void {
    // Said before anything else: what the cut kept may have been freed since.
    this.#refuseCut(refs);
    const first = refs[0];
    if (first !== undefined && first.preamble.firstLsn > this.#delivered + 1) {
      throw trimmed(this.#delivered + 1, Math.max(this.#view.trimLsn(), first.preamble.firstLsn - 1));
    }
  }

  /** Throws where a later segment than the one that was being read gives LSNs again that have been delivered. */
  #refuseCut(refs: readonly SegmentRef[]): void {
    const entered = this.#entered ?? Number.MAX_SAFE_INTEGER;
    const later = refs.filter(({ sequence }) => sequence > entered);
    const kept = Math.min(...later.map(({ preamble }) => preamble.previousLsn));
    if (kept < this.#handedOut) throw this.#cutAway(kept);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#io.clock.after(PAUSE_MS, resolve, true);
    });
  }

  #cutAway(lsn: number): RecoveryError {
    const message = `the log was cut after LSN ${lsn}; LSN ${lsn + 1} to ${this.#delivered} had been delivered`;
    return new RecoveryError("WAL_CUT_AWAY", message, { firstLsn: lsn + 1, lastLsn: this.#delivered });
  }

  #vanished(): RecoveryError {
    const firstLsn = this.#delivered + 1;
    return new RecoveryError("WAL_MISSING_SEGMENT", `the segment with LSN ${firstLsn} is missing`, {
      firstLsn,
    });
  }

  #damaged({ ref, scanner }: OpenSegment, stop: Stop): RecoveryError {
    const { position } = scanner;
    const offset = stop.kind === "unreadable" ? stop.offset : position.offset;
    const code =
      stop.kind === "unreadable" ? "WAL_UNREADABLE" : stop.kind === "unsound" ? stop.code : "WAL_CORRUPT";
    const what =
      stop.kind === "invalid" || stop.kind === "unsound"
        ? stop.what
        : stop.kind === "full"
          ? "the segment ends before it"
          : "read error";
    const message = `${ref.path} at ${offset}: frame ${position.frameNumber}, which was durable, can't be read back: ${what}`;
    return new RecoveryError(code, message, {
      file: ref.path,
      sequence: ref.sequence,
      offset,
      frameNumber: position.frameNumber,
      firstLsn: position.nextLsn,
    });
  }
}

export function trimmed(firstLsn: number, lastLsn: number): RecoveryError {
  const message = `LSN ${firstLsn} has been trimmed; the first that can be read is ${lastLsn + 1}`;
  return new RecoveryError("WAL_TRIMMED", message, { firstLsn, lastLsn });
}
