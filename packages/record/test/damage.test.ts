import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  crc32c,
  type FrameHeader,
  type FramePlace,
  FrameVerifier,
  frameRecords,
  intactRecords,
  paddedFrameBytes,
  RecordError,
  readFrameHeader,
  readOpenBody,
} from "../src/index.js";
import { anyRecord, DWB_ID, FIELDS, sealedFrame, text, verifiedHeader } from "./sample-frames.js";

const code = (expected: string) => expect.objectContaining({ name: "RecordError", code: expected });
const MAGIC = text("SWFRAME1");

/** Makes a header's checksum right again, after something in it was changed: what rot can't do, but a stranger can. */
function resealHeader(bytes: Uint8Array, at = 0): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + 8, crc32c(bytes, at + 12, at + 192), true);
  return bytes;
}

/** Runs everything a reader would on whatever lies at `at`, and answers whether it was a right frame. */
function readAll(bytes: Uint8Array, at: number, blockBytes = 4096): boolean {
  let header: FrameHeader | undefined;
  let right = false;
  const attempt = (action: () => void) => {
    try {
      action();
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
    }
  };
  attempt(() => {
    header = readFrameHeader(bytes, at);
  });
  if (header === undefined) return false;
  const found = header;
  attempt(() => {
    for (const record of intactRecords(bytes, at, found, blockBytes)) record.payload.at(-1);
  });
  attempt(() => {
    right = new FrameVerifier(blockBytes).verify(bytes, [{ header: found, at }])[0]!;
  });
  attempt(() => {
    for (const record of frameRecords(bytes, at, found)) record.encoded.at(-1);
  });
  attempt(() => {
    if (found.kind === "open") readOpenBody(bytes, at, found);
  });
  return right;
}

describe("a single flipped bit is noticed, wherever it is in the blocks of a frame", () => {
  const inner = new Uint8Array(4096 - 192 - 32 + 8);
  inner.set(MAGIC, inner.length - 8);
  test.each<[string, Uint8Array]>([
    [
      "one record",
      sealedFrame([{ payload: text("acknowledged"), type: 1, tenant: 2, shard: 3, database: 4 }]),
    ],
    ["three records", sealedFrame(["a", "", "0123456789"].map((payload) => ({ payload: text(payload) })))],
    ["a full block", sealedFrame([{ payload: new Uint8Array(4096 - 192 - 32).fill(1) }])],
    ["a boundary mask", sealedFrame([{ payload: inner }])],
    ["open", sealedFrame([], { kind: "open", open: { dwbId: DWB_ID, ack: "dwb" } })],
    ["idle", sealedFrame([], { kind: "idle" })],
    ["close", sealedFrame([], { kind: "close" })],
  ])("%s", (_name, bytes) => {
    expect(verifiedHeader(bytes.slice())).toBeDefined();
    const missed: number[] = [];
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      if (verifiedHeader(damaged) !== undefined) missed.push(bit);
    }
    expect(missed).toEqual([]);
  });
});

test("a chunk of frames is judged one by one: damage to one costs no other", () => {
  const frames = Array.from({ length: 6 }, (_, i) =>
    sealedFrame([{ payload: text(`frame ${i}`) }, { payload: new Uint8Array(i * 1500) }]),
  );
  for (let bad = 0; bad < frames.length; bad++) {
    const chunk = Buffer.concat(frames);
    const places: FramePlace[] = [];
    let at = 0;
    for (const [i, frame] of frames.entries()) {
      if (i === bad) chunk[at + 192 + 32]! ^= 4;
      places.push({ at, header: readFrameHeader(chunk, at)! });
      at += frame.length;
    }
    const verifier = new FrameVerifier(4096);
    const expected = frames.map((_, i) => i !== bad);
    expect(verifier.verify(chunk, places)).toEqual(expected);
    expect(verifier.verify(chunk, places)).toEqual(expected); // the verifier's arrays are reused
  }
});

test("a length that was made to skip a record, or to split one, is noticed though each checksum could be right", () => {
  const bytes = sealedFrame([{ payload: text("first") }, { payload: text("second") }]);
  const view = new DataView(bytes.buffer);
  const first = (length: number) => {
    view.setUint32(192 + 4, length, true);
    const end = 192 + 32 + length + ((8 - (length % 8)) % 8);
    if (end <= bytes.length) view.setUint32(192, crc32c(bytes, 196, end), true);
    return verifiedHeader(bytes);
  };
  expect(first(5)).toBeDefined();
  for (const length of [0, 4, 6, 8, 40, 48, 72, 73, 3000, 3872, 0x7fffffff, 0xffffffff]) {
    expect(first(length)).toBeUndefined();
  }
});

