import type { IoLock } from "../backend.js";
import { complete } from "./failure.js";
import type { Handle, NativeAddon } from "./native.js";

/** A held lock. Its back end keeps it reachable: the addon lets go of one that is collected. */
export class AddonLock implements IoLock {
  readonly #native: NativeAddon;
  readonly #path: string;
  readonly #handle: Handle;
  readonly #released: (lock: AddonLock) => void;
  #releasing: Promise<void> | undefined;

  constructor(native: NativeAddon, path: string, handle: Handle, released: (lock: AddonLock) => void) {
    this.#native = native;
    this.#path = path;
    this.#handle = handle;
    this.#released = released;
  }

  release(): Promise<void> {
    this.#releasing ??= complete<undefined>(this.#path, (done) =>
      this.#native.unlock(this.#handle, done),
    ).finally(() => this.#released(this));
    return this.#releasing;
  }
}
