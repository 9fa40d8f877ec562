import { expect, test } from "vitest";
import { frameRecords, readFrameHeader } from "../src/index.js";
import { FIELDS, sealedFrame, text, verifiedHeader } from "./sample-frames.js";

const code = (expected: string) => expect.objectContaining({ name: "RecordError", code: expected });
const records = Array.from({ length: 10 }, (_, i) => ({ payload: text("x".repeat(i)), type: i }));

test("a replay from an LSN starts exactly there", () => {
  const bytes = sealedFrame(records);
  const header = verifiedHeader(bytes)!;
  for (let skip = -1; skip <= 11; skip++) {
    const cursor = frameRecords(bytes, 0, header);
    cursor.skipTo(FIELDS.firstLsn + skip);
    const from = Math.min(10, Math.max(0, skip));
    expect(cursor.nextLsn).toBe(FIELDS.firstLsn + from);
    const lsns = [];
    for (let record = cursor.read(); record !== undefined; record = cursor.read()) lsns.push(record.lsn);
    expect(lsns).toEqual(records.map((_, i) => FIELDS.firstLsn + i).slice(from));
    expect(cursor.read()).toBeUndefined();
  }
});

test("a frame behind others, in unaligned bytes, gives the same records", () => {
  const frame = sealedFrame(records);
  const bytes = new Uint8Array(3 + 4096 + frame.length).subarray(3);
  bytes.set(frame, 4096);
  const header = readFrameHeader(bytes, 4096)!;
  const read = [...frameRecords(bytes, 4096, header)];
  expect(read.map((record) => record.type)).toEqual(records.map((record) => record.type));
  expect(read.map((record) => record.payloadBytes)).toEqual(records.map((_, i) => i));
});

test("payloads are views of the bytes: a replay copies nothing", () => {
  const bytes = sealedFrame(records);
  const record = [...frameRecords(bytes, 0, verifiedHeader(bytes)!)][5]!;
  expect(record.payload.buffer).toBe(bytes.buffer);
});

test("a frame that doesn't lie in the bytes isn't read past their end", () => {
  const bytes = sealedFrame([{ payload: new Uint8Array(5000) }]);
  const header = readFrameHeader(bytes, 0)!;
  expect(() => frameRecords(bytes.subarray(0, 4096), 0, header)).toThrow(code("RECORD_ARGUMENT"));
  expect(() => frameRecords(bytes, -1, header)).toThrow(code("RECORD_ARGUMENT"));
});

test("walking a frame that nobody verified stops at a length that leads out of it", () => {
  const bytes = sealedFrame(records);
  const header = readFrameHeader(bytes, 0)!;
  new DataView(bytes.buffer).setUint32(192 + 4, 0x40000000, true);
  expect(() => frameRecords(bytes, 0, header).read()).toThrow(code("RECORD_MALFORMED"));
});
