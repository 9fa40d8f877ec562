import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { IoBackend } from "@stonewal/io";
import { pwrite } from "@stonewal/io-pwrite";
import { describe, expect, test } from "vitest";
import { type InspectedFrame, inspect, openReader, openWal, salvageLog } from "../src/index.js";
import { ok, run } from "./support/cli.js";
import { bytesAt, flip, overwrite, scratch, segments, snapshot } from "./support/files.js";
import { bytes, closedLog, commitLines, crashImage, line, printed, SMALL } from "./support/logs.js";

async function frames(dir: string): Promise<InspectedFrame[]> {
  return inspect({ dir }, async (report) => {
    const list = [];
    for await (const frame of report.frameList()) list.push(frame);
    return list;
  });
}

function holding(list: readonly InspectedFrame[], lsn: number): InspectedFrame {
  const found = list.find((frame) => frame.firstLsn <= lsn && lsn <= frame.lastLsn);
  if (found === undefined) throw new Error(`no frame holds LSN ${lsn}`);
  return found;
}

async function frameOf(dir: string, lsn: number): Promise<InspectedFrame> {
  return holding(await frames(dir), lsn);
}

async function json(args: readonly string[]) {
  const { code, stdout } = await run([...args, "--json"]);
  return { code, ...JSON.parse(stdout.toString()) };
}

describe("repair", () => {
  test("puts back what the double-write buffer has, for good", async () => {
    const dir = join(scratch(), "log");
    await crashImage(scratch(), dir, 10);
    const { file, offset } = await frameOf(dir, 8);
    const intact = bytesAt(file, offset, 4096);
    overwrite(file, offset, new Uint8Array(4096).fill(0xee));

    expect((await ok(["cat", dir])).toString()).toBe(printed(10));
    const verify = (await ok(["verify", dir])).toString();
    expect(verify).toContain(
      `restored by the double-write buffer: frame 9 in ${basename(file)} at ${offset}, LSN 8`,
    );
    expect((await ok(["repair", dir, "--dry-run"])).toString()).toContain(
      "would restore from the double-write buffer",
    );
    expect(await json(["repair", dir])).toMatchObject({
      code: 0,
      records: 10,
      restored: [{ file, offset, firstLsn: 8, lastLsn: 8 }],
    });

    expect(bytesAt(file, offset, 4096).equals(intact)).toBe(true);
    expect((await json(["verify", dir])).dwb.restores).toEqual([]);
    expect((await ok(["repair", dir])).toString()).toContain("nothing to repair");
  });

  test("mends the copy of a preamble and of the anchor that was damaged", async () => {
    const dir = scratch();
    await closedLog(dir, 5);
    const path = segments(dir)[0] as string;
    flip(path, 65_536 + 30);
    flip(join(dir, "anchor"), 30);
    expect(await json(["verify", dir])).toMatchObject({
      code: 1,
      records: 5,
      corruption: [{ repairable: true }, { repairable: true }],
    });
    expect((await ok(["repair", dir])).toString()).toContain(`put right: WAL_CORRUPT: ${basename(path)}`);
    expect(await json(["verify", dir])).toMatchObject({ code: 0, corruption: [], closedCleanly: true });
  });

  test("of a closed log writes nothing but what is needed: it stays as it is, closed", async () => {
    const dir = scratch();
    await closedLog(dir, 5);
    const before = snapshot(dir);
    expect((await ok(["repair", dir])).toString()).toContain("nothing to repair");
    expect(snapshot(dir)).toEqual(before);
  });

  test("on corruption changes nothing, ends with 1, and says how to save what can be saved", async () => {
    const dir = scratch();
    await closedLog(dir, 5, { dwb: "off" });
    const { file, offset } = await frameOf(dir, 3);
    flip(file, offset + 200);
    const before = snapshot(dir);
    for (const options of [[], ["--dry-run"]]) {
      const { code, stdout, stderr } = await run(["repair", dir, ...options]);
      expect(code).toBe(1);
      expect(stdout.toString()).toBe("");
      expect(stderr).toMatch(/^stonewal: WAL_CORRUPT: [^\n]+--salvage[^\n]+\n$/);
    }
    const { error } = JSON.parse((await run(["repair", dir, "--json"])).stderr);
    expect(error).toMatchObject({ code: "WAL_CORRUPT", file, offset, firstLsn: 3, lastLsn: 3 });
    expect(error.hint).toContain("--salvage");
    expect(snapshot(dir)).toEqual(before);
  });

  test("of a log in whose double-write buffer's place something else lies says what opening says; so do verify and inspect", async () => {
    const dir = scratch();
    await closedLog(dir, 5);
    const path = join(dir, "dwb");
    writeFileSync(path, randomBytes(statSync(path).size));
    const before = snapshot(dir);
    for (const args of [["repair"], ["repair", "--dry-run"], ["append"]]) {
      const { code, stderr } = await run([...args, dir]);
      expect([args, code]).toEqual([args, 2]);
      expect(stderr).toMatch(/^stonewal: DWB_DAMAGED: [^\n]+moved away\n$/);
      expect(stderr).toContain(path);
    }
    expect(await json(["verify", dir])).toMatchObject({
      code: 2,
      records: 5,
      corruption: [{ code: "DWB_DAMAGED", file: path, repairable: false }],
    });
    const verify = (await run(["verify", dir])).stdout.toString();
    expect(verify).toMatch(/DWB_DAMAGED: [^\n]+moved away\n/);
    expect(verify).toMatch(/every acknowledged record is readable[^\n]+opening for writing is refused\n$/);
    expect(await json(["inspect", dir])).toMatchObject({ code: 2, corruption: [{ code: "DWB_DAMAGED" }] });
    expect((await ok(["cat", dir])).toString()).toBe(printed(5));
    expect(snapshot(dir)).toEqual(before);

    await ok(["append", dir, "--dwb", "off"]);
    renameSync(path, `${path}-moved-away`);
    await ok(["repair", dir]);
    expect((await ok(["append", dir], { input: `${line(6)}\n` })).toString()).toBe("durable 6\n");
    expect((await ok(["cat", dir])).toString()).toBe(printed(6));
  });

  test("leaves a directory that holds no log alone", async () => {
    const dir = scratch();
    writeFileSync(join(dir, "letters.txt"), "dear");
    const before = snapshot(dir);
    expect((await run(["repair", dir])).code).toBe(2);
    expect(snapshot(dir)).toEqual(before);
  });
});

