/** What a piece of work waits for, and the two ways to wait. */
export interface Wait {
  /** On the event loop. */
  readonly begin: () => Promise<void>;
  /**
   * Blocking the thread: to the end of what has begun, whose promise it is given, or, without one, of the whole. Not there where it
   * takes the event loop.
   */
  readonly block?: (begun?: Promise<void>) => void;
}

interface Failure {
  readonly error: unknown;
}

function attempt(call: () => void): Failure | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return { error };
  }
}

/**
 * A piece of work that waits for the disk in between: a generator that yields what it waits for. It goes on from the event loop, or from
 * `finishNow`, even in the middle of a wait: whoever comes first runs the next part, and each part runs once.
 */
export class DiskWork {
  readonly #parts: Generator<Wait, void, void>;
  readonly #onEnd: (failure?: Failure) => void;
  #begun: { readonly wait: Wait; readonly promise: Promise<void> } | undefined;
  /** A wait is being begun, or blocks: whatever that calls must not go on from here. */
  #entered = false;

  /** `onEnd` is called once, when nothing is left to be done, or with what went wrong. */
  constructor(parts: Generator<Wait, void, void>, onEnd: (failure?: Failure) => void) {
    this.#parts = parts;
    this.#onEnd = onEnd;
  }

  /** Begins, on the event loop. */
  start(): void {
    void this.#follow(this.#resume());
  }

  /**
   * Goes on to the end, from wherever it is, blocking the thread. False where that takes the event loop: then it goes on there by
   * itself.
   */
  finishNow(): boolean {
    if (this.#entered) return false;
    const begun = this.#begun;
    if (begun !== undefined && begun.wait.block === undefined) return false;
    let wait = begun === undefined ? this.#resume() : this.#block(begun.wait, begun.promise);
    while (wait !== undefined) {
      if (wait.block === undefined) {
        void this.#follow(wait);
        return false;
      }
      wait = this.#block(wait);
    }
    return true;
  }

  #block(wait: Wait, begun?: Promise<void>): Wait | undefined {
    const failure = this.#enter(() => wait.block?.(begun));
    this.#begun = undefined;
    return this.#resume(failure);
  }

  #enter(call: () => void): Failure | undefined {
    this.#entered = true;
    const failure = attempt(call);
    this.#entered = false;
    return failure;
  }

  async #follow(first: Wait | undefined): Promise<void> {
    for (let wait = first; wait !== undefined; ) {
      const { begin } = wait;
      let promise: Promise<void> | undefined;
      let failure = this.#enter(() => {
        promise = begin();
      });
      if (promise !== undefined) {
        const begun = { wait, promise };
        this.#begun = begun;
        try {
          await promise;
        } catch (error) {
          failure = { error };
        }
        // `finishNow` was here meanwhile, and has gone on from here.
        if (this.#begun !== begun) return;
        this.#begun = undefined;
      }
      wait = this.#resume(failure);
    }
  }

  /** Runs the next part. What it waits for then; `undefined` at the end. */
  #resume(failed?: Failure): Wait | undefined {
    let failure: Failure | undefined;
    try {
      const part = failed === undefined ? this.#parts.next() : this.#parts.throw(failed.error);
      if (part.done !== true) return part.value;
    } catch (error) {
      failure = { error };
    }
    this.#onEnd(failure);
    return undefined;
  }
}
