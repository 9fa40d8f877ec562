import { checksumRanges, crc32c } from "@stonewal/record";
import fc from "fast-check";
import { expect, test } from "vitest";
import { pwrite } from "../src/index.js";
import { loadAddon } from "../src/loader.js";

const BYTES = 60_000;
const native = loadAddon();
const { bytes } = pwrite().arena(BYTES);
bytes.set(pwrite().random(BYTES));

const range = fc
  .tuple(fc.nat(BYTES), fc.oneof(fc.nat(64), fc.nat(1000), fc.nat(BYTES)))
  .map(([start, length]) => [start, Math.min(length, BYTES - start)]);

test("checksums of the processor, of the addon's table and of the record package are the same", () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 20 }), (pairs) => {
      const ranges = Uint32Array.from(pairs.flat());
      const [dispatched, portable, typescript] = [0, 1, 2].map(() => new Uint32Array(pairs.length));
      expect(native.checksum(bytes, ranges, pairs.length, dispatched as Uint32Array)).toBe(true);
      expect(native.portableChecksum(bytes, ranges, pairs.length, portable as Uint32Array)).toBe(true);
      checksumRanges(bytes, ranges, pairs.length, typescript as Uint32Array);
      expect(dispatched).toEqual(typescript);
      expect(portable).toEqual(typescript);
    }),
    { numRuns: 500 },
  );
});

test("checksums of bytes that change in every run are the same", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.nat(16), (some, start) => {
      const from = Math.min(start, some.length);
      const out = new Uint32Array(1);
      native.checksum(some, Uint32Array.of(from, some.length - from), 1, out);
      expect(out[0]).toBe(crc32c(some, from));
    }),
  );
});

test("the back end offers checksums exactly where the processor has the instructions, and not when told not to", () => {
  expect(pwrite().checksum !== undefined).toBe(native.hardwareChecksum);
  expect(pwrite({ hardwareChecksum: false }).checksum).toBeUndefined();
});

test("whatever is not what it should be is refused, never read", () => {
  const out = new Uint32Array(1);
  const one = Uint32Array.of(0, 1);
  const calls: [unknown, unknown, unknown, unknown][] = [
    [[1, 2], one, 1, out],
    [bytes, [0, 1], 1, out],
    [bytes, one, "1", out],
    [bytes, one, Number.NaN, out],
    [bytes, one, 1, new Uint8Array(4)],
    [bytes, new Uint16Array(2), 1, out],
    [new Uint32Array(4), one, 1, out],
  ];
  for (const call of calls) {
    expect(native.checksum(...(call as Parameters<typeof native.checksum>))).toBe(false);
  }
});
