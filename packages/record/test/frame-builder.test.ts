import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ChecksumRanges,
  checksumRanges,
  encodeRecord,
  FrameBuilder,
  type FrameFields,
  FrameVerifier,
  frameRecords,
  MAX_LSN,
  readFrameHeader,
  readOpenBody,
  recordBytes,
} from "../src/index.js";
import {
  anyRecord,
  DWB_ID,
  FIELDS,
  fieldsOf,
  INCARNATION,
  LOG_ID,
  recordsOf,
  sealedFrame,
  text,
  verifiedHeader,
} from "./sample-frames.js";

const code = (expected: string) => expect.objectContaining({ name: "RecordError", code: expected });
const blockSizes = fc.constantFrom(4096, 8192, 65536);

test("records appended together come back in order, whole, with LSNs without gaps", () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 30 }), blockSizes, (records, blockBytes) => {
      const read = recordsOf(sealedFrame(records, {}, blockBytes), blockBytes);
      expect(read.map(fieldsOf)).toEqual(records.map(fieldsOf));
      expect(read.map((record) => record.lsn)).toEqual(records.map((_, i) => FIELDS.firstLsn + i));
      expect(read.every((record) => record.time === FIELDS.time)).toBe(true);
    }),
  );
});

test("a payload of many blocks comes back", () => {
  const payload = Uint8Array.from({ length: 3_000_001 }, (_, i) => (i * 2654435761) >>> 13);
  const [record] = recordsOf(sealedFrame([{ payload }]));
  expect(Buffer.compare(record!.payload, payload)).toBe(0);
});

test("a frame of more records than any array was prepared for comes back", () => {
  const records = Array.from({ length: 5000 }, (_, i) => ({ payload: text(String(i)) }));
  expect(recordsOf(sealedFrame(records)).map((r) => Buffer.from(r.payload).toString())).toEqual(
    records.map((_, i) => String(i)),
  );
});

test("every header field comes back, up to the largest number", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  for (const fields of [
    FIELDS,
    {
      ...FIELDS,
      sequence: largest,
      frameNumber: largest,
      firstLsn: MAX_LSN,
      watermark: largest,
      time: largest,
    },
    { ...FIELDS, sequence: 1, frameNumber: 1, firstLsn: 1, watermark: 0, time: 0, chain: 0n },
    { ...FIELDS, offset: 2 ** 53 - 4096, chain: 0xffff_ffff_ffff_ffffn },
  ]) {
    const header = verifiedHeader(sealedFrame([{ payload: text("x") }], fields));
    expect(header).toMatchObject({
      ...fields,
      recordCount: 1,
      length: 192 + 40,
      nextLsn: fields.firstLsn + 1,
    });
  }
});

test("what a seal answers is what the next frame's chain must be, and what the reader sees", () => {
  const bytes = new Uint8Array(8192);
  const builder = new FrameBuilder(4096);
  builder.begin(bytes, 4096, 4096);
  builder.append({ payload: text("x") });
  const sealed = builder.seal(FIELDS);
  const header = readFrameHeader(bytes, 4096)!;
  expect(sealed).toEqual({
    length: header.length,
    paddedLength: 4096,
    checksum: header.checksum,
    tag: new Uint8Array(16),
  });
  expect(header.checksum).toBe((BigInt(header.bodyChecksum) << 32n) | BigInt(header.headerChecksum));
});

test("an open frame says which double-write buffer was in use and what acknowledged", () => {
  for (const ack of ["wal", "dwb"] as const) {
    const bytes = sealedFrame([], { kind: "open", open: { dwbId: DWB_ID, ack } });
    const header = verifiedHeader(bytes)!;
    expect(header).toMatchObject({ kind: "open", length: 224, recordCount: 0, nextLsn: FIELDS.firstLsn });
    expect(readOpenBody(bytes, 0, header)).toEqual({ dwbId: DWB_ID, ack });
    expect([...frameRecords(bytes, 0, header)]).toEqual([]);
  }
});

