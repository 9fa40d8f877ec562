import { ID_BYTES, MAX_BLOCK_BYTES, MIN_BLOCK_BYTES } from "./constants.js";
import { RecordError } from "./errors.js";

const TWO_32 = 0x1_0000_0000;
const MAX_U64 = 0xffff_ffff_ffff_ffffn;

/** A view of exactly these bytes. All numbers on disk are little-endian, so every access goes through one. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A plain copy of `[start, end)`: `slice` of a `Buffer` would be a view. */
export function copyBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}

/** Writes a count that has been checked to be a safe integer. */
export function setCount(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}

/** Reads a count; above 2^53 − 1 it would silently be another number, so it is refused. */
export function getCount(view: DataView, at: number, what: string): number {
  const high = view.getUint32(at + 4, true);
  if (high > 0x1f_ffff) {
    throw new RecordError("UNSUPPORTED_FORMAT", `${what} is above 2^53 - 1`);
  }
  return high * TWO_32 + view.getUint32(at, true);
}

/** Is it a number or bigint that a u64 field can hold exactly? */
export function isU64(value: unknown): value is number | bigint {
  return typeof value === "number"
    ? Number.isSafeInteger(value) && value >= 0
    : typeof value === "bigint" && value >= 0n && value <= MAX_U64;
}

export function isU32(value: unknown): value is number {
  return typeof value === "number" && value >>> 0 === value;
}

/** Writes all 64 bits of a tenant or database. */
export function setU64(view: DataView, at: number, value: number | bigint): void {
  if (typeof value === "number") setCount(view, at, value);
  else view.setBigUint64(at, value, true);
}

/** Throws RECORD_ARGUMENT unless `value` is a safe integer and at least `min`. */
export function requireCount(value: number, min: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new RecordError("RECORD_ARGUMENT", `${what} must be a safe integer, at least ${min}, not ${value}`);
  }
}

/** Throws RECORD_ARGUMENT unless `value` is a bigint of 64 bits. */
export function requireChecksum(value: bigint, what: string): void {
  if (typeof value !== "bigint" || value < 0n || value > MAX_U64) {
    throw new RecordError("RECORD_ARGUMENT", `${what} must be a bigint of 64 bits, not ${String(value)}`);
  }
}

/** Throws RECORD_ARGUMENT unless `value` is 16 bytes. */
export function requireId(value: Uint8Array, what: string): void {
  if (!(value instanceof Uint8Array) || value.length !== ID_BYTES) {
    throw new RecordError("RECORD_ARGUMENT", `${what} must be ${ID_BYTES} bytes`);
  }
}

export function isBlockBytes(value: number): boolean {
  return isU32(value) && value >= MIN_BLOCK_BYTES && value <= MAX_BLOCK_BYTES && (value & (value - 1)) === 0;
}

/** Throws RECORD_ARGUMENT unless `value` is a power of two from 4,096 to 65,536. */
export function requireBlockBytes(value: number): void {
  if (!isBlockBytes(value)) {
    throw new RecordError(
      "RECORD_ARGUMENT",
      `a block is a power of two from ${MIN_BLOCK_BYTES} to ${MAX_BLOCK_BYTES} bytes, not ${value}`,
    );
  }
}

const ZEROS = new Uint8Array(4096);

/**
 * Index of the first byte in `[start, end)` that isn't zero, or -1. The rest of each preamble and anchor copy, and all
 * padding, must be zero, and no checksum covers the former. `end` beyond the bytes counts as their length.
 */
export function firstNonZero(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const stop = Math.min(end, bytes.length);
  for (let at = Math.max(0, start); at < stop; at += ZEROS.length) {
    // One call for many bytes: what lies behind the end of a log are whole segments of zeros.
    const piece = bytes.subarray(at, Math.min(stop, at + ZEROS.length));
    if (Buffer.compare(piece, ZEROS.subarray(0, piece.length)) === 0) continue;
    while (bytes[at] === 0) at++;
    return at;
  }
  return -1;
}
