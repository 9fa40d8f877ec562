import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32cWords } from "../src/crc32c.js";
import { checksumRanges, crc32c, RecordError } from "../src/index.js";

/** The definition, bit by bit. */
function reference(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

describe("a log written with another CRC32C would be unreadable", () => {
  test.each([
    ["no bytes", new Uint8Array(0), 0],
    ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 times ff", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["0 to 31", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ["31 to 0", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ])("%s", (_name, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
    expect(reference(bytes)).toBe(expected);
  });

  test("any part of any bytes, at any alignment, gives what the definition gives", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(40), fc.nat(40), (bytes, a, b) => {
        const start = Math.min(a, bytes.length);
        const end = Math.max(start, bytes.length - b);
        expect(crc32c(bytes, start, end)).toBe(reference(bytes.slice(start, end)));
      }),
    );
  });

  test("u32s are taken as their little-endian bytes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 40 }),
        fc.nat(5),
        (words, skip) => {
          const bytes = new Uint8Array(4 * words.length);
          for (const [i, word] of words.entries()) new DataView(bytes.buffer).setUint32(4 * i, word, true);
          const padded = Uint32Array.from([...Array(skip).fill(7), ...words, 9]);
          expect(crc32cWords(padded, skip, words.length)).toBe(reference(bytes));
        },
      ),
    );
  });
});

test("many ranges in one call give what each gives alone, and nothing behind the count is touched", () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 37) ^ (i >> 3));
  const out = new Uint32Array(5).fill(1);
  checksumRanges(bytes, Uint32Array.from([0, 1000, 13, 0, 500, 17, 999, 1, 5000, 5000]), 4, out);
  expect([...out]).toEqual([
    reference(bytes),
    0,
    reference(bytes.slice(500, 517)),
    reference(bytes.slice(999)),
    1,
  ]);
});

test.each([
  [-1, 5],
  [5, 4],
  [0, 11],
  [Number.NaN, 5],
])("a range outside the bytes (%d to %d) is refused, not summed as zeros", (start, end) => {
  expect(() => crc32c(new Uint8Array(10), start, end)).toThrow(RecordError);
});
