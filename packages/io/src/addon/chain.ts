import type { Step, WriteStep } from "../backend.js";
import type { IoError } from "../errors.js";
import { untornRefusal } from "../untorn.js";
import { rangeProblem, regionProblem } from "./arena.js";
import { argumentError, failure, startCall } from "./failure.js";
import { AddonFile, closedFile, type FileOwner, READ_ONLY } from "./file.js";
import type { InFlight } from "./in-flight.js";
import {
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

/** Hands chains to the addon. */
export class ChainRunner {
  readonly #native: NativeAddon;
  readonly #owner: FileOwner & { readonly inFlight: InFlight };
  /** The numbers of the chain being handed over: the addon copies them during the call. */
  #numbers = new Float64Array(16 * NUMBERS_PER_STEP);

  constructor(native: NativeAddon, owner: FileOwner & { readonly inFlight: InFlight }) {
    this.#native = native;
    this.#owner = owner;
  }

  run(chain: readonly Step[]): Promise<void> {
    const refused = refusal(chain, this.#owner);
    if (refused !== undefined) return Promise.reject(refused);
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
    return new Promise<void>((resolve, reject) => {
      const refusedBy = startCall(() =>
        this.#native.submit(handles, arenas, numbers, count, (errno, operation, syscall, step, poisoned) => {
          leave();
          if (errno === 0) resolve();
          else reject(failure(errno, operation, syscall, poisoned, files[step]?.path, step));
        }),
      );
      if (refusedBy === undefined) return;
      leave();
      reject(refusedBy);
    });
  }
}
