import { type Dwb, type DwbOptions, type DwbTicket, openDwb } from "@stonewal/dwb";
import { fitsUntorn, type IoFile, type Step, type UntornLimits } from "@stonewal/io";
import { FRAME_HEADER_BYTES } from "@stonewal/record";
import type { WholeFrame } from "./folio-frames.js";
import type { SealedFrame } from "./frame-assembler.js";
import type { Counters, Protection as ProtectionState } from "./stats.js";

/** The copy of a frame. */
export interface Copy {
  readonly ticket: DwbTicket;
  /** Offset behind the frame in its file. */
  readonly end: number;
}

/** Steps that give frames their copies: what a chain begins with, or a chain of their own. */
export interface StagedFrames {
  readonly steps: readonly Step[];
  /** How many of the frames asked for are to be written with these steps; at least one. */
  readonly frames: number;
  readonly copies: readonly Copy[];
  /** Tells the DWB what became of its steps. */
  readonly settled: (error?: Error) => void;
}

/** How much of a frame is stored, and how long its image is. */
interface Staging {
  readonly stored: number;
  readonly length: number;
}

const NOTHING_TO_SETTLE = () => undefined;

/** Opens a buffer of which everything that is needed is home and synced. */
export async function openReleased(options: DwbOptions): Promise<Dwb> {
  const dwb = await openDwb(options);
  dwb.releaseRecovered();
  // After a crash a slot that can't be read might hold what was acknowledged. One that can't be written either is heard of when its turn comes.
  await dwb.mendUnreadable().catch(() => undefined);
  return dwb;
}

/** The double-write buffer as the log uses it: a copy of each frame, keyed by its number, before it goes to its place. */
export class Protection {
  #dwb: Dwb | undefined;
  #state: ProtectionState;
  readonly #counters: Counters;
  /** Resolves when the buffer that failed is closed. */
  #givenUp: Promise<void> | undefined;
  /** Bytes written by buffers that are no longer attached. */
  #bytesBefore = 0;

  /** Frames that the device promises not to tear get no copy. */
  readonly #untorn: boolean;
  #limits: UntornLimits | undefined;

  /** The kernel writes the log back by the folio. */
  readonly #buffered: boolean;

  constructor(
    dwb: Dwb | undefined,
    counters: Counters,
    log: { readonly untorn: boolean; readonly direct: boolean },
  ) {
    this.#untorn = log.untorn;
    this.#buffered = !log.direct;
    this.#dwb = dwb;
    this.#state = dwb === undefined ? "off" : "protecting";
    this.#counters = counters;
  }

  get state(): ProtectionState {
    return this.#state;
  }

  get dwbId(): Uint8Array {
    return this.#state === "protecting" && this.#dwb !== undefined ? this.#dwb.id : new Uint8Array(16);
  }

  /** Id of the buffer in use, if its sync may acknowledge frames. One object for as long as that buffer is in use. */
  get acknowledger(): Uint8Array | undefined {
    return this.#state === "protecting" ? this.#dwb?.id : undefined;
  }

  get bytesWritten(): number {
    return this.#bytesBefore + (this.#dwb?.stats.bytesWritten ?? 0);
  }

  /** The untorn writes of the file that was written last, if they stand in for copies. */
  get untornWriteBytes(): UntornLimits | undefined {
    return this.#limits;
  }

