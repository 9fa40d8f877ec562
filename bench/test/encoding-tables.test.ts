import { expect, test } from "vitest";
import { encodingTables } from "../src/encoding-tables.js";
import type { SideResult } from "../src/results.js";
import { measured, results } from "./made-up-results.js";

const side = (perSecond: number, writtenPerByte?: number): SideResult => ({
  figures: {
    perSecond: measured(perSecond, 2 * perSecond),
    ...(writtenPerByte === undefined ? {} : { writtenPerByte: measured(writtenPerByte, writtenPerByte) }),
  },
});

test("each encoding is compared with the plain log of its own case, and shown with what it writes", () => {
  const tables = encodingTables(
    results(
      {
        experiment: "encoding",
        name: "64 committers",
        sides: { plain: side(100, 3.84), "deflate-raw": side(50, 1.28) },
      },
      { experiment: "decoding", name: "4 KiB", sides: { plain: side(10), "deflate-raw": side(2) } },
    ),
  );
  // What is not there leaves its cells empty.
  expect(tables).toContain("| plain |  | 1 |  |  |  | 1 |");
  expect(tables).toContain("| deflate-raw |  | 0.50 (0.50–0.50) |  |  |  | 0.20 (0.20–0.20) |");
  expect(tables).toContain("| plain |  | 3.84 |  |  |");
  expect(tables).toContain("| deflate-raw |  | 1.28 |  |  |");
});

test("without a measurement there is no table, and not one of nothing", () => {
  expect(encodingTables(results())).toBeUndefined();
});
