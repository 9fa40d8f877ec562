import { markAsUntransferable } from "node:worker_threads";
import type { Arena, Region } from "../backend.js";
import { IoError } from "../errors.js";
import { argumentError } from "./failure.js";
import type { NativeAddon } from "./native.js";

/** Enough for the memory alignment of any device; native/device.h refuses one that wants more. */
const ALIGNMENT_BYTES = 4096;

/**
 * The aligned part of an ordinary ArrayBuffer that is a page longer. Memory of the addon's own would need an external
 * ArrayBuffer, which some embedders (Electron) refuse, and a finalizer.
 */
export class AlignedArena implements Arena {
  readonly bytes: Uint8Array;

  constructor(native: NativeAddon, bytes: number) {
    if (!Number.isSafeInteger(bytes) || bytes < 1) {
      throw argumentError(`an arena of ${bytes} bytes: a positive safe integer is expected`);
    }
    let buffer: ArrayBuffer;
    try {
      buffer = new ArrayBuffer(bytes + ALIGNMENT_BYTES);
    } catch (cause) {
      throw new IoError("IO_FAILED", `no memory for an arena of ${bytes} bytes`, { errno: "ENOMEM", cause });
    }
    // A transferred buffer's memory belongs to whoever received it, and would go away with it in mid-write.
    markAsUntransferable(buffer);
    const misalignment = native.addressOf(new Uint8Array(buffer));
    const start = (ALIGNMENT_BYTES - misalignment) % ALIGNMENT_BYTES;
    this.bytes = new Uint8Array(buffer, start, bytes);
  }
}

/** What is wrong with a region of `minimum` bytes or more, or `undefined`. */
export function regionProblem(region: Region, minimum: number): string | undefined {
  const { arena, start, length } = region;
  if (!(arena instanceof AlignedArena)) return "the region is not in an arena of this back end";
  if (!Number.isSafeInteger(start) || start < 0) return `region start ${start} is not a count of bytes`;
  if (!Number.isSafeInteger(length) || length < minimum) {
    return `region length ${length} is not a count of bytes${minimum > 0 ? `, at least ${minimum}` : ""}`;
  }
  if (start + length > arena.bytes.length) {
    return `region ${start}..${start + length} ends behind its arena of ${arena.bytes.length} bytes`;
  }
  return undefined;
}

/** What is wrong with `length` bytes at `offset` of a file, or `undefined`. */
export function rangeProblem(offset: number, length: number): string | undefined {
  if (!Number.isSafeInteger(offset) || offset < 0) return `offset ${offset} is not a count of bytes`;
  if (!Number.isSafeInteger(length) || length < 0) return `length ${length} is not a count of bytes`;
  // Not the sum: it may round down to a safe integer.
  if (offset > Number.MAX_SAFE_INTEGER - length) return `offset ${offset} + ${length} bytes is past 2^53 - 1`;
  return undefined;
}
