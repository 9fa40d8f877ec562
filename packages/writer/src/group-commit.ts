import { type IoBackend, IoError, type Step } from "@stonewal/io";
import type { Tip } from "@stonewal/recovery";
import { DiskWork, type Wait } from "./disk-work.js";
import { WalError } from "./errors.js";
import { channels } from "./events.js";
import type { FrameAssembler, SealedFrame } from "./frame-assembler.js";
import type { HomeWrites } from "./home-writes.js";
import type { Copy, Protection, StagedFrames } from "./protection.js";
import type { SegmentStore } from "./segment-store.js";
import type { Counters } from "./stats.js";
import { DurabilityWaiters } from "./waiters.js";

export interface GroupCommitOptions {
  readonly io: IoBackend;
  readonly directory: string;
  readonly assembler: FrameAssembler;
  readonly store: SegmentStore;
  readonly protection: Protection;
  readonly home: HomeWrites;
  readonly counters: Counters;
  readonly onDwbFailure: "fail" | "degrade";
  /** Milliseconds a flush waits for more commits; 0: none. */
  readonly delayMs: number;
  /** Frames and bytes that one chain carries at most. */
  readonly chainBytes: number;
  /** A segment has its name; resolves when the anchor says so too. */
  readonly onRoll: () => Promise<void>;
  /** The log goes on without its DWB. */
  readonly onDegraded: () => void;
  /** Memory or segments have become free, or something is durable. */
  readonly onProgress: () => void;
  readonly onPoison: (error: WalError) => void;
}

