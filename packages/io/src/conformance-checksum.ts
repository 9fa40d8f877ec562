import assert from "node:assert/strict";
import type { ChecksumRanges } from "./backend.js";
import { type Bench, fillPattern, type Scenario } from "./conformance-subject.js";

export function checksumTests(): Scenario[] {
  return [published, reference, bounds];
}

const needs = ["checksum"] as const;

function checksumOf(bench: Bench): ChecksumRanges {
  const { checksum } = bench.backend();
  assert(checksum !== undefined, "the subject says that it has one");
  return checksum;
}

/** One bit at a time, straight from the definition: nothing in it is shared with what it checks. */
function bitwise(bytes: Uint8Array): number {
  let state = 0xffffffff;
  for (const byte of bytes) {
    state ^= byte;
    for (let bit = 0; bit < 8; bit++) state = (state >>> 1) ^ (state & 1 ? 0x82f63b78 : 0);
  }
  return (state ^ 0xffffffff) >>> 0;
}

const published: Scenario = {
  name: "checksum: the published CRC32C values",
  needs,
  async run(bench) {
    const checksum = checksumOf(bench);
    const ascending = Uint8Array.from({ length: 32 }, (_, n) => n);
    // RFC 3720 B.4, and the check value of the catalogue of parametrised CRC algorithms.
    const values: [Uint8Array, number][] = [
      [new Uint8Array(0), 0],
      [new TextEncoder().encode("123456789"), 0xe3069283],
      [new Uint8Array(32), 0x8a9136aa],
      [new Uint8Array(32).fill(0xff), 0x62a8ab43],
      [ascending, 0x46dd794e],
      [ascending.toReversed(), 0x113fdb5c],
    ];
    const out = new Uint32Array(1);
    for (const [bytes, expected] of values) {
      checksum(bytes, Uint32Array.of(0, bytes.length), 1, out);
      assert.equal(out[0], expected, `0x${expected.toString(16)}`);
    }
  },
};

const reference: Scenario = {
  name: "checksum: equal to a bitwise reference over ranges of every length and start, overlapping ones too",
  needs,
  async run(bench) {
    const checksum = checksumOf(bench);
    const { bytes } = bench.backend().arena(80_000);
    fillPattern(bytes, 1);
    const ranges: number[] = [];
    for (let length = 0; length < 300; length++) ranges.push(length % 23, length);
    // Around the sizes at which an implementation may change its way.
    for (const length of [
      767, 768, 769, 1024, 3071, 3072, 4095, 4096, 12_287, 12_288, 12_289, 24_575, 24_576, 40_000,
    ]) {
      for (let start = 0; start < 9; start++) ranges.push(start, length);
    }
    ranges.push(0, bytes.length, bytes.length, 0);
    const count = ranges.length / 2;
    const out = new Uint32Array(count + 1).fill(0x12345678);
    checksum(bytes, Uint32Array.from(ranges), count, out);
    for (let n = 0; n < count; n++) {
      const start = ranges[2 * n] as number;
      const length = ranges[2 * n + 1] as number;
      assert.equal(out[n], bitwise(bytes.subarray(start, start + length)), `${length} bytes from ${start}`);
    }
    assert.equal(out[count], 0x12345678, "what is behind the last result stays");
    out.fill(7);
    checksum(bytes, Uint32Array.of(0, 1), 0, out);
    assert.equal(out[0], 7, "no range, no result");
  },
};

const bounds: Scenario = {
  name: "checksum: a range outside the bytes is IO_ARGUMENT, and so is a count too large",
  needs,
  async run(bench) {
    const checksum = checksumOf(bench);
    const bytes = new Uint8Array(100);
    const out = new Uint32Array(2);
    const wrong: [ranges: number[], count: number][] = [
      [[0, 101], 1],
      [[100, 1], 1],
      [[101, 0], 1],
      [[0xffffffff, 2], 1],
      [[1, 0xffffffff], 1],
      [[0, 1, 99, 2], 2],
      [[0, 1], 2],
      [[0, 1, 0, 1, 0, 1], 3],
      [[0, 1], -1],
      [[0, 1], 0.5],
    ];
    for (const [ranges, count] of wrong) {
      assert.throws(
        () => checksum(bytes, Uint32Array.from(ranges), count, out),
        (error: Error & { code?: string }) => error.name === "IoError" && error.code === "IO_ARGUMENT",
        `${ranges.join(", ")}; ${count}`,
      );
    }
  },
};
