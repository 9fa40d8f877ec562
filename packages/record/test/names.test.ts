import fc from "fast-check";
import { expect, test } from "vitest";
import {
  asideName,
  parseAsideName,
  parseSegmentName,
  parseSpareName,
  segmentName,
  spareName,
} from "../src/index.js";
import { INCARNATION } from "./sample-frames.js";

const code = (expected: string) => expect.objectContaining({ name: "RecordError", code: expected });
const count = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

test("names are those of the format page", () => {
  expect(segmentName(3, 1000)).toBe("00000000000000000003-00000000000000001000.wal");
  expect(spareName(0)).toBe("spare-00000000000000000000");
  expect(spareName(7, true)).toBe("spare-00000000000000000007.new");
  expect(asideName(3, 44, INCARNATION)).toBe(
    "aside-00000000000000000003-00000000000000000044-101112131415161718191a1b1c1d1e1f",
  );
});

test("what went into a name comes out of it", () => {
  fc.assert(
    fc.property(
      count,
      count,
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.boolean(),
      (a, b, id, flag) => {
        expect(parseSegmentName(segmentName(a, b))).toEqual({ sequence: a, firstLsn: b });
        expect(parseSpareName(spareName(a, flag))).toEqual({ number: a, unfinished: flag });
        expect(parseAsideName(asideName(a, b, id))).toEqual({ sequence: a, frameNumber: b, incarnation: id });
      },
    ),
  );
});

test("a sorted listing is the order of the segments", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(count, count), { maxLength: 20 }), (pairs) => {
      const byNumber = [...pairs].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      const names = pairs.map(([sequence, firstLsn]) => segmentName(sequence, firstLsn)).sort();
      expect(names).toEqual(byNumber.map(([sequence, firstLsn]) => segmentName(sequence, firstLsn)));
    }),
  );
});

test.each([
  "",
  "anchor",
  "3-1000.wal",
  "00000000000000000003-00000000000000001000",
  "00000000000000000003-00000000000000001000.wal.bak",
  "x00000000000000000003-00000000000000001000.wal",
  "00000000000000000003-00000000000000001000.wal\n",
  "00000000000000000000-00000000000000001000.wal",
  "00000000000000000003-00000000000000000000.wal",
  "+0000000000000000003-00000000000000001000.wal",
  "spare-7",
  "spare-00000000000000000007.old",
  "aside-00000000000000000003-00000000000000000044-101112131415161718191A1B1C1D1E1F",
  "aside-00000000000000000003-00000000000000000000-101112131415161718191a1b1c1d1e1f",
])("a stranger's file %j is not taken for one of the log's", (name) => {
  expect(parseSegmentName(name)).toBeUndefined();
  expect(parseSpareName(name)).toBeUndefined();
  expect(parseAsideName(name)).toBeUndefined();
});

test("a segment whose number can't be handled is reported, not passed over", () => {
  const large = "00009007199254740992";
  const one = "00000000000000000001";
  expect(() => parseSegmentName(`${large}-${one}.wal`)).toThrow(code("UNSUPPORTED_FORMAT"));
  expect(() => parseSegmentName(`${one}-99999999999999999999.wal`)).toThrow(code("UNSUPPORTED_FORMAT"));
  expect(() => parseSpareName(`spare-${large}`)).toThrow(code("UNSUPPORTED_FORMAT"));
  expect(() => parseAsideName(`aside-${one}-${large}-${"0".repeat(32)}`)).toThrow(code("UNSUPPORTED_FORMAT"));
});

test.each([0, -1, 1.5, Number.NaN, 2 ** 53])("no name is made of %d", (value) => {
  expect(() => segmentName(value, 1)).toThrow(code("RECORD_ARGUMENT"));
  expect(() => segmentName(1, value)).toThrow(code("RECORD_ARGUMENT"));
  expect(() => asideName(1, value, INCARNATION)).toThrow(code("RECORD_ARGUMENT"));
  expect(() => asideName(1, 1, new Uint8Array(3))).toThrow(code("RECORD_ARGUMENT"));
  if (value !== 0) expect(() => spareName(value)).toThrow(code("RECORD_ARGUMENT"));
});
