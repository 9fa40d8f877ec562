import { expect, test } from "vitest";
import { type Anchor, crc32c, decodeAnchor, encodeAnchor, firstNonZero } from "../src/index.js";
import { LOG_ID } from "./sample-frames.js";

const code = (expected: string) => expect.objectContaining({ name: "RecordError", code: expected });
const ANCHOR: Anchor = {
  logId: LOG_ID,
  generation: 12,
  trimPoint: 500,
  watermark: 42,
  durableLsn: 1003,
  sequence: 7,
  time: 1_700_000_000_456,
};

test("every field comes back, from either copy", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  for (const anchor of [
    ANCHOR,
    { ...ANCHOR, generation: 1, trimPoint: 0, watermark: 0, durableLsn: 0, sequence: 1, time: 0 },
    {
      ...ANCHOR,
      generation: largest,
      trimPoint: largest,
      watermark: largest,
      durableLsn: largest,
      sequence: largest,
      time: largest,
    },
  ]) {
    const bytes = encodeAnchor(anchor);
    expect(bytes.length).toBe(131072);
    expect(decodeAnchor(bytes, 0, 0)).toEqual(anchor);
    expect(decodeAnchor(Buffer.from(bytes), 65536, 1)).toEqual(anchor);
    expect(firstNonZero(bytes, 256, 65536)).toBe(-1);
    expect(firstNonZero(bytes, 65536 + 256)).toBe(-1);
  }
});

test("a flipped bit anywhere in a copy makes it invalid, and leaves the other", () => {
  const bytes = encodeAnchor(ANCHOR);
  for (let bit = 0; bit < 8 * 256; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    expect(decodeAnchor(bytes, 0, 0)).toBeUndefined();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  bytes.fill(0, 0, 65536);
  expect(decodeAnchor(bytes, 0, 0)).toBeUndefined();
  expect(decodeAnchor(bytes, 65536, 1)).toEqual(ANCHOR);
});

test("a copy in the other's place, or too few bytes, doesn't count", () => {
  const bytes = encodeAnchor(ANCHOR);
  expect(decodeAnchor(bytes, 0, 1)).toBeUndefined();
  expect(decodeAnchor(bytes, 65536, 0)).toBeUndefined();
  expect(decodeAnchor(bytes.subarray(0, 255), 0, 0)).toBeUndefined();
  expect(decodeAnchor(bytes, -1, 0)).toBeUndefined();
});

test.each<[string, (view: DataView) => void]>([
  ["a later version", (v) => v.setUint32(12, 2, true)],
  ["something behind the copy's number", (v) => v.setUint32(68, 1, true)],
  ["an unknown cipher", (v) => v.setUint8(88, 2)],
  ["something in the first reserved byte", (v) => v.setUint8(92, 1)],
  ["something in the last reserved byte", (v) => v.setUint8(255, 1)],
  ["a trim point above 2^53 - 1", (v) => v.setBigUint64(40, 1n << 53n, true)],
])("%s is reported, not taken for a missing anchor", (_name, action) => {
  const bytes = encodeAnchor(ANCHOR);
  const view = new DataView(bytes.buffer);
  action(view);
  expect(decodeAnchor(bytes, 0, 0)).toBeUndefined();
  view.setUint32(8, crc32c(bytes, 12, 256), true);
  expect(() => decodeAnchor(bytes, 0, 0)).toThrow(code("UNSUPPORTED_FORMAT"));
});

test.each<[string, Partial<Record<keyof Anchor, unknown>>]>([
  ["a short log id", { logId: new Uint8Array(4) }],
  ["generation 0", { generation: 0 }],
  ["a negative trim point", { trimPoint: -1 }],
  ["an unsafe watermark", { watermark: 2 ** 53 }],
  ["a fractional LSN", { durableLsn: 0.5 }],
  ["sequence 0", { sequence: 0 }],
  ["no time", { time: undefined }],
])("%s is never written", (_name, fields) => {
  expect(() => encodeAnchor({ ...ANCHOR, ...fields } as Anchor)).toThrow(code("RECORD_ARGUMENT"));
});

test("generation 0 is no anchor", () => {
  const bytes = encodeAnchor(ANCHOR);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(32, 0n, true);
  view.setUint32(8, crc32c(bytes, 12, 256), true);
  expect(decodeAnchor(bytes, 0, 0)).toBeUndefined();
});
