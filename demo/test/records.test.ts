import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_RECORD_BYTES, measure, readRecords } from "../src/records.js";
import { sampleFile } from "../src/sample-file.js";
import { scratchDir, writeFile } from "./support/scratch.js";

async function recordsOf(content: Uint8Array): Promise<Buffer[]> {
  const records = [];
  for await (const record of readRecords(writeFile(scratchDir(), content))) records.push(Buffer.from(record));
  return records;
}

describe("the records of a file", () => {
  it.each([
    ["", []],
    ["\n", ["\n"]],
    ["a", ["a"]],
    ["a\n", ["a\n"]],
    ["a\nb", ["a\n", "b"]],
    ["\n\na\r\n", ["\n", "\n", "a\r\n"]],
  ])("of %j are its lines, newlines included", async (content, lines) => {
    expect((await recordsOf(Buffer.from(content))).map(String)).toEqual(lines);
  });

  it("are the file byte for byte, however long its lines, across the chunks it is read in", async () => {
    const line = fc.tuple(
      fc.constantFrom(0, 1, 100, MAX_RECORD_BYTES - 1, MAX_RECORD_BYTES, MAX_RECORD_BYTES + 1, 200_000),
      fc.integer({ min: 0, max: 255 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 12 }), fc.boolean(), async (lines, ended) => {
        const parts = lines.map(([length, byte]) => Buffer.alloc(length, byte));
        const content = Buffer.concat(parts.flatMap((part) => [part, Buffer.from("\n")]));
        const file = ended ? content : content.subarray(0, -1);
        const records = await recordsOf(file);
        expect(Buffer.concat(records).equals(file)).toBe(true);
        expect(records.every(({ length }) => length > 0 && length <= MAX_RECORD_BYTES)).toBe(true);
        // A newline ends a record.
        expect(records.every((record) => [-1, record.length - 1].includes(record.indexOf(0x0a)))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("are many for the file that is there after every install", async () => {
    const { records, bytes } = await measure(sampleFile());
    expect(records).toBeGreaterThan(10_000);
    expect(bytes).toBeGreaterThan(1_000_000);
  });
});
