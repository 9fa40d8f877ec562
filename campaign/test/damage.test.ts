import { test } from "vitest";
import { expectAll, runSeeds } from "./seeds.js";

test("one damaged block, or a file cut short or missing: everything acknowledged is there, or the opening is refused with a stable code and changes nothing", {
  timeout: 600_000,
}, async () => {
  const counts = await runSeeds("damage", 100);
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

test("a device that lies once: what was acknowledged is there or its loss is said, unless it was the very last and nothing bore witness yet; nothing comes back that nobody wrote", {
  timeout: 600_000,
}, async () => {
  const counts = await runSeeds("lying device", 150);
  expectAll(
    counts,
    /write lost/,
    /write misdirected/,
    /write rot/,
    /sync lost/,
    /read stale/,
    /refused: WAL_CORRUPT/,
  );
});

test("a folio torn by the kernel's write-back: what was acknowledged comes back from its copy, or the opening is refused; without copies the last commits may be lost", {
  timeout: 600_000,
}, async () => {
  const counts = await runSeeds("torn folios", 80);
  expectAll(counts, /crash neighbour zeros/, /crash neighbour garbage/);
});

test("the same beside a ring with room for the copies of a folio's frames: nothing is lost, and nothing refused", {
  timeout: 600_000,
}, async () => {
  const counts = await runSeeds("torn folios, a roomy ring", 80);
  expectAll(counts, /crash neighbour zeros/, /crash neighbour garbage/);
});
