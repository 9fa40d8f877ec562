import { describe, expect, test } from "vitest";
import { crc32c, decodePreamble, encodePreamble, firstNonZero, type Preamble } from "../src/index.js";
import { PREAMBLE } from "./sample-frames.js";

const code = (expected: string) => expect.objectContaining({ name: "RecordError", code: expected });
const FIRST: Preamble = {
  ...PREAMBLE,
  sequence: 1,
  firstLsn: 1,
  firstFrameNumber: 1,
  previousSequence: 0,
  previousFrameNumber: 0,
  previousLsn: 0,
  previousChecksum: 0n,
  previousEnd: 0,
  recycled: false,
};

/** The preamble with something changed and the checksum made right again. */
function changed(action: (view: DataView) => void): Uint8Array {
  const bytes = encodePreamble(PREAMBLE);
  const view = new DataView(bytes.buffer);
  action(view);
  view.setUint32(8, crc32c(bytes, 12, 256), true);
  return bytes;
}

test("every field comes back, from either copy, anywhere in the bytes", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  for (const preamble of [
    PREAMBLE,
    FIRST,
    { ...FIRST, firstLsn: 5000, previousLsn: 4999 },
    { ...PREAMBLE, firstLsn: largest, previousLsn: largest - 1, sequence: largest, time: largest },
    { ...PREAMBLE, firstFrameNumber: 900, previousFrameNumber: 3, previousChecksum: 0xffff_ffff_ffff_ffffn },
    { ...PREAMBLE, blockBytes: 65536, segmentBytes: 3 * 65536 },
  ]) {
    const bytes = encodePreamble(preamble);
    expect(bytes.length).toBe(131072);
    expect(decodePreamble(bytes, 0, 0)).toEqual(preamble);
    expect(decodePreamble(bytes, 65536, 1)).toEqual(preamble);
    expect(decodePreamble(bytes.subarray(0, 256), 0, 0)).toEqual(preamble);
    expect(decodePreamble(Buffer.from(bytes).subarray(65536), 0, 1)).toEqual(preamble);
    expect(firstNonZero(bytes, 256, 65536)).toBe(-1);
    expect(firstNonZero(bytes, 65536 + 256)).toBe(-1);
  }
});

