import { test } from "vitest";
import { expectAll, runSeeds } from "./seeds.js";

test("one damaged block, or a file cut short or missing: everything acknowledged is there, or the opening is refused with a stable code and changes nothing", {
  timeout: 300_000,
}, async () => {
  const counts = await runSeeds("damage", 200);
  expectAll(
    counts,
    /segment.wal: kept/,
    /WAL_CORRUPT/,
    /WAL_CUT_SHORT/,
    /WAL_MISSING_SEGMENT/,
    /WAL_UNREADABLE/,
    /dwb: kept/,
  );
});
