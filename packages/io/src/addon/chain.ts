import type { Step, WriteStep } from "../backend.js";
import { IoError } from "../errors.js";
import { untornRefusal } from "../untorn.js";
import { rangeProblem, regionProblem } from "./arena.js";
import { argumentError, failure, startCall } from "./failure.js";
import { AddonFile, closedFile, type FileOwner, READ_ONLY } from "./file.js";
import type { InFlight } from "./in-flight.js";
import {
  type Done,
  type Handle,
  type NativeAddon,
  NUMBERS_PER_STEP,
  STEP_DURABLE,
  STEP_SYNC,
  STEP_UNTORN,
  STEP_WRITE,
} from "./native.js";

/** What is wrong with a chain in itself; then nothing of it is started. */
function refusal(chain: readonly Step[], owner: FileOwner): IoError | undefined {
  for (let index = 0; index < chain.length; index++) {
    const step = chain[index] as Step;
    const { file } = step;
    if (!(file instanceof AddonFile) || file.owner !== owner) {
      return argumentError(`step ${index}: the file is not one of this back end`, { step: index });
    }
    const { path } = file;
    if (file.closed) return closedFile(path, index);
    if (step.kind === "sync") continue;
    if (step.kind !== "write") {
      return argumentError(`step ${index}: a step is a write or a sync`, { path, step: index });
    }
    const { region, offset } = step;
    const problem =
      (file.readOnly ? READ_ONLY : undefined) ??
      regionProblem(region, 1) ??
      rangeProblem(offset, region.length);
    if (problem !== undefined) {
      return argumentError(`${path}: step ${index}: ${problem}`, { path, step: index });
    }
    if (file.misaligned(region.start, region.length, offset)) {
      return file.misalignment(region.start, region.length, offset, index);
    }
    if (step.untorn === true) {
      const untorn = untornRefusal(file, region.length, offset, index);
      if (untorn !== undefined) return untorn;
    }
  }
  return undefined;
}

function kindOf(step: WriteStep): number {
  return STEP_WRITE | (step.durable === true ? STEP_DURABLE : 0) | (step.untorn === true ? STEP_UNTORN : 0);
}

/** Nobody was told how the chain ended: no JavaScript can be called any more. */
function interrupted(): IoError {
  return new IoError("IO_FAILED", "the thread is being terminated");
}

/** A chain that was submitted, until its promise is collected. */
interface Submitted {
  /** The addon's number for it, while it is there. */
  number: number | undefined;
  over: boolean;
  error: IoError | undefined;
}

/** Hands chains to the addon. */
export class ChainRunner {
  readonly #native: NativeAddon;
  readonly #owner: FileOwner & { readonly inFlight: InFlight };
  readonly #submitted = new WeakMap<Promise<void>, Submitted>();
  /** The numbers of the chain being handed over: the addon copies them during the call. */
  #numbers = new Float64Array(16 * NUMBERS_PER_STEP);

  constructor(native: NativeAddon, owner: FileOwner & { readonly inFlight: InFlight }) {
    this.#native = native;
    this.#owner = owner;
  }

  run(chain: readonly Step[]): Promise<void> {
    const refused = refusal(chain, this.#owner);
    if (refused !== undefined) return this.refuse(refused);
    const submitted: Submitted = { number: undefined, over: false, error: undefined };
    const promise = new Promise<void>((resolve, reject) => {
      const over = (error: IoError | undefined) => {
        submitted.over = true;
        submitted.error = error;
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#start(chain, over, (handles, arenas, numbers, done) => {
        submitted.number = this.#native.submit(handles, arenas, numbers, chain.length, done);
      });
    });
    this.#submitted.set(promise, submitted);
    return promise;
  }

  /** The promise of a chain of which nothing was started. */
  refuse(error: IoError): Promise<void> {
    const promise = Promise.reject<void>(error);
    this.#submitted.set(promise, { number: undefined, over: true, error });
    return promise;
  }

  /** See `BlockingChains.submit`. */
  runNow(chain: readonly Step[]): void {
    const refused = refusal(chain, this.#owner);
    if (refused !== undefined) throw refused;
    let failed: IoError | undefined = interrupted();
    const over = (error: IoError | undefined) => {
      failed = error;
    };
    this.#start(chain, over, (handles, arenas, numbers, done) =>
      this.#native.submitNow(handles, arenas, numbers, chain.length, done),
    );
    if (failed !== undefined) throw failed;
  }

  /** See `BlockingChains.finish`. */
  finishNow(promise: Promise<void>): void {
    const submitted = this.#submitted.get(promise);
    if (submitted === undefined)
      throw argumentError("not a promise that submit of this back end has returned");
    if (!submitted.over) this.#native.finish(submitted.number as number);
    if (!submitted.over) throw interrupted();
    if (submitted.error !== undefined) throw submitted.error;
  }

  /** Hands a chain over. `over` is called once: with what went wrong, or when the chain has completed. */
  #start(
    chain: readonly Step[],
    over: (error: IoError | undefined) => void,
    start: (
      handles: readonly Handle[],
      arenas: readonly (Uint8Array | undefined)[],
      numbers: Float64Array,
      done: Done<undefined>,
    ) => void,
  ): void {
    const count = chain.length;
    if (count * NUMBERS_PER_STEP > this.#numbers.length) {
      this.#numbers = new Float64Array(count * NUMBERS_PER_STEP * 2);
    }
    const numbers = this.#numbers;
    const files: AddonFile[] = new Array(count);
    const handles: Handle[] = new Array(count);
    const arenas: (Uint8Array | undefined)[] = new Array(count);
    for (let index = 0; index < count; index++) {
      const step = chain[index] as Step;
      const file = step.file as AddonFile;
      files[index] = file;
      handles[index] = file.handle;
      const at = index * NUMBERS_PER_STEP;
      if (step.kind === "write") {
        arenas[index] = step.region.arena.bytes;
        numbers[at] = kindOf(step);
        numbers[at + 1] = step.region.start;
        numbers[at + 2] = step.region.length;
        numbers[at + 3] = step.offset;
      } else {
        arenas[index] = undefined;
        numbers[at] = STEP_SYNC;
      }
    }
    const { inFlight } = this.#owner;
    // Before the call: a chain that is over at once ends during it.
    for (const file of files) file.enter();
    inFlight.enter();
    const leave = () => {
      for (const file of files) file.leave();
      inFlight.leave();
    };
    const refusedBy = startCall(() =>
      start(handles, arenas, numbers, (errno, operation, syscall, step, poisoned) => {
        leave();
        over(errno === 0 ? undefined : failure(errno, operation, syscall, poisoned, files[step]?.path, step));
      }),
    );
    if (refusedBy === undefined) return;
    leave();
    over(refusedBy);
  }
}
