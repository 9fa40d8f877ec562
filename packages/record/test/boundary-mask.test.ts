import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameVerifier, frameRecords, intactRecords, readFrameHeader, remaskFrame } from "../src/index.js";
import { FIELDS, recordsOf, sealedFrame, text, verifiedHeader } from "./sample-frames.js";

const code = (expected: string) => expect.objectContaining({ name: "RecordError", code: expected });
const MAGIC = text("SWFRAME1");
const MAGIC_NUMBER = new DataView(MAGIC.buffer, MAGIC.byteOffset).getBigUint64(0, true);
/** Bytes of a first record's payload in the frame's first block. */
const FIRST = 4096 - 192 - 32;

/** File positions inside the frame at which a search would find a frame. */
function found(bytes: Uint8Array, step = 4096): number[] {
  const places = [];
  for (let at = step; at < bytes.length; at += step) {
    if (Buffer.compare(bytes.subarray(at, at + 8), MAGIC) === 0 || readFrameHeader(bytes, at) !== undefined) {
      places.push(at);
    }
  }
  return places;
}

function expectPayload(bytes: Uint8Array, payload: Uint8Array, blockBytes = 4096): void {
  const [record] = recordsOf(bytes, blockBytes);
  expect(Buffer.compare(record!.payload, payload)).toBe(0);
}

const forged = sealedFrame([{ payload: text("never appended") }], { frameNumber: 42, watermark: 42 });

describe("a frame image in a payload can't pose as a frame of the log", () => {
  test.each([4096, 8192, 65536])("at every 4 KiB, with blocks of %d bytes", (blockBytes) => {
    const payload = new Uint8Array(FIRST + 40 * 4096);
    for (let at = FIRST; at < payload.length; at += 4096) payload.set(forged, at);
    const bytes = sealedFrame([{ payload }], {}, blockBytes);
    expect(found(bytes)).toEqual([]);
    expectPayload(bytes, payload, blockBytes);
  });

  test("at any place, in the last block too", () => {
    for (let inner = 0; inner < 5; inner++) {
      for (const shift of [-8, -1, 0, 1, 8]) {
        const payload = new Uint8Array(FIRST + 5 * 4096 + 192);
        payload.set(forged.subarray(0, Math.min(4096, payload.length)), FIRST + inner * 4096 + shift);
        const bytes = sealedFrame([{ payload }]);
        expect(found(bytes)).toEqual([]);
        expectPayload(bytes, payload);
      }
    }
    const payload = new Uint8Array(FIRST + 8);
    payload.set(MAGIC, FIRST);
    const bytes = sealedFrame([{ payload }]);
    expect(found(bytes)).toEqual([]);
    expectPayload(bytes, payload);
  });

  test("the magic across the end of one record's header and the start of its payload, or in a record's fields", () => {
    // The second record begins 8 bytes before the block: type and shard lie at its start.
    const second = { payload: text("x"), type: 0, shard: 0, tenant: 0n };
    const view = new DataView(MAGIC.buffer, MAGIC.byteOffset);
    second.type = view.getUint32(0, true);
    second.shard = view.getUint32(4, true);
    const bytes = sealedFrame([{ payload: new Uint8Array(FIRST - 8) }, second]);
    expect(readFrameHeader(bytes, 0)!.boundaryMask).not.toBe(0n);
    expect(found(bytes)).toEqual([]);
    expect(recordsOf(bytes)[1]!.type).toBe(second.type);
  });

  test("a payload made against the choice of the mask", () => {
    // What lies at the boundaries is the magic, and the magic xor-ed with every mask that would be tried first.
    const masks: bigint[] = [0n];
    for (let round = 0; round < 60; round++) {
      const payload = new Uint8Array(FIRST + 4096 * masks.length);
      for (const [i, mask] of masks.entries()) {
        new DataView(payload.buffer).setBigUint64(FIRST + i * 4096, MAGIC_NUMBER ^ mask, true);
      }
      const bytes = sealedFrame([{ payload }]);
      const { boundaryMask } = readFrameHeader(bytes, 0)!;
      expect(masks).not.toContain(boundaryMask);
      expect(found(bytes)).toEqual([]);
      expectPayload(bytes, payload);
      masks.push(boundaryMask);
    }
  });

  test("any mixture at the boundaries", () => {
    const word = fc.oneof(
      fc.constant(MAGIC_NUMBER),
      fc.constant(0n),
      fc.nat(8).map((low) => MAGIC_NUMBER ^ ((0xffff_ffffn << 32n) | BigInt(low))),
      fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 12 }), (words) => {
        const payload = new Uint8Array(FIRST + 4096 * words.length);
        for (const [i, value] of words.entries()) {
          new DataView(payload.buffer).setBigUint64(FIRST + i * 4096, value, true);
        }
        const bytes = sealedFrame([{ payload }]);
        expect(found(bytes)).toEqual([]);
        expect(readFrameHeader(bytes, 0)!.boundaryMask === 0n).toBe(!words.includes(MAGIC_NUMBER));
        expectPayload(bytes, payload);
      }),
    );
  });
});

