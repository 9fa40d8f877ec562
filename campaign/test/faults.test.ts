import { test } from "vitest";
import { expectAll, runSeeds } from "./seeds.js";

const MINUTES = 60_000;

test("no acknowledged record is lost to a kill at any point, a close, or calls that take their time", {
  timeout: 10 * MINUTES,
}, async () => {
  const counts = await runSeeds("processes end", 150);
  expectAll(counts, /ended by kill/, /ended by close$/, /write short/, /sync interrupted/, /sync slow/);
});

test("no acknowledged record is lost to calls that fail, and what fails is said with a stable code", {
  timeout: 10 * MINUTES,
}, async () => {
  const counts = await runSeeds("failing calls", 200);
  expectAll(
    counts,
    /sync EIO/,
    /sync partial/,
    /write EIO/,
    /write partial/,
    /syncDirectory EIO/,
    /read EIO/,
  );
});

test("no acknowledged record is lost to a full disk, nobody waits for ever, and it works again when there is room", {
  timeout: 10 * MINUTES,
}, async () => {
  const counts = await runSeeds("full disk", 150);
  expectAll(counts, /^opened with another key$/, /^key changed$/);
});
