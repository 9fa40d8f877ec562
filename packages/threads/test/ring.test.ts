import fc from "fast-check";
import { expect, test } from "vitest";
import { makeMemory } from "../src/link.js";
import { RequestReader } from "../src/request-reader.js";
import { RequestWriter } from "../src/request-writer.js";

const step = fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.integer({ min: 0, max: 12_000 }), { minLength: 1, maxLength: 2 }) },
  { weight: 2, arbitrary: fc.constant("take" as const) },
);

test("requests come out of the ring as they went in, in order, wherever it wraps around; a full one takes nothing", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const shape = makeMemory({ ringBytes: 65_536, pendingLimit: 1 });
      const writer = new RequestWriter(shape);
      const reader = new RequestReader(shape);
      const inside: number[][] = [];
      let mark = 0;
      for (const lengths of steps) {
        if (lengths === "take") {
          const records = reader.peek();
          expect(records?.map(({ payload }) => payload.length)).toEqual(inside[0]?.slice(1));
          for (const { payload, shard } of records ?? []) {
            expect(shard).toBe(inside[0]?.[0]);
            expect(payload.every((byte) => byte === ((shard as number) & 0xff))).toBe(true);
          }
          if (records !== undefined) reader.shift();
          inside.shift();
        } else {
          mark += 1;
          const records = lengths.map((length) => ({
            payload: new Uint8Array(length).fill(mark & 0xff),
            shard: mark,
          }));
          if (writer.put(records)) inside.push([mark, ...lengths]);
          // What may take half of the ring always fits into an empty one.
          else expect(inside.length).toBeGreaterThan(0);
        }
        expect(reader.empty).toBe(inside.length === 0);
      }
    }),
    { numRuns: 300 },
  );
});
