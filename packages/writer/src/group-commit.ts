import { type IoBackend, IoError, type Step } from "@stonewal/io";
import { WalError } from "./errors.js";
import { channels } from "./events.js";
import type { FrameAssembler, SealedFrame } from "./frame-assembler.js";
import type { Protection } from "./protection.js";
import type { SegmentStore } from "./segment-store.js";
import type { Counters } from "./stats.js";
import { DurabilityWaiters } from "./waiters.js";

export interface GroupCommitOptions {
  readonly io: IoBackend;
  readonly directory: string;
  readonly assembler: FrameAssembler;
  readonly store: SegmentStore;
  readonly protection: Protection;
  readonly counters: Counters;
  readonly onDwbFailure: "fail" | "degrade";
  /** Milliseconds a flush waits for more commits; 0: none. */
  readonly delayMs: number;
  /** Frames and bytes that one chain carries at most. */
  readonly chainBytes: number;
  /** A segment has its name; resolves when the anchor says so too. */
  readonly onRoll: () => Promise<void>;
  /** Memory or segments have become free, or something is durable. */
  readonly onProgress: () => void;
  readonly onPoison: (error: WalError) => void;
}

/**
 * Group commit without a timer: one chain is in flight at a time, and what arrives meanwhile is the next. One at a time also
 * means that syncs of a file never overlap and that the durable frames are always a prefix.
 *
 * A flush begins once the microtasks of the current turn have run: everyone who was just told "durable" and commits again
 * at once is part of the next chain.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #waiters = new DurabilityWaiters();
  #durableLsn: number;
  /** Number of the first frame that isn't known to be durable. */
  #watermark: number;
  /** Flush at least through this LSN. */
  #wantedLsn = 0;
  #scheduled = false;
  #running = false;
  /** Who waits for how many pieces of work to be done, in order. */
  #drained: { work: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  #unwitnessed = false;
  #stopped = false;
  #poison: WalError | undefined;

  constructor(options: GroupCommitOptions, durable: { lsn: number; watermark: number }) {
    this.#options = options;
    this.#durableLsn = durable.lsn;
    this.#watermark = durable.watermark;
  }

  get durableLsn(): number {
    return this.#durableLsn;
  }

  get watermark(): number {
    return this.#watermark;
  }

  get poison(): WalError | undefined {
    return this.#poison;
  }

  /** Records have become durable, and nothing written since says so. */
  get unwitnessed(): boolean {
    return this.#unwitnessed;
  }

  /** Nothing is in flight, queued or asked for. */
  get quiet(): boolean {
    return !this.#running && !this.#scheduled && !this.#needsFlush();
  }

  /** Resolves to `lsn`, which has been given, when it is durable. */
  wait(lsn: number): Promise<number> {
    // What is durable stays durable, whatever has become of the writer since.
    if (lsn <= this.#durableLsn) return Promise.resolve(lsn);
    if (this.#poison !== undefined) return Promise.reject(this.#poison);
    const durable = this.#waiters.wait(lsn);
    this.request(lsn);
    return durable;
  }

  /** Sees to it that everything up to `lsn` gets flushed. */
  request(lsn: number): void {
    if (lsn > this.#wantedLsn) this.#wantedLsn = lsn;
    this.schedule();
  }

  /** Resolves when everything appended or queued so far is durable; what comes later doesn't hold it up. */
  drain(): Promise<void> {
    if (this.#poison !== undefined) return Promise.reject(this.#poison);
    const { assembler } = this.#options;
    assembler.sealOpen();
    const { queued: work } = assembler.work;
    if (!assembler.hasQueued) return Promise.resolve();
    const drained = new Promise<void>((resolve, reject) => this.#drained.push({ work, resolve, reject }));
    this.schedule();
    return drained;
  }

  /** A cut has removed records; nothing is in flight. */
  restart(durableLsn: number): void {
    this.#durableLsn = durableLsn;
    this.#wantedLsn = Math.min(this.#wantedLsn, durableLsn);
    // The preamble that states the cut is the witness.
    this.#unwitnessed = false;
  }

  /** Nothing is written any more from here on. Everything has been drained. */
  stop(): void {
    this.#stopped = true;
  }

  schedule(): void {
    if (this.#running || this.#scheduled || this.#stopped || this.#poison !== undefined) return;
    if (!this.#needsFlush()) return;
    this.#scheduled = true;
    const { delayMs, io } = this.#options;
    const start = () => {
      this.#scheduled = false;
      void this.#run();
    };
    if (delayMs > 0) io.clock.after(delayMs, start, true);
    else queueMicrotask(() => process.nextTick(start));
  }

  #needsFlush(): boolean {
    const { assembler } = this.#options;
    const open = assembler.openFirstLsn;
    return assembler.hasQueued || (open !== undefined && open <= this.#wantedLsn);
  }

  async #run(): Promise<void> {
    if (this.#running || this.#stopped || this.#poison !== undefined) return;
    this.#running = true;
    try {
      // One piece of work, then back to the scheduler: committers who were just told get to join the next.
      if (this.#needsFlush()) await this.#flushNext();
    } catch (error) {
      this.fail(error);
      return;
    } finally {
      this.#running = false;
    }
    const { done } = this.#options.assembler.work;
    while (this.#drained[0] !== undefined && this.#drained[0].work <= done) this.#drained.shift()?.resolve();
    this.#options.onProgress();
    this.schedule();
  }

  async #flushNext(): Promise<void> {
    const { assembler, store, directory } = this.#options;
    const open = assembler.openFirstLsn;
    if (open !== undefined && open <= this.#wantedLsn) assembler.sealOpen();
    const work = assembler.peek();
    if (work === undefined) return;
    if (work.work === "roll") {
      // Everything before it in the queue is durable: a preamble may say so.
      const segment = await store.activate(work.spare, work.start);
      await this.#options.onRoll();
      assembler.shift(1);
      channels.segment.publish({
        directory,
        sequence: segment.sequence,
        firstLsn: segment.firstLsn,
        name: segment.name,
      });
      return;
    }
    await this.#writeFrames(this.#nextFrames(work));
  }

  /** The frames at the queue's head that go into one chain: all in one segment, up to a bound. */
  #nextFrames(first: SealedFrame): SealedFrame[] {
    const frames = [first];
    let bytes = first.paddedLength;
    for (let index = 1; ; index += 1) {
      const work = this.#options.assembler.peek(index);
      if (work?.work !== "frame" || bytes + work.paddedLength > this.#options.chainBytes) return frames;
      frames.push(work);
      bytes += work.paddedLength;
    }
  }

  async #writeFrames(queued: readonly SealedFrame[]): Promise<void> {
    const { io, assembler, store, protection, counters, directory } = this.#options;
    const staged = protection.stage(queued, store.activeFile);
    const frames = queued.slice(0, staged.frames);
    const home = this.#homeSteps(frames);
    const started = io.clock.monotonic();
    try {
      await io.submit([...staged.steps, ...home]);
      staged.settled();
    } catch (error) {
      await this.#afterFailure(error, staged.steps.length, home, staged.settled);
    }
    const milliseconds = io.clock.monotonic() - started;
    protection.release(staged.tickets);

    const last = frames[frames.length - 1] as SealedFrame;
    let bytes = 0;
    let records = 0;
    for (const frame of frames) {
      bytes += frame.paddedLength;
      records += frame.records;
    }
    counters.frames += frames.length;
    counters.segmentBytesWritten += bytes;
    counters.flushed(milliseconds, records);
    store.active.lastLsn = last.lastLsn;
    store.active.end = last.offset + last.paddedLength;
    assembler.shift(frames.length);
    this.#watermark = last.frameNumber + 1;
    this.#durableLsn = last.lastLsn;
    this.#unwitnessed = last.kind === "data";
    this.#waiters.resolveThrough(last.lastLsn);
    if (channels.flush.hasSubscribers) {
      channels.flush.publish({
        directory,
        frames: frames.length,
        records,
        bytes,
        milliseconds,
        durableLsn: last.lastLsn,
      });
    }
  }

  /** A single write carries its own sync. Several are synced together. */
  #homeSteps(frames: readonly SealedFrame[]): Step[] {
    const { protection, store } = this.#options;
    const file = store.activeFile;
    const steps: Step[] = frames.map((frame) => ({
      kind: "write",
      file,
      region: { arena: frame.arena, start: 0, length: frame.paddedLength },
      offset: frame.offset,
      durable: frames.length === 1,
      untorn: protection.isUntorn(frame),
    }));
    if (frames.length > 1) steps.push({ kind: "sync", file });
    return steps;
  }

  /**
   * A failed step is never tried again. But when it was the DWB's, nothing has been written to the log yet, and the log
   * may go on without it if that was chosen.
   */
  async #afterFailure(
    error: unknown,
    dwbSteps: number,
    home: readonly Step[],
    settled: (error?: Error) => void,
  ): Promise<void> {
    settled(error instanceof Error ? error : new Error(String(error)));
    const { io, protection, onDwbFailure, directory } = this.#options;
    const inDwb = error instanceof IoError && error.step !== undefined && error.step < dwbSteps;
    if (!inDwb || onDwbFailure !== "degrade") throw error;
    await protection.degrade();
    channels.dwb.publish({ directory, protection: protection.state, error });
    await io.submit(home);
  }

  /** The first failure poisons: everyone who waits, and every later call, is told of it. */
  fail(error: unknown): void {
    if (this.#poison !== undefined) return;
    const message = error instanceof Error ? error.message : String(error);
    const poison = new WalError("WAL_POISONED", `the log can't be written any more: ${message}`, error);
    this.#poison = poison;
    this.#waiters.rejectAll(poison);
    const drained = this.#drained;
    this.#drained = [];
    for (const waiter of drained) waiter.reject(poison);
    channels.poison.publish({ directory: this.#options.directory, error: poison });
    this.#options.onPoison(poison);
  }
}
