import fc from "fast-check";
import { expect, test } from "vitest";
import { LineSplitter } from "../src/cli/lines.js";
import { jsonInteger, positiveInteger, u32 } from "../src/cli/numbers.js";

test("however the input is cut into chunks, the same lines come out, and none is lost", () => {
  const input = fc.uint8Array({ maxLength: 200, max: 12 });
  fc.assert(
    fc.property(input, fc.array(fc.nat(200)), (bytes, cuts) => {
      const splitter = new LineSplitter();
      const lines: Buffer[] = [];
      let from = 0;
      for (const to of [
        ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b),
        bytes.length,
      ]) {
        for (const line of splitter.push(bytes.subarray(from, to))) lines.push(Buffer.from(line));
        from = to;
      }
      const rest = splitter.end();
      if (rest !== undefined) lines.push(Buffer.from(rest));
      const expected = Buffer.from(bytes).toString("latin1").split("\n");
      if (expected.at(-1) === "") expected.pop();
      expect(lines.map((line) => line.toString("latin1"))).toEqual(expected);
    }),
  );
});

test("how much of an unfinished line is held is known, so that it can be bounded", () => {
  const splitter = new LineSplitter();
  expect([...splitter.push(Buffer.from("ab\ncd"))]).toHaveLength(1);
  expect(splitter.pendingBytes).toBe(2);
  expect([...splitter.push(Buffer.from("ef"))]).toHaveLength(0);
  expect(splitter.pendingBytes).toBe(4);
  expect([...splitter.push(Buffer.from("\n"))]).toHaveLength(1);
  expect(splitter.pendingBytes).toBe(0);
  expect(splitter.end()).toBeUndefined();
});

test.each(["", " 1", "1 ", "1.5", "1e3", "-1", "+1", "0", "0x10", "١", "9007199254740992", "NaN"])(
  "%j is no LSN",
  (input) => {
    expect(() => positiveInteger(input)).toThrow();
  },
);

test.each([
  ["0", 0],
  ["7", 7],
  ["4294967295", 0xffffffff],
  ["0x80000001", 0x80000001],
  ["0XFF", 255],
])("%s is a type", (input, value) => {
  expect(u32(input)).toBe(value);
});

test.each(["", "-1", "4294967296", "0x100000000", "0x", "1.0", "ff"])("%j is no type", (input) => {
  expect(() => u32(input)).toThrow();
});

test("a 64-bit integer stays exact in JSON", () => {
  expect(jsonInteger(0n)).toBe(0);
  expect(jsonInteger(2n ** 53n - 1n)).toBe(9007199254740991);
  expect(jsonInteger(2n ** 53n)).toBe("9007199254740992");
});
