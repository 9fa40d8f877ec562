import { type IoBackend, IoError } from "@stonewal/io";
import { AddonBackend } from "@stonewal/io/addon";

import { type UringAddon, withRing } from "./native.js";
import { ringRefusal } from "./refusal.js";

export interface UringOptions {
  /**
   * How many requests one submission may hold: a chain of more steps is split, and still in order. A power of two,
   * others are rounded up; 1 to 4096, default 128.
   */
  readonly entries?: number;
  /**
   * Whether the back end offers the processor's CRC32C instructions, where it has them. Default true; `false`
   * makes the codec use its own.
   */
  readonly hardwareChecksum?: boolean;
}

const DEFAULT_ENTRIES = 128;
const MAX_ENTRIES = 4096;

export function openBackend(addon: UringAddon, options: UringOptions): IoBackend {
  const { entries = DEFAULT_ENTRIES, hardwareChecksum = true } = options;
  if (!Number.isSafeInteger(entries) || entries < 1 || entries > MAX_ENTRIES) {
    throw new IoError(
      "IO_ARGUMENT",
      `entries: ${String(entries)} is not a whole number from 1 to ${MAX_ENTRIES}`,
    );
  }
  const opened = addon.openRing(entries);
  if (opened[0] === undefined) throw ringRefusal(opened[1], opened[2], opened[3]);
  return new AddonBackend({
    name: "io-uring",
    native: withRing(addon, opened[0]),
    hardwareChecksum,
    durableWrite: (dsync) => (dsync ? "RWF_DSYNC" : "fdatasync"),
  });
}
