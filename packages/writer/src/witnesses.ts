import type { Clock, Timer } from "@stonewal/io";
import type { FrameAssembler } from "./frame-assembler.js";
import type { GroupCommit } from "./group-commit.js";
import type { NextSegment } from "./next-segment.js";

export interface WitnessesOptions {
  readonly clock: Clock;
  /** Milliseconds without a commit after which the log bears witness of the last; 0: never. */
  readonly idleMs: number;
  readonly assembler: FrameAssembler;
  readonly commits: GroupCommit;
  readonly nextSegment: NextSegment;
  readonly isOpen: () => boolean;
  /** Whether the log stands still: then nothing is queued unasked. */
  readonly isPaused: () => boolean;
}

/** The empty frames that say what was durable: at every open, when the log falls quiet, and at its close. */
export class Witnesses {
  readonly #options: WitnessesOptions;
  /** The open frame could not be written yet: there is no space for the next segment. */
  #openPending = false;
  #idleTimer: Timer | undefined;

  constructor(options: WitnessesOptions) {
    this.#options = options;
  }

  /** There was no room for the open frame yet; nothing may be appended before it. */
  get openPending(): boolean {
    return this.#openPending;
  }

  /** Queues the frame that says who writes from here on; false where there is no room for it. */
  open(): boolean {
    const { assembler, commits } = this.#options;
    this.#openPending = !assembler.witness("open");
    if (!this.#openPending) commits.schedule();
    return !this.#openPending;
  }

  /** Resolves when the open frame is at least queued. `WAL_NO_SPACE`. */
  async ensureOpen(): Promise<void> {
    while (this.#openPending && !this.open()) await this.#options.nextSegment.prepare();
  }

  /** Resolves when the frames that mark a clean end are durable. */
  async close(): Promise<void> {
    const { assembler, commits } = this.#options;
    // Twice, in blocks of their own: no single byte turns a closed log into a torn one.
    if (this.#openPending || !assembler.witness("close")) return;
    assembler.witness("close");
    await commits.drain();
  }

  /** The log is not quiet: begins to wait anew. */
  postponeIdle(): void {
    const { idleMs, clock, isOpen } = this.#options;
    if (idleMs === 0 || !isOpen()) return;
    this.#idleTimer?.cancel();
    this.#idleTimer = clock.after(idleMs, () => this.#idle());
  }

  /** As `postponeIdle`, where nothing waits for quiet yet. */
  awaitIdle(): void {
    if (this.#idleTimer === undefined) this.postponeIdle();
  }

  /** The log has fallen quiet. */
  #idle(): void {
    this.#idleTimer = undefined;
    const { assembler, commits, isOpen, isPaused } = this.#options;
    if (!isOpen() || isPaused() || commits.poison !== undefined || !commits.quiet) return;
    const lastLsn = assembler.nextLsn - 1;
    if (lastLsn > commits.durableLsn) {
      commits.request(lastLsn);
    } else if (commits.unwitnessed && assembler.witness("idle")) {
      // Behind records there is always room for it: the blocks that are kept for witnesses.
      commits.schedule();
    }
  }

  stop(): void {
    this.#idleTimer?.cancel();
  }
}
