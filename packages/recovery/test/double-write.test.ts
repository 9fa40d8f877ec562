import { SimDisk } from "@stonewal/io-sim";
import { describe, expect, it } from "vitest";
import { openReader, planRecovery, recoverLog, verifyLog } from "../src/index.js";
import { BLOCK, DIRECTORY, id, LogBuilder, payload, protect } from "./log-builder.js";
import { codeOf, collect, errorOf, recordsOf, snapshot, text, verdicts } from "./outcome.js";

/** What the double-write buffer has and the log has not. */

const DWB = `${DIRECTORY}/dwb`;

function acknowledged(options: { ack?: "wal" | "dwb"; dwbId?: Uint8Array<ArrayBuffer> } = {}): LogBuilder {
  const log = new LogBuilder();
  log.open(options.ack, options.dwbId);
  log.frame(["r1"]);
  return log;
}

async function planted(log: LogBuilder, copies: LogBuilder["frames"]): Promise<SimDisk> {
  const disk = new SimDisk();
  log.plant(disk);
  await protect(disk.mount(), copies);
  return disk;
}

describe("a copy is asked for at every position without a valid frame", () => {
  const damages: [string, (log: LogBuilder, offset: number) => void][] = [
    [
      "a header torn, so that nothing there tells the LSN",
      (log, at) => log.current.bytes.fill(0, at, at + BLOCK),
    ],
    ["an intact header with a torn body", (log, at) => log.current.bytes.fill(0, at + BLOCK, at + 2 * BLOCK)],
    ["garbage", (log, at) => log.current.bytes.fill(0x5a, at, at + 3 * BLOCK)],
    ["a home write that was lost whole", (log, at) => log.current.bytes.fill(0, at, at + 3 * BLOCK)],
  ];
  for (const [name, damage] of damages) {
    it(name, async () => {
      const log = acknowledged();
      const frame = log.frame([payload(`x${"y".repeat(9000)}`)]);
      damage(log, frame.offset);
      const disk = await planted(log, [frame]);
      const before = snapshot(disk);
      expect(await recordsOf(disk.clone().mount())).toHaveLength(2);
      const io = disk.mount();
      expect(await verifyLog({ io, directory: DIRECTORY })).toMatchObject({
        records: 2,
        tornTail: true,
        corruption: [],
        dwb: {
          restores: [{ frameNumber: frame.frameNumber, offset: frame.offset, firstLsn: 2, lastLsn: 2 }],
        },
      });
      expect(snapshot(disk)).toEqual(before);
      const recovered = (await recoverLog({ io, directory: DIRECTORY }))!;
      expect(recovered.report.restored).toMatchObject([{ frameNumber: frame.frameNumber }]);
      // Home, whole, padding included, and durable: the slot may be used again.
      const home = disk.fileBytes(log.current.path).subarray(frame.offset, frame.offset + frame.bytes.length);
      expect(Buffer.compare(home, frame.bytes)).toBe(0);
      disk.plant(DWB, new Uint8Array());
      expect(await recordsOf(io)).toHaveLength(2);
    });
  }

  it("several in a row, and between intact ones", async () => {
    const log = acknowledged();
    const frames = [log.frame(["r2"], { lost: true }), log.frame(["r3"]), log.frame(["r4"], { lost: true })];
    frames.push(log.frame(["r5"], { lost: true }));
    const disk = await planted(log, frames);
    expect(await verdicts(disk)).toMatchObject({ code: "resolved", records: ["r1", "r2", "r3", "r4", "r5"] });
  });

  it("in an earlier segment, where it is damage that was repaired, and said so", async () => {
    const log = acknowledged();
    const frame = log.frame(["r2"], { lost: true });
    log.roll();
    log.frame(["r3"]);
    const disk = await planted(log, [frame]);
    expect(await verdicts(disk)).toEqual({ code: "resolved", records: ["r1", "r2", "r3"], exit: 1 });
  });

  it("for a frame that a later one calls durable: damage that was repaired, and said so", async () => {
    const log = acknowledged();
    const frame = log.frame(["r2"], { lost: true });
    log.frame(["r3"]);
    const disk = await planted(log, [frame]);
    const { corruption, tornTail } = await verifyLog({ io: disk.mount(), directory: DIRECTORY });
    expect(corruption).toMatchObject([{ repairable: true, offset: frame.offset, firstLsn: 2, lastLsn: 2 }]);
    expect(tornTail).toBe(false);
  });

  it("an empty frame, whose header ends with zeros that the buffer does not store", async () => {
    const log = acknowledged();
    const idle = log.frame([], { kind: "idle", lost: true });
    log.frame(["r2"]);
    const disk = await planted(log, [idle]);
    expect(await verdicts(disk)).toMatchObject({ code: "resolved", records: ["r1", "r2"] });
  });

  it("one with a boundary mask is written home as it was, mask and all", async () => {
    const log = acknowledged();
    const bytes = new Uint8Array(3 * BLOCK);
    bytes.set(log.frames[0]!.bytes.subarray(0, 192), BLOCK - 192 - 32);
    const frame = log.frame([{ payload: bytes }], { lost: true });
    const disk = await planted(log, [frame]);
    const io = disk.mount();
    await recoverLog({ io, directory: DIRECTORY });
    const home = disk.fileBytes(log.current.path).subarray(frame.offset, frame.offset + frame.bytes.length);
    expect(Buffer.compare(home, frame.bytes)).toBe(0);
    const reader = await openReader({ io, directory: DIRECTORY });
    const payloads = await collect(reader.replay({ from: 2 }), (record) => Buffer.from(record.payload));
    expect(Buffer.compare(payloads[0]!, bytes)).toBe(0);
  });

  it("at a path of its own", async () => {
    const log = acknowledged();
    const frame = log.frame(["r2"], { lost: true });
    const disk = new SimDisk();
    log.plant(disk);
    const io = disk.mount();
    await protect(io, [frame], { path: "/elsewhere" });
    expect(await recoverLog({ io, directory: DIRECTORY, dwbPath: "/elsewhere" })).toMatchObject({
      position: { nextLsn: 3 },
    });
  });
});

