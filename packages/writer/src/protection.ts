import type { Dwb, DwbTicket } from "@stonewal/dwb";
import { fitsUntorn, type IoFile, type Step, type UntornLimits } from "@stonewal/io";
import type { SealedFrame } from "./frame-assembler.js";
import type { Counters, Protection as ProtectionState } from "./stats.js";

/** What a chain begins with so that its frames have a second copy. */
export interface StagedFrames {
  readonly steps: readonly Step[];
  /** How many of the frames asked for are to be written with these steps; at least one. */
  readonly frames: number;
  readonly tickets: readonly DwbTicket[];
  /** Tells the DWB what became of its steps. */
  readonly settled: (error?: Error) => void;
}

const NOTHING_TO_SETTLE = () => undefined;

/** The double-write buffer as the log uses it: a copy of each frame, keyed by its number, before it goes to its place. */
export class Protection {
  #dwb: Dwb | undefined;
  #state: ProtectionState;
  readonly #counters: Counters;
  /** Bytes written by buffers that are no longer attached. */
  #bytesBefore = 0;

  /** Frames that the device promises not to tear get no copy. */
  readonly #untorn: boolean;
  #limits: UntornLimits | undefined;

  constructor(dwb: Dwb | undefined, counters: Counters, untorn: boolean) {
    this.#untorn = untorn;
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

  get bytesWritten(): number {
    return this.#bytesBefore + (this.#dwb?.stats.bytesWritten ?? 0);
  }

  /** The untorn writes of the file that was written last, if they stand in for copies. */
  get untornWriteBytes(): UntornLimits | undefined {
    return this.#limits;
  }

  /**
   * Whether `frame` is to be written untorn, which stands in for its copy. Not where the DWB has a copy of an earlier frame with
   * its number, which must not outlive it.
   */
  isUntorn({ paddedLength, offset, frameNumber }: SealedFrame): boolean {
    if (this.#state !== "protecting" || this.#limits === undefined) return false;
    return fitsUntorn(this.#limits, paddedLength, offset) && this.#dwb?.holds(frameNumber) === false;
  }

  /** Copies as many of `frames`, which go to `file`, as have room into the DWB; the caller writes only those that were taken. */
  stage(frames: readonly SealedFrame[], file: IoFile): StagedFrames {
    if (this.#untorn) this.#limits = file.untornWriteBytes;
    const dwb = this.#dwb;
    if (this.#state !== "protecting" || dwb === undefined) {
      return { steps: [], frames: frames.length, tickets: [], settled: NOTHING_TO_SETTLE };
    }
    const tickets: DwbTicket[] = [];
    let taken = 0;
    for (const frame of frames) {
      if (this.isUntorn(frame)) {
        this.#counters.untornFrames += 1;
        taken += 1;
        continue;
      }
      const fits = dwb.fits(frame.length, frame.paddedLength);
      // The chain before has released its slots, so the ring is empty and a first frame fits now or never.
      if (fits === "later" && taken > 0) break;
      if (fits !== "never") {
        tickets.push(
          dwb.stage({
            key: frame.frameNumber,
            target: frame.sequence,
            offset: frame.offset,
            version: frame.checksum,
            bytes: frame.arena.bytes.subarray(0, frame.length),
            length: frame.paddedLength,
          }),
        );
        this.#counters.protectedFrames += 1;
      } else {
        // Larger than the ring. A copy of an earlier frame with this number must not outlive it.
        if (dwb.holds(frame.frameNumber)) tickets.push(dwb.stageVoid(frame.frameNumber));
        this.#counters.unprotectedFrames += 1;
      }
      taken += 1;
    }
    const flush = dwb.takeSteps();
    return {
      steps: flush.steps,
      frames: taken,
      tickets,
      settled: (error) => (error === undefined ? flush.done() : flush.failed(error)),
    };
  }

  /** The frames' own places are synced: their copies have done their service. */
  release(tickets: readonly DwbTicket[]): void {
    for (const ticket of tickets) this.#dwb?.release(ticket);
  }

  /** The DWB failed, and the log goes on without. */
  async degrade(): Promise<void> {
    this.#state = "degraded";
    this.#bytesBefore += this.#dwb?.stats.bytesWritten ?? 0;
    const dwb = this.#dwb;
    this.#dwb = undefined;
    await dwb?.close().catch(() => undefined);
  }

  attach(dwb: Dwb): void {
    this.#dwb = dwb;
    this.#state = "protecting";
  }

  async close(): Promise<void> {
    this.#bytesBefore += this.#dwb?.stats.bytesWritten ?? 0;
    const dwb = this.#dwb;
    this.#dwb = undefined;
    await dwb?.close();
  }
}
