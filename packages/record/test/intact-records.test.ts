import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  crc32c,
  encodeRecord,
  intactRecords,
  type RecordInput,
  readFrameHeader,
  recordBytes,
} from "../src/index.js";
import { anyRecord, FIELDS, fieldsOf, sealedFrame, text } from "./sample-frames.js";

const salvage = (bytes: Uint8Array, blockBytes = 4096) => [
  ...intactRecords(bytes, 0, readFrameHeader(bytes, 0)!, blockBytes),
];
const indexes = (bytes: Uint8Array) => salvage(bytes).map((record) => record.lsn - FIELDS.firstLsn);
const ten = Array.from({ length: 10 }, (_, i) => ({ payload: text(`record number ${i}`) }));
const SIZE = recordBytes(15);

test("an undamaged frame gives all its records", () => {
  expect(salvage(sealedFrame(ten)).map(fieldsOf)).toEqual(ten.map(fieldsOf));
});

test("damaged payloads cost their own records and no others", () => {
  const bytes = sealedFrame(ten);
  for (const i of [0, 4, 5, 9]) bytes[192 + i * SIZE + 33]! ^= 1;
  expect(indexes(bytes)).toEqual([1, 2, 3, 6, 7, 8]);
});

test("damaged padding behind the records costs nothing", () => {
  const bytes = sealedFrame(ten);
  bytes[4000] = 1;
  bytes[192 + 3 * SIZE + 33]! ^= 1;
  expect(indexes(bytes)).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9]);
});

test("behind a damaged length nothing has a proven LSN, so nothing is given", () => {
  for (const length of [0, 8, 17, 15 + SIZE, 0x40000000]) {
    const bytes = sealedFrame(ten);
    new DataView(bytes.buffer).setUint32(192 + 3 * SIZE + 4, length, true);
    expect(indexes(bytes)).toEqual([0, 1, 2]);
  }
});

test("a damaged length that leads to the same next record costs only its own", () => {
  const bytes = sealedFrame(ten);
  new DataView(bytes.buffer).setUint32(192 + 3 * SIZE + 4, 16, true);
  expect(indexes(bytes)).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9]);
});

test("a frame cut short by the end of its file gives what is whole", () => {
  const records = Array.from({ length: 300 }, (_, i) => ({ payload: text(String(i).padStart(15)) }));
  const bytes = sealedFrame(records).slice(0, 8192);
  expect(indexes(bytes)).toHaveLength(Math.floor((8192 - 192) / SIZE));
});

describe("the image of a record in a payload", () => {
  test("is never given for a record, where a damaged length leads to it", () => {
    const evil = encodeRecord({ payload: text("never appended") });
    const payload = new Uint8Array(8 + evil.length);
    payload.set(evil, 8);
    const bytes = sealedFrame([{ payload: text("first") }, { payload }, { payload: text("third") }]);
    new DataView(bytes.buffer).setUint32(192 + recordBytes(5) + 4, 8, true);
    expect(indexes(bytes)).toEqual([0]);
  });

  test("not even one that makes count and length add up", () => {
    // The first payload ends in the header of a record that would swallow the second record whole.
    const second = encodeRecord({ payload: text("second") });
    const image = encodeRecord({ payload: second });
    const payload = image.slice(0, 32);
    const bytes = sealedFrame([{ payload }, { payload: text("second") }]);
    new DataView(bytes.buffer).setUint32(192 + 4, 0, true);
    expect(crc32c(bytes, 192 + 32 + 4, 192 + 32 + image.length)).toBe(
      new DataView(bytes.buffer).getUint32(192 + 32, true),
    );
    expect(indexes(bytes)).toEqual([]);
  });
});

test("whatever the damage, what is given is what was written, at its own LSN", () => {
  fc.assert(
    fc.property(
      fc.array(anyRecord, { minLength: 1, maxLength: 8 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }),
      (records: RecordInput[], damage) => {
        const bytes = sealedFrame(records);
        for (const [at, value] of damage) bytes[192 + (at % (bytes.length - 192))] = value;
        const before = bytes.slice();
        for (const record of salvage(bytes)) {
          expect(fieldsOf(record)).toEqual(fieldsOf(records[record.lsn - FIELDS.firstLsn]!));
        }
        expect(bytes).toEqual(before);
      },
    ),
    { numRuns: 300 },
  );
});

test("a place outside the bytes or a wrong block size is a typed error", () => {
  const bytes = sealedFrame(ten);
  const header = readFrameHeader(bytes, 0)!;
  const refused = expect.objectContaining({ code: "RECORD_ARGUMENT" });
  expect(() => [...intactRecords(bytes, 4096, header, 4096)]).toThrow(refused);
  expect(() => [...intactRecords(bytes, -1, header, 4096)]).toThrow(refused);
  expect(() => [...intactRecords(bytes, 0, header, 1000)]).toThrow(refused);
});
