import { expect, test } from "vitest";
import { openWal } from "../src/index.js";
import { ok, run } from "./support/cli.js";
import { flip, scratch, segments } from "./support/files.js";
import { bytes, closedLog, SMALL } from "./support/logs.js";

test("as JSON: segments, every frame, what they add up to, and every image in the double-write buffer", async () => {
  const dir = scratch();
  await closedLog(dir, 40, { segmentBytes: 262_144, bufferBytes: 262_144 });
  const report = JSON.parse((await ok(["inspect", dir, "--json"])).toString());
  expect(report).toMatchObject({
    records: 40,
    firstLsn: 1,
    lastLsn: 40,
    trimLsn: 0,
    closedCleanly: true,
    corruption: [],
  });
  expect(report.logId).toMatch(/^[0-9a-f]{32}$/);
  expect(report.segmentList).toHaveLength(segments(dir).length);
  expect(report.frameList).toHaveLength(report.frames);
  const sum = (key: string, list: Record<string, number>[]) =>
    list.reduce((total, item) => total + (item[key] as number), 0);
  for (const [ofSegments, ofFrames] of [
    ["records", "records"],
    ["paddingBytes", "paddingBytes"],
    ["frameBytes", "bytes"],
  ] as const) {
    expect(sum(ofSegments, report.segmentList)).toBe(sum(ofFrames, report.frameList));
  }
  for (const { end, frameBytes, paddingBytes } of report.segmentList)
    expect(131_072 + frameBytes + paddingBytes).toBe(end);
  expect(report.frameList.map((frame: { kind: string }) => frame.kind)).toEqual([
    "open",
    ...Array(40).fill("data"),
    "close",
    "close",
  ]);
  const last = report.frameList.at(-1);
  expect(report.dwb).toMatchObject({
    present: true,
    slots: 64,
    slotBytes: 61_440,
    slotStride: 65_536,
    damagedSlots: [],
  });
  expect(report.dwb.images[0]).toMatchObject({
    frameNumber: last.frameNumber,
    sequence: last.sequence,
    offset: last.offset,
    slots: 1,
    bytes: 4096,
    // The two close frames go into one chain.
    watermark: last.frameNumber - 1,
  });
  expect(report.dwb.images).toHaveLength(43);
});

test("for people: one line per segment, frame and image, in a table that a terminal holds", async () => {
  const dir = scratch();
  const wal = await openWal({ dir, ...SMALL });
  for (let i = 0; i < 5; i++) await wal.commit({ payload: bytes("x".repeat(3000 * i)) });
  await wal.checkpoint(2);
  await wal.close();
  const text = (await ok(["inspect", dir])).toString();
  const lines = text.split("\n");
  expect(text).toContain("trim point: LSN 2\n");
  expect(text).toContain("  8 frames in 1 segment, 524288 bytes\n");
  expect(lines.filter((line) => / data {2}/.test(line))).toHaveLength(5);
  expect(lines.filter((line) => / close {2}/.test(line))).toHaveLength(2);
  expect(lines.find((line) => line.startsWith("double-write buffer "))).toContain("/dwb");
  for (const line of lines.filter((line) => !line.includes(dir)))
    expect(line.length).toBeLessThanOrEqual(140);
  // No terminal, no colours.
  expect(text).not.toContain(String.fromCharCode(27));
});

test("a log without a double-write buffer says so", async () => {
  const dir = scratch();
  await closedLog(dir, 1, { dwb: "off" });
  expect((await ok(["inspect", dir])).toString()).toContain("double-write buffer\n  none\n");
  expect(JSON.parse((await ok(["inspect", dir, "--json"])).toString()).dwb).toMatchObject({ present: false });
});

test("a log whose first segments a checkpoint has freed, and whose files are used again", async () => {
  const dir = scratch();
  const wal = await openWal({ dir, ...SMALL, segmentBytes: 262_144 });
  for (let round = 1; round <= 3; round++) {
    for (let i = 0; i < 40; i++) await wal.commit({ payload: bytes("x") });
    await wal.checkpoint(40 * round - 5);
  }
  await wal.close();
  const report = JSON.parse((await ok(["inspect", dir, "--json"])).toString());
  expect(report).toMatchObject({ firstLsn: 116, lastLsn: 120, records: 5, trimLsn: 115, corruption: [] });
  expect(report.segmentList.at(-1)).toMatchObject({ recycled: true });
  expect(report.frameList.at(-1)).toMatchObject({ kind: "close" });
});

test("of a damaged log what can be read is shown, and what is damaged, with exit code 1", async () => {
  const dir = scratch();
  await closedLog(dir, 40, { segmentBytes: 262_144, bufferBytes: 262_144, dwb: "off" });
  const [first, second] = segments(dir) as [string, string];
  for (const [path, shown] of [
    [second, true],
    [first, false],
  ] as const) {
    for (const copy of [0, 65_536]) flip(path, copy + 20);
    const { code, stdout, stderr } = await run(["inspect", dir, "--json"]);
    expect(stderr).toBe("");
    expect(code).toBe(1);
    const report = JSON.parse(stdout.toString());
    expect(report.corruption).toContainEqual(expect.objectContaining({ code: "WAL_CORRUPT", file: path }));
    const records = report.frameList.reduce(
      (sum: number, frame: { records: number }) => sum + frame.records,
      0,
    );
    expect(records).toBe(report.records);
    expect(records > 0).toBe(shown);
    expect((await run(["inspect", dir])).stdout.toString()).toContain("damaged: WAL_CORRUPT");
  }
});