test.each(["idle", "close"] as const)("an %s frame bears witness without a body", (kind) => {
  const bytes = sealedFrame([], { kind });
  const header = verifiedHeader(bytes)!;
  expect(header).toMatchObject({ kind, length: 192, recordCount: 0, watermark: FIELDS.watermark });
  expect(() => readOpenBody(bytes, 0, header)).toThrow(code("RECORD_ARGUMENT"));
});

test("reused memory leaks nothing of its former contents into a frame", () => {
  const records = [{ payload: text("abc") }, { payload: new Uint8Array(0) }];
  const build = (fill: number) => {
    const bytes = new Uint8Array(8192).fill(fill);
    const builder = new FrameBuilder(4096);
    builder.begin(bytes, 0, 8192);
    for (const record of records) builder.append(record);
    const { paddedLength } = builder.seal(FIELDS);
    expect(bytes[paddedLength]).toBe(fill); // and nothing behind its blocks is touched
    return bytes.slice(0, paddedLength);
  };
  expect(build(0xff)).toEqual(build(0));
});

test("a frame built by a builder that has built others is the same", () => {
  const bytes = new Uint8Array(16384);
  const builder = new FrameBuilder(4096);
  builder.begin(bytes, 0, 16384);
  for (let i = 0; i < 200; i++) builder.append({ payload: text("former") });
  builder.seal(FIELDS);
  builder.begin(bytes, 4096, 8192);
  builder.append({ payload: text("given up") });
  builder.begin(bytes, 4096, 8192);
  expect(builder.recordCount).toBe(0);
  builder.append({ payload: text("kept") });
  builder.seal(FIELDS);
  expect(bytes.slice(4096, 8192)).toEqual(sealedFrame([{ payload: text("kept") }]));
});

test("memory changed by the caller after append changes nothing", () => {
  const payload = text("before");
  const bytes = new Uint8Array(4096);
  const builder = new FrameBuilder(4096);
  builder.begin(bytes, 0, 4096);
  builder.append({ payload });
  payload.fill(0);
  builder.seal(FIELDS);
  expect(Buffer.from(recordsOf(bytes)[0]!.payload).toString()).toBe("before");
});

describe("a hardware checksum and the fallback are interchangeable", () => {
  let calls = 0;
  const other: ChecksumRanges = (bytes, ranges, count, out) => {
    calls++;
    for (let i = 0; i < count; i++) {
      let crc = 0xffffffff;
      for (const byte of bytes.subarray(ranges[2 * i]!, ranges[2 * i]! + ranges[2 * i + 1]!)) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
      }
      out[i] = ~crc;
    }
  };

  test("the bytes are the same, with one call for a frame and one for a chunk of frames", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 5 }), (records) => {
        calls = 0;
        const bytes = sealedFrame(records, {}, 4096, other);
        expect(calls).toBe(1);
        expect(bytes).toEqual(sealedFrame(records, {}, 4096, checksumRanges));
        const two = new Uint8Array([...bytes, ...bytes]);
        const frames = [0, bytes.length].map((at) => ({ at, header: readFrameHeader(two, at)! }));
        calls = 0;
        expect(new FrameVerifier(4096, other).verify(two, frames)).toEqual([true, true]);
        expect(calls).toBe(1);
      }),
      { numRuns: 30 },
    );
  });
});

