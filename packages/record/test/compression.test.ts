import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  COMPRESSION_ALGORITHMS,
  type CompressionAlgorithm,
  checkCompression,
  crc32c,
  FrameUnpacker,
  paddedFrameBytes,
  type RecordError,
  readFrameHeader,
} from "../src/index.js";
import { anyRecord, fieldsOf, packedFrame, recordsOf, text, verifiedHeader } from "./sample-frames.js";

const code = (expected: RecordError["code"]) => expect.objectContaining({ code: expected });
const compressible = { payload: text("again and ".repeat(2000)) };

/** A frame whose compressed body was exchanged for another of a stated length, checksums and all. */
function forged(body: Uint8Array, plainBytes: number): Uint8Array {
  const frame = new Uint8Array(paddedFrameBytes(192 + body.length + 8, 4096));
  const template = packedFrame([compressible], {
    compression: checkCompression({ algorithm: "deflate-raw" }),
  });
  frame.set(template.subarray(0, 192));
  frame.set(body, 192);
  const view = new DataView(frame.buffer);
  view.setUint32(16, 192 + Math.ceil(body.length / 8) * 8, true);
  view.setUint32(132, plainBytes, true);
  view.setUint32(136, body.length, true);
  const sums = new Uint8Array(4);
  new DataView(sums.buffer).setUint32(0, crc32c(frame, 192), true);
  view.setUint32(12, crc32c(sums), true);
  view.setUint32(8, crc32c(frame, 12, 192), true);
  return frame;
}

const unpack = (frame: Uint8Array) => new FrameUnpacker(undefined).unpack(frame, 0, verifiedHeader(frame)!);

describe.each(COMPRESSION_ALGORITHMS)("compressed with %s", (algorithm) => {
  const compression = checkCompression({ algorithm });

  test("records come back, in fewer blocks or as they are", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 6 }), (records) => {
        const frame = packedFrame(records, { compression });
        expect(recordsOf(frame).map(fieldsOf)).toEqual(records.map(fieldsOf));
        const plain = packedFrame(records, {});
        const { packed } = readFrameHeader(frame, 0)!;
        if (packed === undefined) expect(frame).toEqual(plain);
        else expect(frame.length).toBeLessThan(plain.length);
      }),
      { numRuns: 60 },
    );
  });

  test("a frame that would not take fewer blocks is stored as it is", () => {
    const random = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 2654435761) >>> ((i % 3) * 8));
    for (const payload of [text("a small record"), random.map((byte, i) => byte ^ (i >> 5))]) {
      expect(readFrameHeader(packedFrame([{ payload }], { compression }), 0)!.packed?.compression).toSatisfy(
        (used) => used === undefined || payload.length > 4096,
      );
    }
    expect(
      readFrameHeader(packedFrame([{ payload: text("small") }], { compression }), 0)!.packed,
    ).toBeUndefined();
    expect(readFrameHeader(packedFrame([compressible], { compression }), 0)!.packed).toMatchObject({
      compression: algorithm,
      encrypted: false,
    });
  });
});

describe("what expands to something else than it says is refused", () => {
  const bomb = deflateRawSync(new Uint8Array(64 << 20));

  test("a decompression bomb allocates no more than the frame states", () => {
    const before = process.memoryUsage().arrayBuffers;
    expect(() => unpack(forged(bomb, 131_072))).toThrow(code("RECORD_MALFORMED"));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20);
  });

  test("a frame that states more than a frame can hold isn't one", () => {
    expect(readFrameHeader(forged(bomb, 2 ** 30 + 8), 0)).toBeUndefined();
  });

  test("too few bytes, and bytes that are no compressed stream", () => {
    const short = deflateRawSync(new Uint8Array(1000));
    expect(() => unpack(forged(short, 2000))).toThrow(code("RECORD_MALFORMED"));
    expect(() => unpack(forged(text("this is no deflate stream at all"), 2000))).toThrow(
      code("RECORD_MALFORMED"),
    );
  });

  test("a stream of the right length that holds no records", () => {
    expect(() => unpack(forged(deflateRawSync(new Uint8Array(2000).fill(7)), 2000))).toThrow(
      code("RECORD_MALFORMED"),
    );
  });
});

test.each<[string, CompressionAlgorithm, number | undefined, RecordError["code"]]>([
  ["an unknown algorithm", "gzip" as CompressionAlgorithm, undefined, "RECORD_ARGUMENT"],
  ["level 0 of deflate", "deflate-raw", 0, "RECORD_ARGUMENT"],
  ["level 12 of brotli", "brotli", 12, "RECORD_ARGUMENT"],
  ["half a level", "brotli", 1.5, "RECORD_ARGUMENT"],
])("%s is refused", (_name, algorithm, level, expected) => {
  expect(() => checkCompression({ algorithm, level })).toThrow(code(expected));
});

test("zstd is offered where this Node.js has it, and a typed error where it hasn't", () => {
  if (COMPRESSION_ALGORITHMS.includes("zstd")) expect(checkCompression({ algorithm: "zstd" }).level).toBe(3);
  else expect(() => checkCompression({ algorithm: "zstd" })).toThrow(code("UNSUPPORTED_FORMAT"));
});