describe("repair --salvage", () => {
  async function damaged(): Promise<string> {
    const dir = scratch();
    await closedLog(dir, 30, { dwb: "off" });
    const list = await frames(dir);
    for (const lsn of [10, 11, 20]) {
      const { file, offset } = holding(list, lsn);
      flip(file, offset + 200);
    }
    return dir;
  }

  test("saves every intact record, names those that are missing, and leaves the damaged log untouched", async () => {
    const dir = await damaged();
    const to = join(scratch(), "new", "log");
    const before = snapshot(dir);
    const report = await json(["repair", dir, "--salvage", to]);
    expect(report).toMatchObject({
      code: 1,
      records: 27,
      missing: [
        { firstLsn: 10, lastLsn: 11 },
        { firstLsn: 20, lastLsn: 20 },
      ],
      ranges: [
        { records: 9, originalFirstLsn: 1, firstLsn: 1 },
        { records: 8, originalFirstLsn: 12, firstLsn: 10 },
        { records: 10, originalFirstLsn: 21, firstLsn: 18 },
      ],
    });
    expect(snapshot(dir)).toEqual(before);
    const expected = printed(9) + printed(19, 12) + printed(30, 21);
    expect((await ok(["cat", to])).toString()).toBe(expected);
    expect(await json(["verify", to])).toMatchObject({ code: 0, records: 27, closedCleanly: true });
  });

  test("--dry-run tells the same and writes nothing", async () => {
    const dir = await damaged();
    const to = join(scratch(), "log");
    const planned = await json(["repair", dir, "--salvage", to, "--dry-run"]);
    expect(existsSync(to)).toBe(false);
    const done = await json(["repair", dir, "--salvage", to]);
    expect(planned).toEqual({ ...done, dryRun: true });
  });

  test("says in words what is damaged, missing and where the rest is now", async () => {
    const { code, stdout } = await run(["repair", await damaged(), "--salvage", join(scratch(), "log")]);
    expect(code).toBe(1);
    const text = stdout.toString();
    expect(text).toContain("missing: LSN 10 to 11\n");
    expect(text).toContain("missing: LSN 20\n");
    expect(text).toContain("copied: LSN 12 to 19, now LSN 10 to 17\n");
    expect(text).toContain("acknowledged records are missing\n");
  });

  test("of a log that misses nothing ends with 0 and keeps LSNs and every field", async () => {
    const dir = scratch();
    const wal = await openWal({ dir, ...SMALL, startLsn: 1000 });
    await wal.commit({ payload: bytes("x"), type: 7, tenant: 2n ** 64n - 1n, shard: 3, database: 4 });
    await wal.close();
    const to = scratch();
    const report = await json(["repair", dir, "--salvage", to]);
    expect(report).toMatchObject({
      code: 0,
      records: 1,
      missing: [],
      ranges: [{ originalFirstLsn: 1000, firstLsn: 1000 }],
    });
    const [record] = (await ok(["cat", to, "--json"])).toString().split("\n");
    expect(JSON.parse(record as string)).toMatchObject({
      lsn: 1000,
      type: 7,
      tenant: "18446744073709551615",
      shard: 3,
      database: 4,
      payload: "eA==",
    });
  });

  test("never into a directory that holds something, nor into the damaged log", async () => {
    const dir = await damaged();
    const other = scratch();
    await closedLog(other, 2);
    const otherBefore = snapshot(other);
    const full = scratch();
    mkdirSync(join(full, "something"));
    const before = snapshot(dir);
    for (const to of [other, full, dir, join(dir, "inside")]) {
      const { code, stderr } = await run(["repair", dir, "--salvage", to]);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^stonewal: WAL_ARGUMENT: [^\n]+\n$/);
    }
    expect(snapshot(dir)).toEqual(before);
    expect(snapshot(other)).toEqual(otherBefore);
  });

  test("saves records larger than a segment of the usual size", async () => {
    const dir = scratch();
    const payload = new Uint8Array(70 * 1024 * 1024).fill(1);
    const wal = await openWal({
      dir,
      segmentBytes: 80 * 1024 * 1024,
      bufferBytes: 80 * 1024 * 1024,
      dwb: "off",
    });
    for (let i = 0; i < 2; i++) await wal.commit({ payload });
    await wal.close();
    const to = scratch();
    expect(await json(["repair", dir, "--salvage", to])).toMatchObject({ code: 0, records: 2 });
    const reader = await openReader({ dir: to });
    for await (const record of reader.replay()) expect(record.payload.length).toBe(payload.length);
    await reader.close();
  });
});