describe("room in a frame", () => {
  test("a record fits exactly up to the last byte, and one that doesn't changes nothing", () => {
    const bytes = new Uint8Array(8192).fill(0xee);
    const builder = new FrameBuilder(4096);
    builder.begin(bytes, 0, 4096);
    const room = 4096 - 192;
    expect(builder.fits(room)).toBe(true);
    expect(builder.fits(room + 8)).toBe(false);
    expect(() => builder.append({ payload: new Uint8Array(room - 31) })).toThrow(code("RECORD_TOO_LARGE"));
    expect(() => builder.appendEncoded(encodeRecord({ payload: new Uint8Array(room - 31) }))).toThrow(
      code("RECORD_TOO_LARGE"),
    );
    expect([builder.recordCount, builder.length, builder.paddedLength]).toEqual([0, 192, 4096]);
    builder.append({ payload: new Uint8Array(room - 32) });
    expect([builder.recordCount, builder.length, builder.paddedLength]).toEqual([1, 4096, 4096]);
    expect(builder.fits(recordBytes(0))).toBe(false);
    builder.seal(FIELDS);
    expect(bytes.subarray(4096).every((byte) => byte === 0xee)).toBe(true);
    expect(recordsOf(bytes)).toHaveLength(1);
  });

  test("nothing is written before begin or after seal", () => {
    const builder = new FrameBuilder(4096);
    const record = { payload: new Uint8Array(1) };
    expect(builder.fits(32)).toBe(false);
    expect(() => builder.append(record)).toThrow(code("RECORD_TOO_LARGE"));
    expect(() => builder.seal(FIELDS)).toThrow(code("RECORD_ARGUMENT"));
    builder.begin(new Uint8Array(4096), 0, 4096);
    builder.append(record);
    builder.seal(FIELDS);
    expect(builder.fits(32)).toBe(false);
    expect(() => builder.append(record)).toThrow(code("RECORD_TOO_LARGE"));
    expect(() => builder.seal(FIELDS)).toThrow(code("RECORD_ARGUMENT"));
  });

  test.each<[number, number]>([
    [1, 4096],
    [-4096, 4096],
    [0, 0],
    [0, 4097],
    [4096, 8192],
    [0, Number.NaN],
    [0.5, 4096],
  ])("a place that isn't blocks of the memory (%d, %d) is refused", (start, capacity) => {
    expect(() => new FrameBuilder(4096).begin(new Uint8Array(8192), start, capacity)).toThrow(
      code("RECORD_ARGUMENT"),
    );
  });

  test.each([0, 512, 4095, 5000, 131072, -4096, Number.NaN])(
    "a block of %d bytes is refused",
    (blockBytes) => {
      expect(() => new FrameBuilder(blockBytes)).toThrow(code("RECORD_ARGUMENT"));
      expect(() => new FrameVerifier(blockBytes)).toThrow(code("RECORD_ARGUMENT"));
    },
  );
});

describe("records encoded beforehand", () => {
  test("give the same frame as the records they were made of", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 5 }), (records) => {
        const bytes = new Uint8Array(131072);
        const builder = new FrameBuilder(4096);
        builder.begin(bytes, 0, bytes.length);
        for (const record of records) builder.appendEncoded(encodeRecord(record));
        const { paddedLength } = builder.seal(FIELDS);
        expect(bytes.slice(0, paddedLength)).toEqual(sealedFrame(records));
      }),
    );
  });

  test("a record read can be appended again, as fields or as bytes", () => {
    const bytes = sealedFrame([{ payload: text("again"), type: 0x80000001, tenant: 1n << 63n, shard: 2 }]);
    const record = recordsOf(bytes)[0]!;
    expect(sealedFrame([record])).toEqual(bytes);
    const copy = new Uint8Array(4096);
    const builder = new FrameBuilder(4096);
    builder.begin(copy, 0, 4096);
    builder.appendEncoded(record.encoded);
    builder.seal(FIELDS);
    expect(copy).toEqual(bytes);
  });

  test("damaged ones don't get in, and leave the frame as it was", () => {
    const bytes = new Uint8Array(4096);
    const builder = new FrameBuilder(4096);
    builder.begin(bytes, 0, 4096);
    builder.append({ payload: text("good") });
    const encoded = encodeRecord({ payload: text("encoded beforehand") });
    const damaged = encoded.slice();
    damaged[40]! ^= 1;
    expect(() => builder.appendEncoded(damaged)).toThrow(code("RECORD_CHECKSUM"));
    expect(() => builder.appendEncoded(encoded.subarray(0, 32))).toThrow(code("RECORD_MALFORMED"));
    expect(() => builder.appendEncoded(new Uint8Array(0))).toThrow(code("RECORD_MALFORMED"));
    const two = new Uint8Array([...encoded, ...encoded]);
    expect(() => builder.appendEncoded(two)).toThrow(code("RECORD_MALFORMED"));
    builder.seal(FIELDS);
    expect(bytes).toEqual(sealedFrame([{ payload: text("good") }]));
  });
});