/**
 * Group commit without a timer: one chain is in flight at a time, and what arrives meanwhile is the next. One at a time also
 * means that syncs of a file never overlap and that the durable frames are always a prefix.
 *
 * A frame takes one of two ways. To its place in the log, behind its copy in the DWB, all in one chain that acknowledges it. Or,
 * in a log with `ack: 'dwb'`, to the DWB alone: that chain acknowledges it, and `HomeWrites` brings it home later. Before a chain
 * of the first kind everything that took the second way is at home: one chain at a time writes to the log, too.
 *
 * A flush begins once the microtasks of the current turn have run: everyone who was just told "durable" and commits again
 * at once is part of the next chain. `flushNow` goes on with what is under way, and does the rest, without the event loop.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #waiters = new DurabilityWaiters();
  #durableLsn: number;
  #tip: Tip;
  /** Number of the first frame that isn't known to be durable. */
  #watermark: number;
  /** Flush at least through this LSN. */
  #wantedLsn = 0;
  #scheduled = false;
  /** What is under way. */
  #work: DiskWork | undefined;
  /** What is to be told of it when it has ended: a subscriber may call the log again. */
  readonly #events: (() => void)[] = [];
  /** Who waits for how many pieces of work to be done, in order. */
  #draining: { work: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  #unwitnessed = false;
  /**
   * Id of the DWB whose sync acknowledges frames: the one that the last open frame names, which is itself durable in the log. Before
   * that, or in a new segment, whoever lost the DWB would take the frames in it for ones that never were.
   */
  #acknowledger: Uint8Array | undefined;
  #stopped = false;
  #poison: WalError | undefined;

  constructor(options: GroupCommitOptions, durable: { tip: Tip; watermark: number }) {
    this.#options = options;
    this.#durableLsn = durable.tip.lsn;
    this.#tip = durable.tip;
    this.#watermark = durable.watermark;
  }

  get durableLsn(): number {
    return this.#durableLsn;
  }

  /** The last durable LSN, and the tag of the frame that holds it. */
  get tip(): Tip {
    return this.#tip;
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
    return this.#work === undefined && !this.#scheduled && !this.#needsFlush();
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

  /**
   * Everything up to `lsn`, which has been given, is durable when it returns. Blocks. `WAL_NOT_NOW` where something takes the event
   * loop, which then does it, and `WAL_POISONED`.
   */
  flushNow(lsn: number): void {
    if (lsn > this.#wantedLsn) this.#wantedLsn = lsn;
    while (this.#durableLsn < lsn) {
      if (this.#poison !== undefined) throw this.#poison;
      this.#work ??= this.#nextWork();
      if (!this.#work.finishNow()) {
        throw new WalError(
          "WAL_NOT_NOW",
          "the next segment has to be begun first, which takes the event loop: wait for sync()",
        );
      }
    }
  }

  /** Sees to it that everything up to `lsn` gets flushed. */
  request(lsn: number): void {
    if (lsn > this.#wantedLsn) this.#wantedLsn = lsn;
    this.schedule();
  }

  /** Resolves when everything appended or queued so far is durable in the log's own files; what comes later doesn't hold it up. */
  drain(): Promise<void> {
    if (this.#poison !== undefined) return Promise.reject(this.#poison);
    const { assembler, home } = this.#options;
    assembler.sealOpen();
    const { queued: work } = assembler.work;
    if (!assembler.hasQueued && home.frames === 0) return Promise.resolve();
    const drained = new Promise<void>((resolve, reject) => this.#draining.push({ work, resolve, reject }));
    this.#settleDrained();
    this.schedule();
    return drained;
  }

  /** Resolves when everything acknowledged so far is durable in the log's own files too. */
  async bringHome(): Promise<void> {
    await this.#options.home.drained().catch((error: unknown) => {
      this.fail(error);
      throw this.#poison ?? error;
    });
  }

  /** The same, blocking. */
  bringHomeNow(): void {
    try {
      this.#allHome.block?.();
    } catch (error) {
      this.fail(error);
      throw this.#poison ?? error;
    }
  }

  /** A cut has removed records; nothing is in flight. */
  restart(tip: Tip): void {
    this.#tip = tip;
    this.#durableLsn = tip.lsn;
    this.#options.home.advance({ lsn: tip.lsn, watermark: this.#watermark });
    // The new segment has no open frame yet.
    this.#acknowledger = undefined;
    this.#wantedLsn = Math.min(this.#wantedLsn, tip.lsn);
    // The preamble that states the cut is the witness.
    this.#unwitnessed = false;
  }

  /** Nothing is written any more from here on. Everything has been drained. */
  stop(): void {
    this.#stopped = true;
  }

  schedule(): void {
    if (this.#work !== undefined || this.#scheduled || this.#stopped || this.#poison !== undefined) return;
    if (!this.#needsFlush()) return;
    this.#scheduled = true;
    const { delayMs, io } = this.#options;
    const start = () => {
      this.#scheduled = false;
      this.#run();
    };
    if (delayMs > 0) io.clock.after(delayMs, start, true);
    else queueMicrotask(() => process.nextTick(start));
  }

  #needsFlush(): boolean {
    const { assembler } = this.#options;
    const open = assembler.openFirstLsn;
    return assembler.hasQueued || (open !== undefined && open <= this.#wantedLsn);
  }

  #run(): void {
    if (this.#work !== undefined || this.#stopped || this.#poison !== undefined) return;
    // Who could not wait for the event loop may have been here.
    if (!this.#needsFlush()) return;
    this.#work = this.#nextWork();
    this.#work.start();
  }

  /** One piece of work, then back to the scheduler: committers who were just told get to join the next. */
  #nextWork(): DiskWork {
    return new DiskWork(this.#flushNext(), (failure) => {
      this.#work = undefined;
      // First: a subscriber that is told of something before it may call the log, and must not write after a failure.
      if (failure !== undefined) this.fail(failure.error);
      this.#publish();
      if (failure !== undefined) return;
      this.#settleDrained();
      this.#options.onProgress();
      this.schedule();
      if (!this.#scheduled) this.#options.home.gather();
    });
  }

  /** In order, though a subscriber may do something that is to be told of as well. */
  #publish(): void {
    for (let publish = this.#events.shift(); publish !== undefined; publish = this.#events.shift()) publish();
  }

  /** The waits: for a chain, and for everything that the DWB has acknowledged to be at home. */
  #chain(steps: readonly Step[]): Wait {
    const { io, home } = this.#options;
    const { now } = io;
    const begin = () => {
      const over = io.submit(steps);
      // While the disk works.
      home.gather();
      return over;
    };
    if (now === undefined) return { begin };
    return { begin, block: (begun) => (begun === undefined ? now.submit(steps) : now.finish(begun)) };
  }

  get #allHome(): Wait {
    const { io, home } = this.#options;
    const { now } = io;
    const begin = () => home.drained();
    return now === undefined ? { begin } : { begin, block: () => home.drainNow(now) };
  }

  #settleDrained(): void {
    const { assembler, home } = this.#options;
    const { done } = assembler.work;
    // Whatever left the queue last may not be at home yet.
    const atHome = done - home.frames;
    while (this.#draining[0] !== undefined && this.#draining[0].work <= atHome)
      this.#draining.shift()?.resolve();
    if (this.#draining[0] !== undefined && this.#draining[0].work <= done) home.start();
  }

  /** `HomeWrites` has brought frames home. */
  broughtHome(): void {
    if (this.#poison !== undefined) return;
    this.#settleDrained();
    this.#options.onProgress();
  }

  *#flushNext(): Generator<Wait, void, void> {
    const { assembler, store, directory } = this.#options;
    const open = assembler.openFirstLsn;
    if (open !== undefined && open <= this.#wantedLsn) assembler.sealOpen();
    const work = assembler.peek();
    if (work === undefined) return;
    if (work.work === "roll") {
      // A preamble says that everything before it in the queue is durable in its place.
      yield this.#allHome;
      this.#acknowledger = undefined;
      const begin = async () => {
        await store.activate(work.spare, work.preamble);
        await this.#options.onRoll();
      };
      yield { begin };
      assembler.shift(1);
      const { sequence, firstLsn, name } = store.active;
      this.#events.push(() => channels.segment.publish({ directory, sequence, firstLsn, name }));
      return;
    }
    if (this.#acknowledgesByDwb(work)) yield* this.#copyFrames(work);
    else yield* this.#writeFrames(work);
  }

  /** Whether the DWB's own sync acknowledges the frame. Witnesses have to be in the log itself, and some frames fit into no ring. */
  #acknowledgesByDwb(frame: SealedFrame): boolean {
    const { protection } = this.#options;
    const acknowledges = this.#acknowledger !== undefined && this.#acknowledger === protection.acknowledger;
    return acknowledges && frame.kind === "data" && protection.holds(frame);
  }

  /** The frames at the queue's head that go into one chain: all in one segment and all one way, up to a bound. */
  #nextFrames(first: SealedFrame): SealedFrame[] {
    const { assembler, chainBytes } = this.#options;
    const frames = [first];
    const byDwb = this.#acknowledgesByDwb(first);
    let bytes = first.paddedLength;
    for (let index = 1; ; index += 1) {
      const work = assembler.peek(index);
      if (work?.work !== "frame" || bytes + work.paddedLength > chainBytes) return frames;
      if (this.#acknowledgesByDwb(work) !== byDwb) return frames;
      frames.push(work);
      bytes += work.paddedLength;
    }
  }

  /** By their copies alone: one sync instead of two. Their places follow. */
  *#copyFrames(first: SealedFrame): Generator<Wait, void, void> {
    const { io, protection, home, assembler } = this.#options;
    // The ring is full: slots are free again when what is in them is at home, the last of them when there is no room without.
    if (!protection.hasRoom(first)) yield this.#allHome;
    if (!protection.hasRoom(first)) home.releaseNeighbours();
    const queued = this.#nextFrames(first);
    const staged = protection.stageCopies(queued, this.#watermark);
    const frames = queued.slice(0, staged.frames);
    const started = io.clock.monotonic();
    try {
      yield this.#chain(staged.steps);
    } catch (error) {
      yield* this.#withoutDwb(error, staged, frames);
      return;
    }
    staged.settled();
    this.#acknowledge(frames, io.clock.monotonic() - started);
    assembler.shift(frames.length);
    for (const [index, frame] of frames.entries()) home.add(frame, staged.copies[index] as Copy);
  }

  *#writeFrames(first: SealedFrame): Generator<Wait, void, void> {
    const { io, store, protection, home } = this.#options;
    yield this.#allHome;
    home.stageAdopted(first);
    if (!protection.hasRoom(first)) home.releaseNeighbours();
    const queued = this.#nextFrames(first);
    const staged = protection.stage(queued, store.activeFile, this.#watermark);
    const frames = queued.slice(0, staged.frames);
    const steps = this.#homeSteps(frames);
    const started = io.clock.monotonic();
    try {
      yield this.#chain([...staged.steps, ...steps]);
    } catch (error) {
      const step = error instanceof IoError ? error.step : undefined;
      if (step !== undefined && step < staged.steps.length) {
        yield* this.#withoutDwb(error, staged, frames);
        return;
      }
      staged.settled(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
    staged.settled();
    const { offset, paddedLength } = frames[frames.length - 1] as SealedFrame;
    home.arrived(store.activeFile, staged.copies, offset + paddedLength);
    this.#atHome(frames, io.clock.monotonic() - started);
  }

  /** A chain has brought the frames to their places: they are acknowledged, and nothing more is to be done for them. */
  #atHome(frames: readonly SealedFrame[], milliseconds: number): void {
    const { assembler, home } = this.#options;
    this.#acknowledge(frames, milliseconds);
    home.advance({ lsn: this.#durableLsn, watermark: this.#watermark });
    assembler.shift(frames.length);
    for (const frame of frames) {
      if (frame.open !== undefined)
        this.#acknowledger = frame.open.ack === "dwb" ? frame.open.dwbId : undefined;
      assembler.release(frame);
    }
  }

  /** The frames are durable. */
  #acknowledge(frames: readonly SealedFrame[], milliseconds: number): void {
    const { store, counters, directory } = this.#options;
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
    this.#watermark = last.frameNumber + 1;
    this.#durableLsn = last.lastLsn;
    const lastData = frames.findLast((frame) => frame.kind === "data");
    if (lastData !== undefined)
      this.#tip = { lsn: lastData.lastLsn, tag: lastData.encrypted ? lastData.tag : undefined };
    this.#unwitnessed = last.kind === "data";
    this.#waiters.resolveThrough(last.lastLsn);
    if (channels.flush.hasSubscribers) {
      const flush = { frames: frames.length, records, bytes, milliseconds, durableLsn: last.lastLsn };
      this.#events.push(() => channels.flush.publish({ directory, ...flush }));
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
   * A failed step is never tried again. But this one was the DWB's, nothing of the chain has been written to the log yet, and the
   * log may go on without the DWB if that was chosen.
   */
  *#withoutDwb(
    error: unknown,
    staged: StagedFrames,
    frames: readonly SealedFrame[],
  ): Generator<Wait, void, void> {
    const { io, protection, home, onDwbFailure, onDegraded, directory } = this.#options;
    staged.settled(error instanceof Error ? error : new Error(String(error)));
    // What it has acknowledged is still in memory, and it may be failing for good.
    try {
      yield this.#allHome;
    } catch {
      throw error;
    }
    if (onDwbFailure !== "degrade") throw error;
    home.releaseNeighbours();
    protection.degrade();
    this.#acknowledger = undefined;
    const { state } = protection;
    this.#events.push(() => channels.dwb.publish({ directory, protection: state, error }));
    const started = io.clock.monotonic();
    yield this.#chain(this.#homeSteps(frames));
    this.#atHome(frames, io.clock.monotonic() - started);
    onDegraded();
  }

  /** The first failure poisons: everyone who waits, and every later call, is told of it. */
  fail(error: unknown): void {
    if (this.#poison !== undefined) return;
    const message = error instanceof Error ? error.message : String(error);
    const poison = new WalError("WAL_POISONED", `the log can't be written any more: ${message}`, error);
    this.#poison = poison;
    this.#waiters.rejectAll(poison);
    const drained = this.#draining;
    this.#draining = [];
    for (const waiter of drained) waiter.reject(poison);
    this.#options.onPoison(poison);
    const { directory } = this.#options;
    this.#events.push(() => channels.poison.publish({ directory, error: poison }));
    // Not when what is in flight has ended: on a disk that hangs it never does.
    this.#publish();
  }
}