test("padding that isn't zero isn't taken for zero, though every checksum is right", () => {
  // Only another writer would do this, so it is done here to the bytes and then to all checksums.
  const bytes = sealedFrame([{ payload: text("x") }]);
  const view = new DataView(bytes.buffer);
  const reseal = () => {
    view.setUint32(192, crc32c(bytes, 196, 232), true);
    const sums = new Uint8Array(8);
    sums.set(bytes.subarray(192, 196));
    new DataView(sums.buffer).setUint32(4, crc32c(bytes, 232), true);
    view.setUint32(12, crc32c(sums), true);
    return verifiedHeader(resealHeader(bytes));
  };
  expect(reseal()).toBeDefined();
  for (const at of [225, 231, 232, 4095]) {
    bytes[at] = 1;
    expect(reseal()).toBeUndefined();
    bytes[at] = 0;
  }
  expect(reseal()).toBeDefined();
});

test("records that don't fill the body exactly are no frame, though every checksum is right", () => {
  // The rest begins behind the last record, so a length that is 8 too large leaves the body checksum as it is.
  const bytes = sealedFrame([{ payload: text("x") }]);
  new DataView(bytes.buffer).setUint32(16, 240, true);
  expect(readFrameHeader(resealHeader(bytes), 0)).toMatchObject({ length: 240, recordCount: 1 });
  expect(verifiedHeader(bytes)).toBeUndefined();
  new DataView(bytes.buffer).setUint32(16, 232, true);
  expect(verifiedHeader(resealHeader(bytes))).toBeDefined();
});

describe("hostile bytes", () => {
  test("no damage to a chunk of frames makes a frame that wasn't written, or anything but a typed error", () => {
    const frames = fc.array(fc.array(anyRecord, { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 4,
    });
    const where = fc.nat();
    const damage = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant("flip" as const), at: where, to: fc.integer({ min: 1, max: 255 }) }),
        fc.record({ kind: fc.constant("zero" as const), at: where, to: fc.nat(5000) }),
        fc.record({ kind: fc.constant("copy" as const), at: where, to: where }),
        fc.record({ kind: fc.constant("cut" as const), at: where, to: where }),
      ),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(frames, damage, (contents, mutations) => {
        const written = contents.map((records, i) => sealedFrame(records, { frameNumber: 41 + i }));
        let chunk = new Uint8Array(Buffer.concat(written));
        for (const { kind, at, to } of mutations) {
          const place = at % chunk.length;
          const blocks = chunk.length / 4096;
          if (kind === "flip") chunk[place]! ^= to;
          if (kind === "zero") chunk.fill(0, place, place + to);
          if (kind === "copy") {
            const from = (to % blocks) * 4096;
            chunk.copyWithin((at % blocks) * 4096, from, from + 4096);
          }
          if (kind === "cut") chunk = chunk.slice(0, Math.ceil((place + 1) / 4096) * 4096);
        }
        for (let at = 0; at < chunk.length; at += 4096) {
          const before = chunk.slice(at);
          if (readAll(chunk, at)) {
            expect(
              written.some((frame) => Buffer.compare(frame, before.subarray(0, frame.length)) === 0),
            ).toBe(true);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test("no header whose checksum is right leads outside of the bytes", () => {
    const u32 = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.nat(10_000), fc.nat(10));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(44), u32), { maxLength: 6 }),
        fc.array(fc.tuple(fc.nat(1000), u32), { maxLength: 3 }),
        fc.integer({ min: 192, max: 8192 }),
        (headerWords, bodyWords, size) => {
          const bytes = sealedFrame([{ payload: text("abc") }, { payload: new Uint8Array(4000) }]);
          const view = new DataView(bytes.buffer);
          for (const [word, value] of headerWords) view.setUint32(12 + 4 * word, value, true);
          for (const [word, value] of bodyWords) view.setUint32(192 + 4 * word, value, true);
          resealHeader(bytes);
          readAll(bytes.slice(0, size), 0);
          readAll(bytes, 0);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("noise is no frame", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 9000, size: "max" }),
        fc.integer({ min: -9, max: 9000 }),
        (bytes, at) => {
          expect(readAll(bytes, at)).toBe(false);
          bytes.set(MAGIC.subarray(0, bytes.length));
          expect(readAll(bytes, 0)).toBe(false);
        },
      ),
    );
  });

  test("a length of 1 GiB in a 4 KiB buffer allocates nothing", () => {
    const bytes = sealedFrame([{ payload: text("x") }]);
    const view = new DataView(bytes.buffer);
    const arrayBuffers = () => process.memoryUsage().arrayBuffers;
    const verifier = new FrameVerifier(4096);

    view.setUint32(16, 1 << 30, true);
    view.setUint32(20, (1 << 25) - 6, true);
    const header = readFrameHeader(resealHeader(bytes), 0)!;
    expect(header).toMatchObject({ length: 1 << 30, recordCount: (1 << 25) - 6 });
    const before = arrayBuffers();
    expect(() => verifier.verify(bytes, [{ header, at: 0 }])).toThrow(code("RECORD_ARGUMENT"));
    expect(() => frameRecords(bytes, 0, header)).toThrow(code("RECORD_ARGUMENT"));
    expect([...intactRecords(bytes, 0, header, 4096)]).toHaveLength(1);
    expect(arrayBuffers() - before).toBeLessThan(1 << 20);

    const record = sealedFrame([{ payload: text("x") }]);
    new DataView(record.buffer).setUint32(192 + 4, 1 << 30, true);
    const again = arrayBuffers();
    expect(readAll(record, 0)).toBe(false);
    expect(arrayBuffers() - again).toBeLessThan(1 << 20);
  });
});