describe("a copy that does not belong is not taken", () => {
  it("a stale copy of an LSN that was given again after a crash: the chain decides", async () => {
    const log = acknowledged();
    const { offset, frameNumber, nextLsn, chain } = log;
    // Dropped in an earlier life, with a predecessor that is not the one that came to be.
    const dropped = log.frame(["x"], { lost: true, incarnation: id(1) });
    const stale = log.frame(["stale"], { lost: true, incarnation: id(1) });
    Object.assign(log, { offset, frameNumber, nextLsn, chain });
    log.frame(["r2"]);
    expect(log.offset).toBe(stale.offset);
    const disk = await planted(log, [dropped, stale]);
    expect(await verdicts(disk)).toMatchObject({ code: "resolved", records: ["r1", "r2"] });
  });

  it("of two copies that fit what precedes them, the one that the frame behind follows on, not the newer", async () => {
    for (const newestFirst of [false, true]) {
      const log = acknowledged();
      const { offset, frameNumber, nextLsn, chain } = log;
      const other = log.frame(["other"], { lost: true, incarnation: id(1) });
      Object.assign(log, { offset, frameNumber, nextLsn, chain });
      const right = log.frame(["r2"], { lost: true });
      log.frame(["r3"]);
      const disk = await planted(log, newestFirst ? [right, other] : [other, right]);
      expect(await verdicts(disk)).toMatchObject({ code: "resolved", records: ["r1", "r2", "r3"] });
    }
  });

  it("of two copies, the one that the next copy follows on", async () => {
    const log = acknowledged();
    const { offset, frameNumber, nextLsn, chain } = log;
    const other = log.frame(["other"], { lost: true, incarnation: id(1) });
    Object.assign(log, { offset, frameNumber, nextLsn, chain });
    const right = log.frame(["r2"], { lost: true });
    const after = log.frame(["r3"], { lost: true });
    const disk = await planted(log, [right, after, other]);
    expect(await verdicts(disk)).toMatchObject({ code: "resolved", records: ["r1", "r2", "r3"] });
  });

  it("one that the frame behind contradicts is no repair: the log is refused", async () => {
    const log = acknowledged();
    const { offset, frameNumber, nextLsn, chain } = log;
    const other = log.frame(["other"], { lost: true, incarnation: id(1) });
    Object.assign(log, { offset, frameNumber, nextLsn, chain });
    log.frame(["r2"], { lost: true });
    log.frame(["r3"]);
    const disk = await planted(log, [other]);
    expect(await verdicts(disk)).toEqual({ code: "WAL_CORRUPT", records: ["r1"], exit: 1 });
  });

  it("one that the next segment contradicts is no repair", async () => {
    const log = acknowledged();
    const { offset, frameNumber, nextLsn, chain } = log;
    const other = log.frame(["rX"], { lost: true, incarnation: id(1) });
    Object.assign(log, { offset, frameNumber, nextLsn, chain });
    log.frame(["r2"], { lost: true });
    log.roll();
    const disk = await planted(log, [other]);
    expect(await verdicts(disk)).toEqual({ code: "WAL_CORRUPT", records: ["r1"], exit: 1 });
  });

  it("copies of another log", async () => {
    const other = new LogBuilder({ logId: id(0x55) });
    other.open();
    other.frame(["no"]);
    const foreign = other.frame(["no", "no"]);
    const witness = other.frame(["no"]);
    const log = acknowledged();
    expect(log.offset).toBe(foreign.offset);
    const disk = await planted(log, [foreign, witness]);
    expect(await verdicts(disk)).toEqual({ code: "resolved", records: ["r1"], exit: 0 });
  });

  it("frames behind a cut, in the buffer as in the log", async () => {
    const log = acknowledged();
    const frames = [log.frame(["r2", "x"]), log.frame(["x"]), log.frame(["x"])];
    log.cut(2);
    const disk = await planted(log, frames);
    expect(await verdicts(disk)).toEqual({ code: "resolved", records: ["r1", "r2"], exit: 0 });
  });

  it("a copy whose slot is torn", async () => {
    const log = acknowledged();
    const frame = log.frame(["r2"], { lost: true });
    const disk = await planted(log, [frame]);
    disk.corrupt(DWB, 65536 + 128 + 100, Uint8Array.of(9));
    expect(await verdicts(disk)).toEqual({ code: "resolved", records: ["r1"], exit: 0 });
    expect((await verifyLog({ io: disk.mount(), directory: DIRECTORY })).dwb).toMatchObject({
      damaged: 1,
      images: 0,
    });
  });
});