test("a flipped bit anywhere in a copy makes it invalid, and leaves the other", () => {
  const bytes = encodePreamble(PREAMBLE);
  for (let bit = 0; bit < 8 * 256; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    expect(decodePreamble(bytes, 0, 0)).toBeUndefined();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  bytes.fill(0xff, 0, 256);
  expect(decodePreamble(bytes, 65536, 1)).toEqual(PREAMBLE);
});

test("a copy that lies where the other belongs was misdirected, and doesn't count", () => {
  const bytes = encodePreamble(PREAMBLE);
  expect(decodePreamble(bytes, 0, 1)).toBeUndefined();
  expect(decodePreamble(bytes, 65536, 0)).toBeUndefined();
});

test("too few bytes are no preamble", () => {
  const bytes = encodePreamble(PREAMBLE);
  expect(decodePreamble(bytes.subarray(0, 255), 0, 0)).toBeUndefined();
  expect(decodePreamble(bytes, 131072 - 255, 1)).toBeUndefined();
  expect(decodePreamble(bytes, -1, 0)).toBeUndefined();
});

test.each<[string, (view: DataView) => void]>([
  ["a later version", (v) => v.setUint32(12, 2, true)],
  ["version 0", (v) => v.setUint32(12, 0, true)],
  ["an unknown cipher", (v) => v.setUint32(136, 2, true)],
  ["a key without a cipher", (v) => v.setUint32(140, 1, true)],
  ["an unknown flag", (v) => v.setUint32(144, 3, true)],
  ["something in the first reserved byte", (v) => v.setUint8(148, 1)],
  ["something in the last reserved byte", (v) => v.setUint8(255, 1)],
  ["a sequence above 2^53 - 1", (v) => v.setBigUint64(32, 1n << 53n, true)],
  ["an LSN above 2^53 - 1", (v) => v.setBigUint64(40, 1n << 53n, true)],
  ["a size above 2^53 - 1", (v) => v.setBigUint64(56, 1n << 63n, true)],
])("%s is reported, not taken for damage", (_name, action) => {
  expect(() => decodePreamble(changed(action), 0, 0)).toThrow(code("UNSUPPORTED_FORMAT"));
});

describe("a preamble that contradicts itself is neither written nor read", () => {
  test.each<[string, Partial<Preamble>, (view: DataView) => void]>([
    ["sequence 0", { sequence: 0 }, (v) => v.setBigUint64(32, 0n, true)],
    ["LSN 0", { firstLsn: 0 }, (v) => v.setBigUint64(40, 0n, true)],
    ["frame number 0", { firstFrameNumber: 0 }, (v) => v.setBigUint64(48, 0n, true)],
    ["an LSN missing between segments", { firstLsn: 1001 }, (v) => v.setBigUint64(40, 1001n, true)],
    ["frame numbers going back", { firstFrameNumber: 40 }, (v) => v.setBigUint64(48, 40n, true)],
    ["a size between blocks", { segmentBytes: 200_000 }, (v) => v.setBigUint64(56, 200_000n, true)],
    ["no room for a frame", { segmentBytes: 131072 }, (v) => v.setBigUint64(56, 131072n, true)],
    ["a block of 1000 bytes", { blockBytes: 1000 }, (v) => v.setUint32(64, 1000, true)],
    ["a block of 512 bytes", { blockBytes: 512 }, (v) => v.setUint32(64, 512, true)],
    ["a block of 128 KiB", { blockBytes: 131072 }, (v) => v.setUint32(64, 131072, true)],
    ["itself before itself", { previousSequence: 3 }, (v) => v.setBigUint64(72, 3n, true)],
    ["nothing before a later segment", { previousSequence: 0 }, (v) => v.setBigUint64(72, 0n, true)],
    [
      "the previous one ending in its preamble",
      { previousEnd: 65536 },
      (v) => v.setBigUint64(104, 65536n, true),
    ],
    [
      "the previous one ending between blocks",
      { previousEnd: 131080 },
      (v) => v.setBigUint64(104, 131080n, true),
    ],
  ])("%s", (_name, fields, action) => {
    expect(() => encodePreamble({ ...PREAMBLE, ...fields })).toThrow(code("RECORD_ARGUMENT"));
    expect(
      decodePreamble(
        changed(() => {}),
        0,
        0,
      ),
    ).toBeDefined();
    expect(decodePreamble(changed(action), 0, 0)).toBeUndefined();
  });

  test.each<[string, Partial<Record<keyof Preamble, unknown>>]>([
    ["a short log id", { logId: new Uint8Array(4) }],
    ["no incarnation", { incarnation: undefined }],
    ["an unsafe number", { time: 2 ** 53 }],
    ["a checksum that isn't a bigint", { previousChecksum: 1 }],
  ])("%s", (_name, fields) => {
    expect(() => encodePreamble({ ...PREAMBLE, ...fields } as Preamble)).toThrow(code("RECORD_ARGUMENT"));
  });

  test.each<[string, Partial<Preamble>]>([
    ["frames", { previousFrameNumber: 1, firstFrameNumber: 2 }],
    ["a checksum", { previousChecksum: 1n }],
    ["an end", { previousEnd: 131072 }],
  ])("%s before the first segment", (_name, fields) => {
    expect(() => encodePreamble({ ...FIRST, ...fields })).toThrow(code("RECORD_ARGUMENT"));
  });
});

test("a byte that isn't zero where zeros must be is found, wherever it is", () => {
  for (const size of [0, 1, 7, 8, 9, 40]) {
    for (let at = 0; at < size; at++) {
      const bytes = new Uint8Array(size + 3).subarray(3);
      bytes[at] = 0x80;
      expect(firstNonZero(bytes)).toBe(at);
      expect(firstNonZero(bytes, at)).toBe(at);
      expect(firstNonZero(bytes, at + 1)).toBe(-1);
      expect(firstNonZero(bytes, 0, at)).toBe(-1);
      expect(firstNonZero(bytes, 0, at + 1)).toBe(at);
    }
    expect(firstNonZero(new Uint8Array(size), 0, 1000)).toBe(-1);
  }
});