describe("a header that can't be", () => {
  const change = (action: (view: DataView) => void, fields = {}) => {
    const bytes = sealedFrame([{ payload: text("x") }], fields);
    action(new DataView(bytes.buffer));
    return () => readFrameHeader(resealHeader(bytes), 0);
  };

  test.each<[string, (view: DataView) => unknown]>([
    ["a length inside the header", (v) => v.setUint32(16, 184, true)],
    ["a length that isn't a multiple of 8", (v) => v.setUint32(16, 236, true)],
    ["no records in a data frame", (v) => v.setUint32(20, 0, true)],
    ["more records than fit", (v) => v.setUint32(20, 2, true)],
    ["records in a close frame", (v) => v.setUint16(24, 4, true)],
    ["an open frame without its body", (v) => v.setBigUint64(20, 0x2_0000_0000n, true)],
    ["sequence 0", (v) => v.setBigUint64(64, 0n, true)],
    ["an offset in the preamble", (v) => v.setBigUint64(72, 65536n, true)],
    ["an offset between blocks", (v) => v.setBigUint64(72, 131080n, true)],
    ["frame number 0", (v) => new Uint8Array(v.buffer).fill(0, 80, 88).fill(0, 96, 104)],
    ["LSN 0", (v) => v.setBigUint64(88, 0n, true)],
    ["a watermark above the frame number", (v) => v.setBigUint64(96, 42n, true)],
  ])("%s is no frame", (_name, action) => {
    expect(change(() => {})()).toBeDefined();
    expect(change(action)()).toBeUndefined();
  });

  test.each<[string, (view: DataView) => void]>([
    ["kind 0", (v) => v.setUint16(24, 0, true)],
    ["kind 5", (v) => v.setUint16(24, 5, true)],
    ["a flag", (v) => v.setUint16(26, 0x8000, true)],
    ["an unknown compression", (v) => v.setUint16(28, 4, true)],
    ["something behind the compression", (v) => v.setUint16(30, 1, true)],
    ["something in the first reserved byte", (v) => v.setUint8(128, 1)],
    ["something in the last reserved byte", (v) => v.setUint8(191, 1)],
    ["a frame number above 2^53 - 1", (v) => v.setBigUint64(80, 1n << 53n, true)],
    ["a sequence above 2^53 - 1", (v) => v.setBigUint64(64, 1n << 63n, true)],
    ["an LSN above 2^53 - 1", (v) => v.setBigUint64(88, 1n << 53n, true)],
    ["an LSN with none behind it", (v) => v.setBigUint64(88, (1n << 53n) - 1n, true)],
    ["a time above 2^53 - 1", (v) => v.setBigUint64(104, 1n << 53n, true)],
  ])("%s is reported, not taken for the end of the log", (_name, action) => {
    expect(change(action)).toThrow(code("UNSUPPORTED_FORMAT"));
  });

  test("what a later version may write is only believed with a right checksum", () => {
    const bytes = sealedFrame([{ payload: text("x") }]);
    bytes[24] = 9;
    expect(readFrameHeader(bytes, 0)).toBeUndefined();
  });
});

test("an open frame that says something unknown is reported, not guessed at", () => {
  const open = sealedFrame([], { kind: "open", open: { dwbId: DWB_ID, ack: "wal" } });
  const header = verifiedHeader(open)!;
  for (const at of [192 + 16, 192 + 19, 192 + 20, 192 + 31]) {
    const bytes = open.slice();
    bytes[at] = 2;
    expect(() => readOpenBody(bytes, 0, header)).toThrow(code("UNSUPPORTED_FORMAT"));
  }
  expect(() => readOpenBody(open.subarray(0, 223), 0, header)).toThrow(code("RECORD_ARGUMENT"));
});

test("a frame that isn't wholly there is no verdict: the caller has to read more", () => {
  const bytes = sealedFrame([{ payload: new Uint8Array(5000) }]);
  const header = readFrameHeader(bytes, 0)!;
  const verifier = new FrameVerifier(4096);
  expect(paddedFrameBytes(header.length, 4096)).toBe(8192);
  expect(() => verifier.verify(bytes.subarray(0, 8191), [{ header, at: 0 }])).toThrow(
    code("RECORD_ARGUMENT"),
  );
  expect(() => verifier.verify(bytes, [{ header, at: 4096 }])).toThrow(code("RECORD_ARGUMENT"));
  expect(verifier.verify(bytes, [{ header, at: 0 }])).toEqual([true]);
  expect(verifier.verify(bytes, [])).toEqual([]);
  expect(readFrameHeader(bytes.subarray(0, 191), 0)).toBeUndefined();
  expect(FIELDS.chain).toBe(header.chain);
});