describe("something else in the double-write buffer's place", () => {
  function withForeignFile(): SimDisk {
    const log = acknowledged();
    // Also something to put right.
    log.frame([payload("x".repeat(9000))], { lost: true });
    log.current.bytes.fill(0x5a, log.offset, log.offset + BLOCK);
    const disk = new SimDisk();
    log.plant(disk);
    disk.plant(DWB, new Uint8Array(200_000).fill(0x5a));
    return disk;
  }

  it("is named, and keeps a log from being opened with a buffer, though every record can be read; nothing is changed", async () => {
    const disk = withForeignFile();
    const before = snapshot(disk);
    const io = disk.mount();
    expect(await recordsOf(io)).toEqual(["r1"]);
    const refused = { code: "DWB_DAMAGED", file: DWB, repairable: false };
    expect(await verifyLog({ io, directory: DIRECTORY })).toMatchObject({
      records: 1,
      corruption: [refused],
    });
    for (const opening of [planRecovery, recoverLog]) {
      const { code, details } = await errorOf(opening({ io, directory: DIRECTORY }));
      expect([code, details.file]).toEqual(["DWB_DAMAGED", DWB]);
    }
    expect(snapshot(disk)).toEqual(before);
  });

  it("is left alone by whoever opens it without one", async () => {
    const disk = withForeignFile();
    const file = disk.fileBytes(DWB);
    const recovered = await recoverLog({ io: disk.mount(), directory: DIRECTORY, withoutDwb: true });
    expect(recovered?.report).toMatchObject({ records: 1, tornTail: {} });
    expect(Buffer.compare(disk.fileBytes(DWB), file)).toBe(0);
  });

  it("that holds nothing, or is a buffer of which nothing is left, is no reason to refuse", async () => {
    for (const bytes of [new Uint8Array(), new Uint8Array(200_000)]) {
      const disk = withForeignFile();
      disk.plant(DWB, bytes);
      expect((await verifyLog({ io: disk.mount(), directory: DIRECTORY })).corruption).toEqual([]);
      expect(await codeOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }))).toBe("resolved");
    }
  });
});