  /**
   * Whether `frame` is to be written untorn, which stands in for its copy. The DWB has no other copy that could be taken for it: one
   * that fits a place of the log is put back by recovery, so a frame number is given again only where none did.
   */
  isUntorn({ paddedLength, offset }: SealedFrame): boolean {
    if (this.#state !== "protecting" || this.#limits === undefined) return false;
    return fitsUntorn(this.#limits, paddedLength, offset);
  }

  /** Whether `frame` can have a copy: there is a buffer, and no less than the frame fits into it. */
  holds({ length, paddedLength }: WholeFrame): boolean {
    return (
      this.#state === "protecting" &&
      this.#dwb !== undefined &&
      this.#dwb.fits(length, paddedLength) !== "never"
    );
  }

  /** Whether what is to be staged of `frame` has room now. If not it has when every copy has been released. */
  hasRoom(frame: WholeFrame): boolean {
    const staging = this.#staging(frame);
    return staging === undefined || this.#dwb?.fits(staging.stored, staging.length) === "now";
  }

  /**
   * How much of `frame` is staged, if anything, and how long the image is. Of one that is larger than the ring the header, in a log of which folios may be torn: it can't be
   * put back from that, but it bears witness of what was durable before.
   */
  #staging(frame: WholeFrame): Staging | undefined {
    if (this.holds(frame)) return { stored: frame.length, length: frame.paddedLength };
    if (this.#state !== "protecting" || !this.#buffered) return undefined;
    return { stored: FRAME_HEADER_BYTES, length: FRAME_HEADER_BYTES };
  }

  /** Bytes of the largest frame that can have a copy, padding included; 0: none can. */
  get largestFrameBytes(): number {
    return this.#state === "protecting" ? (this.#dwb?.maxImageBytes ?? 0) : 0;
  }

  /**
   * Copies `frames`, which are durable in their places and none of them too large, for the next chain to write with what it stages, which begins with `next`. None of them
   * where there is no room for all beside that.
   */
  stageAtHome(frames: readonly WholeFrame[], next: WholeFrame): Copy[] {
    const dwb = this.#dwb;
    if (dwb === undefined) return [];
    const slots = frames.reduce((sum, { length }) => sum + dwb.slotsFor(length), 0);
    if (slots + dwb.slotsFor(this.#staging(next)?.stored ?? 0) > dwb.stats.slotsFree) return [];
    return frames.map((frame) => {
      const staging = { stored: frame.length, length: frame.paddedLength };
      // What a copy says is capped by its own number.
      return this.#stage(dwb, frame, staging, frame.frameNumber);
    });
  }

  /** Slots of the buffer; 0 where there is none. */
  get slots(): number {
    return this.#dwb?.slots ?? 0;
  }

  /**
   * Copies the first of `frames`, for which there must be room, and as many of the others as have room behind it. `watermark`: the
   * number of the first frame that isn't known to be durable now.
   */
  stageCopies(frames: readonly SealedFrame[], watermark: number): StagedFrames {
    const dwb = this.#dwb as Dwb;
    const copies: Copy[] = [];
    for (const frame of frames) {
      if (copies.length > 0 && !this.hasRoom(frame)) break;
      // Every one of them is held by the ring: others are not acknowledged by it.
      copies.push(this.#copy(dwb, frame, watermark) as Copy);
    }
    return this.#staged(dwb, copies.length, copies);
  }

  /** The frame's own watermark may be an old one: frames are sealed while others wait before them, whose copies this one may overwrite. */
  #copy(dwb: Dwb, frame: SealedFrame, watermark: number): Copy | undefined {
    if (this.holds(frame)) this.#counters.protectedFrames += 1;
    else this.#counters.unprotectedFrames += 1;
    const staging = this.#staging(frame);
    return staging && this.#stage(dwb, frame, staging, watermark);
  }

  #stage(dwb: Dwb, frame: WholeFrame, { stored, length }: Staging, watermark: number): Copy {
    const ticket = dwb.stage({
      key: frame.frameNumber,
      target: frame.sequence,
      offset: frame.offset,
      version: frame.checksum,
      watermark,
      bytes: frame.arena.bytes.subarray(0, stored),
      length,
    });
    return { ticket, end: frame.offset + frame.paddedLength };
  }

  #staged(dwb: Dwb, frames: number, copies: readonly Copy[]): StagedFrames {
    const flush = dwb.takeSteps();
    const settled = (error?: Error) => (error === undefined ? flush.done() : flush.failed(error));
    return { steps: flush.steps, frames, copies, settled };
  }

  /** Copies as many of `frames`, which go to `file`, as have room into the DWB; the caller writes only those that were taken. `watermark`: as above. */
  stage(frames: readonly SealedFrame[], file: IoFile, watermark: number): StagedFrames {
    if (this.#untorn) this.#limits = file.untornWriteBytes;
    const dwb = this.#dwb;
    if (this.#state !== "protecting" || dwb === undefined) {
      return { steps: [], frames: frames.length, copies: [], settled: NOTHING_TO_SETTLE };
    }
    const copies: Copy[] = [];
    let taken = 0;
    for (const frame of frames) {
      if (this.isUntorn(frame)) {
        this.#counters.untornFrames += 1;
        taken += 1;
        continue;
      }
      // For the first the caller has seen to it that there is.
      if (taken > 0 && !this.hasRoom(frame)) break;
      const copy = this.#copy(dwb, frame, watermark);
      if (copy !== undefined) copies.push(copy);
      taken += 1;
    }
    return this.#staged(dwb, taken, copies);
  }

  /** The frames' own places are synced: their copies have done their service. */
  release(copies: readonly Copy[]): void {
    for (const { ticket } of copies) this.#dwb?.release(ticket);
  }

  /** The DWB failed, and the log goes on without. */
  degrade(): void {
    this.#state = "degraded";
    this.#bytesBefore += this.#dwb?.stats.bytesWritten ?? 0;
    this.#givenUp = this.#dwb?.close().catch(() => undefined);
    this.#dwb = undefined;
  }

  attach(dwb: Dwb): void {
    this.#dwb = dwb;
    this.#state = "protecting";
  }

  async close(): Promise<void> {
    await this.#givenUp;
    this.#bytesBefore += this.#dwb?.stats.bytesWritten ?? 0;
    const dwb = this.#dwb;
    this.#dwb = undefined;
    await dwb?.close();
  }
}
