import type { IoBackend } from "@stonewal/io";
import { AddonBackend } from "@stonewal/io/addon";
import { loadAddon } from "./loader.js";

export interface PwriteOptions {
  /**
   * Whether the back end offers the processor's CRC32C instructions, where it has them. Default true; `false`
   * makes the codec use its own.
   */
  readonly hardwareChecksum?: boolean;
}

/**
 * A back end that runs each chain in one trip to Node's thread pool, with pwrite and fdatasync. Any number may be
 * open, in any number of worker threads; what is in flight keeps the process alive.
 *
 * Throws `IO_UNSUPPORTED` where there is no addon for this platform; the message names every place it looked.
 */
export function pwrite(options: PwriteOptions = {}): IoBackend {
  return new AddonBackend({
    name: "pwrite",
    native: loadAddon(),
    hardwareChecksum: options.hardwareChecksum ?? true,
    durableWrite: (dsync) => (dsync ? "RWF_DSYNC (direct), fdatasync (buffered)" : "fdatasync"),
  });
}
