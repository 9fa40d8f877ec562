import { deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { payloadsOf } from "../src/payloads.js";

test("records have the size asked for, differ from each other, and are the same in every run", () => {
  for (const bytes of [16, 100, 1024 * 1024]) {
    const [first, again] = [payloadsOf(bytes), payloadsOf(bytes)];
    const some = [first(), first(), first()].map((payload) => Buffer.from(payload).toString("latin1"));
    expect(some.map(({ length }) => length)).toEqual([bytes, bytes, bytes]);
    expect(new Set(some).size).toBe(3);
    expect(Buffer.from(again()).toString("latin1")).toBe(some[0]);
  }
});

test("there is always another record", () => {
  const next = payloadsOf(1024);
  for (let count = 0; count < 10_000; count += 1) expect(next()).toHaveLength(1024);
});

test("records compress as JSON does, many together, and one alone hardly: else compression would look better than it is", () => {
  const share = (count: number, bytes: number) => {
    const records = Buffer.concat(Array.from({ length: count }, payloadsOf(bytes)));
    return deflateRawSync(records, { level: 1 }).length / records.length;
  };
  for (const together of [share(64, 100), share(1024, 100), share(64, 4096), share(256, 4096)]) {
    expect(together).toBeGreaterThan(0.2);
    expect(together).toBeLessThan(0.4);
  }
  expect(share(1, 100)).toBeGreaterThan(0.7);
});