describe("a log that acknowledges by its double-write buffer", () => {
  it("is not opened without that buffer", async () => {
    const log = acknowledged({ ack: "dwb", dwbId: id(0x42) });
    const disk = new SimDisk();
    log.plant(disk);
    expect((await verdicts(disk.clone())).code).toBe("WAL_DWB_MISSING");
    // Another buffer in its place is not it.
    const io = disk.mount();
    await protect(io, [log.frames[1]!]);
    expect((await errorOf(recoverLog({ io, directory: DIRECTORY }))).details.file).toBe(DWB);
  });

  it("is opened without it when it was closed: by then everything was at home", async () => {
    const log = acknowledged({ ack: "dwb", dwbId: id(0x42) });
    log.close();
    const disk = new SimDisk();
    log.plant(disk);
    expect(await verdicts(disk)).toEqual({ code: "resolved", records: ["r1"], exit: 0 });
  });

  it("comes back from the buffer where home writes lagged behind, and that is no damage", async () => {
    const disk = new SimDisk();
    const seed = acknowledged();
    seed.plant(disk);
    const dwbId = await protect(disk.mount(), []);
    const log = acknowledged({ ack: "dwb", dwbId });
    const copies = [log.frame(["r2"], { lost: true }), log.frame(["r3"], { lost: true })];
    log.plant(disk);
    await protect(disk.mount(), copies);
    expect(await verdicts(disk)).toEqual({ code: "resolved", records: ["r1", "r2", "r3"], exit: 0 });
  });

  it("but not from an earlier segment without a word: that was at home before the next one began", async () => {
    const disk = new SimDisk();
    acknowledged().plant(disk);
    const dwbId = await protect(disk.mount(), []);
    const log = acknowledged({ ack: "dwb", dwbId });
    const copy = log.frame(["r2"], { lost: true });
    log.roll();
    log.frame(["r3"]);
    log.plant(disk);
    await protect(disk.mount(), [copy]);
    expect(await verdicts(disk)).toEqual({ code: "resolved", records: ["r1", "r2", "r3"], exit: 1 });
  });

  it("is damaged when the only copy of an acknowledged frame rots and a later one says so", async () => {
    const disk = new SimDisk();
    acknowledged().plant(disk);
    const dwbId = await protect(disk.mount(), []);
    const log = acknowledged({ ack: "dwb", dwbId });
    const copies = [log.frame(["r2"], { lost: true }), log.frame(["r3"], { lost: true })];
    log.plant(disk);
    await protect(disk.mount(), copies);
    disk.corrupt(DWB, 65536 + 128 + 100, Uint8Array.of(9));
    expect(await verdicts(disk)).toEqual({ code: "WAL_CORRUPT", records: ["r1"], exit: 1 });
  });
});

describe("a segment that only the double-write buffer remembers", () => {
  it("is missed", async () => {
    const log = acknowledged();
    log.setAnchor({ watermark: 1, durableLsn: 0 });
    log.roll();
    const copies = [log.frame(["r2"]), log.frame(["r3"])];
    const disk = new SimDisk();
    const lost = log.segments.pop()!;
    log.plant(disk);
    await protect(disk.mount(), copies);
    expect((await verdicts(disk)).code).toBe("WAL_MISSING_SEGMENT");
    disk.plant(lost.path, lost.bytes);
    expect(await verdicts(disk)).toMatchObject({ code: "resolved", records: ["r1", "r2", "r3"] });
  });

  it("is missed even if it was the only one, and the anchor is gone with it", async () => {
    const log = acknowledged();
    const disk = new SimDisk();
    disk.plant(`${DIRECTORY}/lock`, new Uint8Array());
    const io = disk.mount();
    await protect(io, log.frames);
    expect(await codeOf(recoverLog({ io, directory: DIRECTORY }))).toBe("WAL_MISSING_SEGMENT");
  });
});

describe("a reader", () => {
  it("reads copies in place of what is torn, and leaves the file as it is", async () => {
    const log = acknowledged();
    const frame = log.frame(["r2"], { lost: true });
    log.frame(["r3"]);
    const disk = await planted(log, [frame]);
    const before = snapshot(disk);
    const reader = await openReader({ io: disk.mount(), directory: DIRECTORY });
    expect(await collect(reader.replay(), text)).toEqual(["r1", "r2", "r3"]);
    expect(await collect(reader.replay({ from: 2 }), text)).toEqual(["r2", "r3"]);
    expect(snapshot(disk)).toEqual(before);
    await reader.close();
  });
});
