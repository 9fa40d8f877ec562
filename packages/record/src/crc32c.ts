import { RecordError } from "./errors.js";

/**
 * The CRC32Cs of many ranges of one buffer, in one call: for each `i < count`, `out[i]` becomes the CRC32C of the
 * `ranges[2i + 1]` bytes at `ranges[2i]`. Both arrays may be longer than that. A back end with a hardware instruction
 * offers one of these; {@link checksumRanges} is the fallback and the oracle.
 */
export type ChecksumRanges = (
  bytes: Uint8Array,
  ranges: Uint32Array,
  count: number,
  out: Uint32Array,
) => void;

const POLYNOMIAL = 0x82f63b78; // Castagnoli, reflected

/** Table k, at k * 256: the effect of a byte that has k more bytes behind it. */
const TABLES = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at++) {
    const previous = tables[at - 256]!;
    tables[at] = (previous >>> 8) ^ tables[previous & 255]!;
  }
  return tables;
}

/**
 * The CRC32C (CRC-32/ISCSI) of `bytes[start, end)`, as a u32; of no bytes it is 0. Slicing-by-16, byte-wise, so it is
 * the same on a big-endian host.
 *
 * @throws RecordError `RECORD_ARGUMENT` when the range isn't inside the bytes.
 */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  if (!(start >= 0 && start <= end && end <= bytes.length)) {
    throw new RecordError("RECORD_ARGUMENT", `no range [${start}, ${end}) in ${bytes.length} bytes`);
  }
  const t = TABLES;
  let crc = -1;
  let at = start;
  for (const stop = end - 15; at < stop; at += 16) {
    crc =
      t[0xf00 + (bytes[at]! ^ (crc & 255))]! ^
      t[0xe00 + (bytes[at + 1]! ^ ((crc >>> 8) & 255))]! ^
      t[0xd00 + (bytes[at + 2]! ^ ((crc >>> 16) & 255))]! ^
      t[0xc00 + (bytes[at + 3]! ^ (crc >>> 24))]! ^
      t[0xb00 + bytes[at + 4]!]! ^
      t[0xa00 + bytes[at + 5]!]! ^
      t[0x900 + bytes[at + 6]!]! ^
      t[0x800 + bytes[at + 7]!]! ^
      t[0x700 + bytes[at + 8]!]! ^
      t[0x600 + bytes[at + 9]!]! ^
      t[0x500 + bytes[at + 10]!]! ^
      t[0x400 + bytes[at + 11]!]! ^
      t[0x300 + bytes[at + 12]!]! ^
      t[0x200 + bytes[at + 13]!]! ^
      t[0x100 + bytes[at + 14]!]! ^
      t[bytes[at + 15]!]!;
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t[(bytes[at]! ^ crc) & 255]!;
  return ~crc >>> 0;
}

/** The CRC32C of `count` u32s from index `start`, each taken as its four little-endian bytes. */
export function crc32cWords(words: Uint32Array, start: number, count: number): number {
  const t = TABLES;
  let crc = -1;
  for (let i = start; i < start + count; i++) {
    crc ^= words[i]!;
    crc =
      t[0x300 + (crc & 255)]! ^
      t[0x200 + ((crc >>> 8) & 255)]! ^
      t[0x100 + ((crc >>> 16) & 255)]! ^
      t[crc >>> 24]!;
  }
  return ~crc >>> 0;
}

/**
 * {@link ChecksumRanges} in TypeScript.
 *
 * @throws RecordError `RECORD_ARGUMENT` when a range isn't inside the bytes.
 */
export const checksumRanges: ChecksumRanges = (bytes, ranges, count, out) => {
  for (let i = 0; i < count; i++) {
    const start = ranges[2 * i]!;
    out[i] = crc32c(bytes, start, start + ranges[2 * i + 1]!);
  }
};
