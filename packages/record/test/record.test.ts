import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeRecord,
  encodeRecord,
  MAX_PAYLOAD_BYTES,
  REQUIRED_TYPE,
  type RecordInput,
  recordBytes,
  validateRecord,
} from "../src/index.js";
import { anyRecord, fieldsOf } from "./sample-frames.js";

const code = (expected: string) => expect.objectContaining({ name: "RecordError", code: expected });

test("every field of any record comes back as it went in", () => {
  fc.assert(
    fc.property(anyRecord, (record) => {
      const encoded = encodeRecord(record);
      expect(encoded.length).toBe(recordBytes(record.payload.length));
      expect(encoded.length % 8).toBe(0);
      const decoded = decodeRecord(encoded);
      expect(fieldsOf(decoded)).toEqual(fieldsOf(record));
      expect(decoded.required).toBe((record.type ?? 0) >= 0x80000000);
    }),
  );
});

test("a reader is told to stop at a type it must know", () => {
  const payload = new Uint8Array(1);
  expect(decodeRecord(encodeRecord({ payload, type: REQUIRED_TYPE })).required).toBe(true);
  expect(decodeRecord(encodeRecord({ payload, type: REQUIRED_TYPE - 1 })).required).toBe(false);
});

test("a decoded payload is a view: nothing is copied", () => {
  const encoded = encodeRecord({ payload: new Uint8Array(5) });
  decodeRecord(encoded).payload[0] = 77;
  expect(encoded[32]).toBe(77);
});

test("a record in unaligned bytes of a Buffer reads the same", () => {
  const encoded = encodeRecord({ payload: new Uint8Array([1, 2, 3]), tenant: 9n, type: 4 });
  const buffer = Buffer.alloc(encoded.length + 3);
  buffer.set(encoded, 3);
  const decoded = decodeRecord(buffer.subarray(3));
  expect(fieldsOf(decoded)).toEqual(fieldsOf({ payload: new Uint8Array([1, 2, 3]), tenant: 9n, type: 4 }));
  expect(decoded.payload.constructor).toBe(Uint8Array);
});

describe("input that can't be written exactly is refused, not written as something else", () => {
  const payload = new Uint8Array(1);
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["no payload", {}],
    ["a string", { payload: "x" }],
    ["an ArrayBuffer", { payload: new ArrayBuffer(1) }],
    ["another typed array", { payload: new Uint16Array(1) }],
    ["a DataView", { payload: new DataView(new ArrayBuffer(1)) }],
    ["a negative type", { payload, type: -1 }],
    ["a type of 33 bits", { payload, type: 2 ** 32 }],
    ["a fractional type", { payload, type: 0.5 }],
    ["a bigint type", { payload, type: 1n }],
    ["a string type", { payload, type: "1" }],
    ["a null type", { payload, type: null }],
    ["a shard of 33 bits", { payload, shard: 2 ** 32 }],
    ["NaN as shard", { payload, shard: Number.NaN }],
    ["a negative tenant", { payload, tenant: -1 }],
    ["a negative bigint tenant", { payload, tenant: -1n }],
    ["a tenant of 65 bits", { payload, tenant: 1n << 64n }],
    ["an inexact tenant", { payload, tenant: 2 ** 53 }],
    ["an infinite database", { payload, database: Number.POSITIVE_INFINITY }],
    ["a string database", { payload, database: "1" }],
  ])("%s", (_name, input) => {
    expect(() => validateRecord(input as RecordInput)).toThrow(code("RECORD_ARGUMENT"));
    expect(() => encodeRecord(input as RecordInput)).toThrow(code("RECORD_ARGUMENT"));
  });

  test("a payload above the limit", () => {
    const huge = Object.create(Uint8Array.prototype, { length: { value: MAX_PAYLOAD_BYTES + 1 } });
    expect(() => validateRecord({ payload: huge })).toThrow(code("RECORD_TOO_LARGE"));
    const largest = Object.create(Uint8Array.prototype, { length: { value: MAX_PAYLOAD_BYTES } });
    expect(validateRecord({ payload: largest })).toBeLessThanOrEqual(0xffff0000 - 192);
  });
});

test("a Buffer is a payload", () => {
  expect(validateRecord({ payload: Buffer.from("abc") })).toBe(40);
});

describe("an encoded record that was damaged is noticed", () => {
  const encoded = encodeRecord({
    payload: new Uint8Array([1, 2, 3]),
    type: 5,
    tenant: 6,
    shard: 7,
    database: 8,
  });

  test("any flipped bit", () => {
    for (let bit = 0; bit < 8 * encoded.length; bit++) {
      const damaged = encoded.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decodeRecord(damaged)).toThrow(expect.objectContaining({ name: "RecordError" }));
    }
  });

  test("any other length", () => {
    for (let length = 0; length < encoded.length; length++) {
      expect(() => decodeRecord(encoded.slice(0, length))).toThrow(code("RECORD_MALFORMED"));
    }
    expect(() => decodeRecord(new Uint8Array([...encoded, ...new Uint8Array(8)]))).toThrow(
      code("RECORD_MALFORMED"),
    );
  });

  test("a changed payload is a checksum error, something in the padding a malformed record", () => {
    const payload = encoded.slice();
    payload[33]! ^= 1;
    expect(() => decodeRecord(payload)).toThrow(code("RECORD_CHECKSUM"));
    const padding = encoded.slice();
    padding[39] = 1;
    expect(() => decodeRecord(padding)).toThrow(code("RECORD_MALFORMED"));
  });

  test("no bytes at all are only ever a typed error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(() => decodeRecord(bytes)).toThrow(expect.objectContaining({ name: "RecordError" }));
      }),
    );
  });
});

test("a payload whose memory was transferred away is refused, and not taken for an empty one", () => {
  const payload = new Uint8Array(5);
  structuredClone(payload.buffer, { transfer: [payload.buffer] });
  expect(() => validateRecord({ payload })).toThrow(code("RECORD_ARGUMENT"));
  expect(validateRecord({ payload: new Uint8Array(0) })).toBe(recordBytes(0));
});
