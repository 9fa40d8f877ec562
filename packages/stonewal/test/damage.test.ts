import { readFileSync, statSync, truncateSync, unlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { verdict } from "../src/cli/judgement.js";
import { type InspectReport, inspect, openWal, verify } from "../src/index.js";
import { ok, run } from "./support/cli.js";
import { flip, overwrite, scratch, segments } from "./support/files.js";
import { closedLog, commitLines, printed, SMALL } from "./support/logs.js";

/** Frames, of one record each, that don't fit into one segment of 256 KiB. */
const RECORDS = 40;
const TINY = { segmentBytes: 262_144, bufferBytes: 262_144 };

interface Place {
  readonly path: string;
  readonly offset: number;
}

async function structure(
  dir: string,
): Promise<
  InspectReport & { list: { file: string; offset: number; bytes: number; paddingBytes: number }[] }
> {
  return inspect({ dir }, async (report) => {
    const list = [];
    for await (const frame of report.frameList()) list.push(frame);
    return { ...report, list };
  });
}

/** Every byte that says something about the log's structure, and a sample of the rest of what is used. */
async function placesToFlip(dir: string): Promise<Place[]> {
  const { list, segmentList } = await structure(dir);
  const places: Place[] = [];
  const every = (path: string, from: number, to: number, step = 1) => {
    for (let offset = from; offset < to; offset += step) places.push({ path, offset });
  };
  for (const { name } of segmentList) {
    for (const copy of [0, 65_536]) {
      every(join(dir, name), copy, copy + 256, 7);
      every(join(dir, name), copy + 256, copy + 65_536, 15_013);
    }
  }
  for (const { file, offset, bytes, paddingBytes } of list.filter(
    (_, index) => index === 0 || index === 17,
  )) {
    every(file, offset, offset + bytes);
    every(file, offset + bytes, offset + bytes + paddingBytes, 701);
  }
  // The end says how the log ended.
  for (const { file, offset } of list.slice(-2, -1)) every(file, offset, offset + 192);
  for (const { file, offset } of list.slice(-1)) every(file, offset, offset + 192, 5);
  for (const copy of [0, 65_536]) {
    every(join(dir, "anchor"), copy, copy + 256, 7);
    every(join(dir, "anchor"), copy + 256, copy + 65_536, 15_013);
  }
  return places;
}

async function check(dir: string, { path, offset }: Place): Promise<void> {
  const restore = flip(path, offset);
  const report = await verify({ dir });
  const where = `${basename(path)} at ${offset}`;
  const named = [...report.corruption, ...report.dwb.restores].filter((damage) => damage.file === path);
  expect(named, `${where} is not named`).not.toEqual([]);
  if (verdict(report) === 0) {
    expect(report.records, `${where}: fewer records, and no word of it`).toBe(RECORDS);
    expect(report.dwb.restores, `${where}: exit 0 without a reason`).not.toEqual([]);
  }
  restore();
}

describe("one flipped byte in the used area of a closed log is named, or made good by the double-write buffer", () => {
  test.each([
    ["without", "off" as const],
    ["with", { slots: 8 }],
  ])("%s a double-write buffer", async (_, dwb) => {
    const dir = scratch();
    await closedLog(dir, RECORDS, { ...TINY, dwb });
    expect(segments(dir).length).toBeGreaterThan(1);
    for (const place of await placesToFlip(dir)) await check(dir, place);
    expect(verdict(await verify({ dir }))).toBe(0);
    expect((await verify({ dir })).corruption).toEqual([]);
  });

  test("the command line says the same, and cat never prints fewer records with 0", async () => {
    const dir = scratch();
    await closedLog(dir, RECORDS, { ...TINY, dwb: { slots: 8 } });
    const places = await placesToFlip(dir);
    for (let i = 0; i < 12; i++) {
      const place = places[Math.floor((i * places.length) / 12)] as Place;
      const restore = flip(place.path, place.offset);
      const { code, stdout } = await run(["verify", dir, "--json"]);
      const report = JSON.parse(stdout.toString());
      const text = (await run(["verify", dir])).stdout.toString();
      expect(text).toContain(basename(place.path));
      const cat = await run(["cat", dir]);
      if (code === 0) {
        expect(report).toMatchObject({ records: RECORDS });
        expect(report.dwb.restores).not.toEqual([]);
        expect(text).toContain("double-write buffer");
      } else {
        expect(code).toBe(1);
        expect(report.corruption[0].file).toBe(place.path);
        expect(text).toContain("damaged:");
      }
      if (cat.code === 0) expect(cat.stdout.toString()).toBe(printed(RECORDS));
      else {
        expect(cat.code).toBe(1);
        expect(cat.stderr).toMatch(/^stonewal: WAL_[A-Z_]+: [^\n]+\n$/);
        expect(printed(RECORDS).startsWith(cat.stdout.toString())).toBe(true);
      }
      restore();
    }
  });

  test("a flipped byte in the double-write buffer itself costs no record", async () => {
    const dir = scratch();
    await closedLog(dir, RECORDS, { ...TINY, dwb: { slots: 8 } });
    const path = join(dir, "dwb");
    const { size } = statSync(path);
    for (let offset = 0; offset < size; offset += 7919) {
      const restore = flip(path, offset);
      const report = await verify({ dir });
      expect(report.records).toBe(RECORDS);
      expect(verdict(report)).toBe(0);
      restore();
    }
  });
});

describe("damage is never taken for the end of the log", () => {
  test("a segment file that was cut short", async () => {
    for (const cut of [1, 4096, 100_000, 200_000]) {
      const dir = scratch();
      await closedLog(dir, RECORDS, TINY);
      const [first, last] = [segments(dir)[0] as string, segments(dir).at(-1) as string];
      for (const path of [last, first]) {
        truncateSync(path, 262_144 - cut);
        const { code, stdout } = await run(["verify", dir, "--json"]);
        expect(code).toBe(1);
        expect(JSON.parse(stdout.toString()).corruption).toContainEqual(
          expect.objectContaining({ code: expect.stringMatching(/^WAL_(CUT_SHORT|CORRUPT)$/), file: path }),
        );
        const append = await run(["append", dir], { input: "more\n" });
        expect(append.code).toBe(1);
        expect(append.stderr).toMatch(/^stonewal: WAL_(CUT_SHORT|CORRUPT): [^\n]+\n$/);
      }
    }
  });

  test("acknowledged bytes that became zeros: one block, the end of a segment, all of its frames", async () => {
    const dir = scratch();
    await closedLog(dir, RECORDS, { ...TINY, dwb: "off" });
    const { list, segmentList } = await structure(dir);
    const victim = list.find((frame) => frame.offset > 140_000) as { file: string; offset: number };
    const last = segmentList.at(-1) as { name: string; end: number };
    const tail = list.filter((frame) => basename(frame.file) === last.name);
    for (const [path, from, to] of [
      [victim.file, victim.offset, victim.offset + 4096],
      [join(dir, last.name), tail.at(-4)?.offset ?? 131_072, last.end],
      [join(dir, last.name), 131_072, 262_144],
    ] as const) {
      const before = readFileSync(path);
      overwrite(path, from, new Uint8Array(to - from));
      const { code, stdout } = await run(["verify", dir, "--json"]);
      const report = JSON.parse(stdout.toString());
      expect(code).toBe(1);
      expect(report.corruption[0]).toMatchObject({ code: "WAL_CORRUPT", file: path });
      const cat = await run(["cat", dir]);
      expect(cat.code).toBe(1);
      expect(printed(RECORDS).startsWith(cat.stdout.toString())).toBe(true);
      expect(cat.stdout.toString()).toBe(printed(report.records));
      overwrite(path, 0, before);
    }
    expect((await ok(["cat", dir])).toString()).toBe(printed(RECORDS));
  });

  test("a segment that is missing: the first, the last", async () => {
    for (const index of [0, -1]) {
      const dir = scratch();
      await closedLog(dir, RECORDS, TINY);
      unlinkSync(segments(dir).at(index) as string);
      for (const args of [
        ["verify", dir],
        ["repair", dir],
        ["append", dir],
      ]) {
        expect((await run(args)).code).toBe(1);
      }
    }
  });

  test("cat prints what precedes the damage, names it as JSON too, and goes up to it with 0 when asked for no more", async () => {
    const dir = scratch();
    await closedLog(dir, RECORDS, { ...TINY, dwb: "off" });
    const { list } = await structure(dir);
    // The first frame is the one that marks the opening.
    const victim = list[10] as { file: string; offset: number };
    flip(victim.file, victim.offset + 200);
    const { code, stdout, stderr } = await run(["cat", dir, "--json"]);
    expect(code).toBe(1);
    expect(stdout.toString().trimEnd().split("\n")).toHaveLength(9);
    expect(JSON.parse(stderr).error).toMatchObject({
      code: "WAL_CORRUPT",
      file: victim.file,
      offset: victim.offset,
      firstLsn: 10,
    });
    expect((await ok(["cat", dir, "--to", "9"])).toString()).toBe(printed(9));
    expect((await run(["cat", dir, "--from", "11"])).code).toBe(1);
  });
});

test("records that a checkpoint gave up are no damage; asking for them is a wrong call", async () => {
  const dir = scratch();
  const wal = await openWal({ dir, ...SMALL, ...TINY, dwb: "off" });
  await commitLines(wal, RECORDS);
  await wal.checkpoint(30);
  await wal.close();
  expect((await ok(["cat", dir])).toString()).toBe(printed(RECORDS, 31));
  const { code, stderr } = await run(["cat", dir, "--from", "30"]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^stonewal: WAL_TRIMMED: [^\n]+\n$/);
  const report = JSON.parse((await ok(["verify", dir, "--json"])).toString());
  expect(report).toMatchObject({ firstLsn: 31, lastLsn: RECORDS, records: RECORDS - 30, corruption: [] });
});
