import type { ChecksumRanges } from "@stonewal/io";

/**
 * CRC32C in plain TypeScript, eight bytes at a time ("slicing-by-8"), for back ends that bring no hardware
 * checksum. Same contract as `IoBackend.checksum`.
 */

const TABLES = makeTables();

function makeTables(): readonly Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    first[byte] = crc >>> 0;
  }
  const tables = [first];
  for (let slice = 1; slice < 8; slice++) {
    const before = tables[slice - 1]!;
    tables.push(before.map((crc) => ((crc >>> 8) ^ first[crc & 0xff]!) >>> 0));
  }
  return tables;
}

function crc32c(bytes: Uint8Array, start: number, length: number): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as unknown as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  const end = start + length;
  let crc = 0xffffffff;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      t7[crc & 0xff]! ^
      t6[(crc >>> 8) & 0xff]! ^
      t5[(crc >>> 16) & 0xff]! ^
      t4[crc >>> 24]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]!) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

export const softwareChecksum: ChecksumRanges = (bytes, ranges, count, out) => {
  for (let i = 0; i < count; i++) out[i] = crc32c(bytes, ranges[2 * i]!, ranges[2 * i + 1]!);
};
