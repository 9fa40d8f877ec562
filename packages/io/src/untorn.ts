import type { IoFile, UntornLimits } from "./backend.js";
import { IoError } from "./errors.js";

/** Whether a write of `length` bytes at `offset` can be one untorn write: a power of two within the limits, at a multiple of itself. */
export function fitsUntorn(limits: UntornLimits, length: number, offset: number): boolean {
  const { min, max } = limits;
  return length >= min && length <= max && Number.isInteger(Math.log2(length)) && offset % length === 0;
}

/** For back ends: what is wrong with a step `untorn` of this file, or `undefined`. */
export function untornRefusal(
  file: IoFile,
  length: number,
  offset: number,
  step: number,
): IoError | undefined {
  const { path, direct, untornWriteBytes: limits } = file;
  if (limits === undefined) {
    const why = direct
      ? "the device or the file system promises no untorn writes here"
      : "untorn writes are for files opened direct";
    return new IoError("IO_UNSUPPORTED", `${path}: step ${step}: ${why}`, { path, step });
  }
  if (fitsUntorn(limits, length, offset)) return undefined;
  return new IoError(
    "IO_ARGUMENT",
    `${path}: step ${step}: ${length} bytes at ${offset} can't be one untorn write: that takes a power of two from ` +
      `${limits.min} to ${limits.max} bytes, at a multiple of its length`,
    { path, step },
  );
}