describe("a header that states what can't be is never written", () => {
  test.each<[string, Partial<Record<keyof FrameFields, unknown>>]>([
    ["a kind that doesn't exist", { kind: "other" }],
    ["records in an idle frame", { kind: "idle" }],
    ["an open body in a data frame", { open: { dwbId: DWB_ID, ack: "wal" } }],
    ["a short log id", { logId: new Uint8Array(15) }],
    ["an incarnation that isn't bytes", { incarnation: "0123456789abcdef" }],
    ["sequence 0", { sequence: 0 }],
    ["an unsafe sequence", { sequence: 2 ** 53 }],
    ["an offset in the preamble", { offset: 65536 }],
    ["an offset between blocks", { offset: 131072 + 8 }],
    ["frame number 0", { frameNumber: 0 }],
    ["LSN 0", { firstLsn: 0 }],
    ["a fractional LSN", { firstLsn: 1.5 }],
    ["a watermark above the frame number", { watermark: FIELDS.frameNumber + 1 }],
    ["a negative watermark", { watermark: -1 }],
    ["a time that isn't a number", { time: Number.NaN }],
    ["a chain that isn't a bigint", { chain: 5 }],
    ["a chain of 65 bits", { chain: 1n << 64n }],
    ["a negative chain", { chain: -1n }],
  ])("%s", (_name, fields) => {
    expect(() => sealedFrame([{ payload: text("x") }], fields as Partial<FrameFields>)).toThrow(
      code("RECORD_ARGUMENT"),
    );
  });

  test.each<[string, unknown]>([
    ["no body", undefined],
    ["a short DWB id", { dwbId: new Uint8Array(8), ack: "wal" }],
    ["an unknown ack", { dwbId: DWB_ID, ack: "none" }],
  ])("an open frame with %s", (_name, open) => {
    const fields = { kind: "open", ...(open === undefined ? {} : { open }) } as Partial<FrameFields>;
    expect(() => sealedFrame([], fields)).toThrow(code("RECORD_ARGUMENT"));
  });

  test("a data frame without records", () => {
    expect(() => sealedFrame([])).toThrow(code("RECORD_ARGUMENT"));
  });

  test("the frame can be sealed with right fields after wrong ones", () => {
    const bytes = new Uint8Array(4096);
    const builder = new FrameBuilder(4096);
    builder.begin(bytes, 0, 4096);
    builder.append({ payload: text("x") });
    expect(() => builder.seal({ ...FIELDS, sequence: 0 })).toThrow(code("RECORD_ARGUMENT"));
    builder.seal(FIELDS);
    expect(bytes).toEqual(sealedFrame([{ payload: text("x") }]));
  });

  test("no LSN is given out that can't be counted on from", () => {
    const two = [{ payload: text("x") }, { payload: text("y") }];
    expect(recordsOf(sealedFrame(two, { firstLsn: MAX_LSN - 1 })).at(-1)!.lsn).toBe(MAX_LSN);
    expect(() => sealedFrame(two, { firstLsn: MAX_LSN })).toThrow(code("LSN_EXHAUSTED"));
    expect(verifiedHeader(sealedFrame([], { kind: "close", firstLsn: MAX_LSN + 1 }))!.nextLsn).toBe(
      MAX_LSN + 1,
    );
  });
});

test("ids are copied out of the bytes: a buffer read into again doesn't change a header", () => {
  const bytes = Buffer.from(sealedFrame([{ payload: text("x") }]));
  const header = readFrameHeader(bytes, 0)!;
  bytes.fill(0);
  expect(header.logId).toEqual(LOG_ID);
  expect(header.incarnation).toEqual(INCARNATION);
});

test("several records of which one can't be copied: the frame is as before", () => {
  const gone = text("gone");
  structuredClone(gone, { transfer: [gone.buffer as ArrayBuffer] });
  const builder = new FrameBuilder(4096);
  builder.begin(new Uint8Array(4096), 0, 4096);
  builder.appendAll([{ payload: text("a") }, { payload: text("b") }]);
  const { length } = builder;
  expect(() => builder.appendAll([{ payload: text("never") }, { payload: gone }])).toThrow();
  const large = { payload: new Uint8Array(4000) };
  expect(() => builder.appendAll([{ payload: text("never") }, large])).toThrow(code("RECORD_TOO_LARGE"));
  expect([builder.recordCount, builder.length]).toEqual([2, length]);
});