describe("a mask that was undone in memory", () => {
  const payload = new Uint8Array(FIRST + 4096 + 100).fill(7);
  payload.set(forged.subarray(0, 4096), FIRST);
  const onDisk = sealedFrame([{ payload }]);

  test("is undone once for a header, however often it is verified", () => {
    const bytes = onDisk.slice();
    const header = readFrameHeader(bytes, 0)!;
    const verifier = new FrameVerifier(4096);
    for (let i = 0; i < 3; i++) {
      expect(verifier.verify(bytes, [{ header, at: 0 }])).toEqual([true]);
      expect(Buffer.compare([...frameRecords(bytes, 0, header)][0]!.payload, payload)).toBe(0);
    }
  });

  test("is there again in what a repair writes home", () => {
    const bytes = onDisk.slice();
    const header = verifiedHeader(bytes)!;
    expect(bytes).not.toEqual(onDisk);
    remaskFrame(bytes, 0, header);
    expect(bytes).toEqual(onDisk);
    remaskFrame(bytes, 0, header);
    expect(bytes).toEqual(onDisk);
    expect(() => frameRecords(bytes, 0, header)).toThrow(code("RECORD_ARGUMENT"));
  });

  test("is put back where the frame is wrong, so that a search behind it meets no forged frame", () => {
    for (const at of [200, 300, 4096 + 50, 8000, 12287]) {
      const bytes = onDisk.slice();
      bytes[at]! ^= 1;
      const before = bytes.slice();
      expect(verifiedHeader(bytes)).toBeUndefined();
      expect(bytes).toEqual(before);
      expect([...intactRecords(bytes, 0, readFrameHeader(bytes, 0)!, 4096)].length).toBe(
        at === 12287 ? 1 : 0,
      );
      expect(bytes).toEqual(before);
      expect(found(bytes)).toEqual([]);
    }
  });

  test("is a matter of that frame alone: others in the chunk keep their bytes", () => {
    const plain = sealedFrame([{ payload: new Uint8Array(9000).fill(3) }]);
    const chunk = new Uint8Array([...plain, ...onDisk, ...plain]);
    const places = [0, plain.length, plain.length + onDisk.length].map((at) => ({
      at,
      header: readFrameHeader(chunk, at)!,
    }));
    expect(new FrameVerifier(4096).verify(chunk, places)).toEqual([true, true, true]);
    expect(chunk.slice(0, plain.length)).toEqual(plain);
    expect(chunk.slice(plain.length + onDisk.length)).toEqual(plain);
    remaskFrame(chunk, plain.length, places[1]!.header);
    expect(chunk).toEqual(new Uint8Array([...plain, ...onDisk, ...plain]));
  });

  test("a frame without one is never changed", () => {
    const bytes = sealedFrame([{ payload: new Uint8Array(9000).fill(3) }]);
    const before = bytes.slice();
    const header = verifiedHeader(bytes)!;
    remaskFrame(bytes, 0, header);
    expect(bytes).toEqual(before);
    expect(header.boundaryMask).toBe(0n);
    expect(header.chain).toBe(FIELDS.chain);
  });
});