test("what was salvaged goes on: appending to the new log loses nothing", async () => {
  const dir = scratch();
  await closedLog(dir, 5, { dwb: "off" });
  const { file, offset } = await frameOf(dir, 5);
  flip(file, offset + 200);
  const to = scratch();
  expect((await run(["repair", dir, "--salvage", to])).code).toBe(1);
  const wal = await openWal({ dir: to, ...SMALL });
  expect(wal.nextLsn).toBe(5);
  await commitLines(wal, 1);
  await wal.close();
  expect((await ok(["cat", to])).toString()).toBe(`${printed(4)}${line(5)}\n`);
});

test("a salvage keeps no more than a part of a segment in memory, however large that is", async () => {
  const dir = join(scratch(), "log");
  const to = join(scratch(), "new");
  const wal = await openWal({
    dir,
    dwb: "off",
    segmentBytes: 128 * 1024 * 1024,
    bufferBytes: 128 * 1024 * 1024,
  });
  const payload = new Uint8Array(60_000);
  await wal.commitBatch(Array.from({ length: 1000 }, () => ({ payload })));
  await wal.close();
  const back = pwrite();
  let asked = 0;
  const io: IoBackend = new Proxy(back, {
    get(target, name) {
      if (name === "arena") {
        return (size: number) => {
          asked += size;
          return target.arena(size);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  await salvageLog({ dir, io });
  const forReading = asked;
  asked = 0;
  expect((await salvageLog({ dir, to, io })).records).toBe(1000);
  expect(asked - forReading).toBeLessThan(32 * 1024 * 1024);
  await back.close();
});
