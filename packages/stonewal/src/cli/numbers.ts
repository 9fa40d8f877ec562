import { InvalidArgumentError } from "commander";

/** A positive safe integer: an LSN, or a count. */
export function positiveInteger(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError(`It must be an integer from 1 to ${Number.MAX_SAFE_INTEGER}.`);
  }
  return value;
}

/** 0 to 2^32 - 1, in decimal or, after 0x, hexadecimal. */
export function u32(text: string): number {
  const value = /^(\d+|0x[\da-f]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value > 0xffffffff) {
    throw new InvalidArgumentError(`It must be an integer from 0 to ${0xffffffff} (0xffffffff).`);
  }
  return value;
}

/** JSON has no 64-bit integers: a number where it is exact, otherwise a string of decimal digits. */
export function jsonInteger(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();
}
