import { WalError } from "./errors.js";
import { channels } from "./events.js";
import type { SegmentStore, Spare } from "./segment-store.js";

export interface NextSegmentOptions {
  readonly store: SegmentStore;
  readonly directory: string;
  /** Whether the log is still open: nothing more is begun once it isn't. */
  readonly isOpen: () => boolean;
  /** The next segment is there. */
  readonly onReady: () => void;
  /** There is no space for it; `failure` says so. */
  readonly onNoSpace: () => void;
  /** It can't be had for a reason that makes the log useless. */
  readonly onFailure: (error: unknown) => void;
}

/** The segment file that the log will go on in, prepared ahead of need. */
export class NextSegment {
  readonly #options: NextSegmentOptions;
  #failure: WalError | undefined;

  constructor(options: NextSegmentOptions) {
    this.#options = options;
  }

  /** `WAL_NO_SPACE` of the last attempt to prepare it. */
  get failure(): WalError | undefined {
    return this.#failure;
  }

  /** Takes it, if it is ready, and has another prepared. */
  take(): Spare | undefined {
    const spare = this.#options.store.takeSpare();
    this.want();
    return spare;
  }

  /** Takes it, as soon as there is one. `WAL_NO_SPACE`. */
  async obtain(): Promise<Spare> {
    for (;;) {
      const spare = this.take();
      if (spare !== undefined) return spare;
      await this.prepare();
    }
  }

  /** Has it prepared ahead of need: commits go before. */
  want(): void {
    this.#begin(false);
  }

  /** Has it prepared for somebody who waits for it. */
  need(): void {
    this.#begin(true);
  }

  #begin(urgent: boolean): void {
    if (!this.#options.isOpen() || this.#options.store.spares > 0) return;
    this.#prepare(urgent).catch(() => undefined);
  }

  /** Space may have become free. */
  spaceFreed(): void {
    this.#failure = undefined;
    this.want();
  }

  /** Resolves when there is one; it may be taken by then. `WAL_NO_SPACE`. */
  prepare(): Promise<void> {
    return this.#prepare(true);
  }

  async #prepare(urgent: boolean): Promise<void> {
    const { store, directory, isOpen, onReady, onNoSpace, onFailure } = this.#options;
    try {
      await store.ensureSpare(urgent);
      this.#failure = undefined;
    } catch (error) {
      // Whoever closes the log waits for nothing to be in flight, and nothing more is begun.
      if (!isOpen()) throw error;
      if (error instanceof WalError && error.code === "WAL_NO_SPACE") {
        this.#failure = error;
        channels.noSpace.publish({ directory, error });
        // Those who wait for a segment are told, and not left hanging until there is space.
        onNoSpace();
      } else {
        onFailure(error);
      }
      throw error;
    }
    if (isOpen()) onReady();
  }
}
