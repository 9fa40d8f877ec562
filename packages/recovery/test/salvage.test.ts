import { SimDisk } from "@stonewal/io-sim";
import { LOCK_NAME, segmentName } from "@stonewal/record";
import { describe, expect, it } from "vitest";
import { openReader, salvage } from "../src/index.js";
import { BLOCK, DIRECTORY, LogBuilder, payload, protect } from "./log-builder.js";
import { codeOf, collect, snapshot, text, ticking, verdicts } from "./outcome.js";

/** Every intact record of a damaged log, and nothing that is not one. */

async function salvaged(disk: SimDisk) {
  const before = snapshot(disk);
  const rescue = salvage({ io: disk.mount(), directory: DIRECTORY });
  const records = await collect(
    rescue,
    ({ record, originalLsn }) => `${originalLsn}:${text(record).slice(0, 6)}`,
  );
  expect(snapshot(disk)).toEqual(before);
  return { records, report: rescue.report() };
}

function build(change?: (log: LogBuilder) => void): { log: LogBuilder; disk: SimDisk } {
  const log = new LogBuilder({ blocks: 8 });
  log.open();
  log.frame(["r1", "r2"]);
  log.frame(["r3", "r4", "r5"]);
  log.frame(["r6"]);
  log.roll();
  log.frame(["r7"]);
  log.frame(["r8"]);
  log.setAnchor();
  change?.(log);
  const disk = new SimDisk();
  log.plant(disk);
  return { log, disk };
}

describe("salvage", () => {
  it("of a log that is not damaged gives all of it", async () => {
    const { records, report } = await salvaged(build().disk);
    expect(records).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `${n}:r${n}`));
    expect(report).toEqual({ records: 8, firstLsn: 1, lastLsn: 8, missing: [], corruption: [] });
  });

  it("gives the other records of a frame of which one is damaged", async () => {
    const { log, disk } = build();
    disk.corrupt(log.segments[0]!.path, log.frames[2]!.offset + 192 + 40 + 33, Uint8Array.of(0xff));
    const { records, report } = await salvaged(disk);
    expect(records).toEqual(["1:r1", "2:r2", "3:r3", "5:r5", "6:r6", "7:r7", "8:r8"]);
    expect(report).toMatchObject({ records: 7, missing: [{ firstLsn: 4, lastLsn: 4 }] });
    expect(report.corruption).toHaveLength(1);
  });

  it("gives the records of a frame of which only the header is damaged", async () => {
    const { log, disk } = build();
    disk.corrupt(log.segments[0]!.path, log.frames[2]!.offset + 50, Uint8Array.of(0xff));
    const { records, report } = await salvaged(disk);
    expect(records).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `${n}:r${n}`));
    expect(report.missing).toEqual([]);
  });

  it("but in a recycled file does not take records of its former life for those of a lost frame", async () => {
    const stale = new LogBuilder({ blocks: 8 });
    stale.open();
    stale.frame(["old"]);
    const { log, disk } = build((log) => {
      log.roll({ recycled: true, fill: (bytes) => bytes.set(stale.current.bytes.subarray(131072), 131072) });
      log.frame(["r9"]);
      log.frame(["r10"], { lost: true });
      log.frame(["r11"]);
    });
    expect(log.frames.at(-2)!.offset).toBe(stale.frames[1]!.offset);
    const { records, report } = await salvaged(disk);
    expect(records.slice(-2)).toEqual(["9:r9", "11:r11"]);
    expect(report.missing).toEqual([{ firstLsn: 10, lastLsn: 10 }]);
  });

  it("gives what lies behind zeroed blocks, a missing segment, an unreadable block", async () => {
    const zeroed = build();
    zeroed.disk.corrupt(zeroed.log.segments[0]!.path, zeroed.log.frames[1]!.offset, new Uint8Array(BLOCK));
    expect((await salvaged(zeroed.disk)).records).toEqual(["3:r3", "4:r4", "5:r5", "6:r6", "7:r7", "8:r8"]);

    const missing = build((log) => {
      log.roll();
      log.frame(["r9"]);
    });
    const io = missing.disk.mount();
    await io.unlink(missing.log.segments[1]!.path);
    await io.syncDirectory(DIRECTORY);
    const rest = await salvaged(missing.disk);
    expect(rest.records).toEqual([1, 2, 3, 4, 5, 6, 9].map((n) => `${n}:r${n}`));
    expect(rest.report.missing).toEqual([{ firstLsn: 7, lastLsn: 8 }]);

    const unreadable = build();
    unreadable.disk.makeUnreadable(unreadable.log.segments[0]!.path, unreadable.log.frames[2]!.offset, 512);
    expect((await salvaged(unreadable.disk)).records).toEqual([1, 2, 6, 7, 8].map((n) => `${n}:r${n}`));
  });

  it("gives what lies in a segment without a preamble", async () => {
    for (const index of [0, 1]) {
      const { log, disk } = build();
      for (const copy of [0, 1]) disk.corrupt(log.segments[index]!.path, copy * 65536 + 20, Uint8Array.of(1));
      const { records } = await salvaged(disk);
      expect(records).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `${n}:r${n}`));
    }
  });

  it("takes from the double-write buffer what is chained to the log, and nothing else", async () => {
    const { log, disk } = build((log) => {
      log.frame(["r9"], { lost: true });
      log.frame(["r10"]);
      log.frame(["r11"]);
    });
    const [r9] = log.frames.slice(-3);
    const { offset, frameNumber, nextLsn, chain } = log;
    Object.assign(log, { offset: r9!.offset, frameNumber: r9!.frameNumber, nextLsn: 9, chain: 77n });
    const stale = log.frame(["stale"], { lost: true });
    Object.assign(log, { offset, frameNumber, nextLsn, chain });
    await protect(disk.mount(), [r9!, stale]);
    disk.corrupt(log.segments[0]!.path, log.frames[1]!.offset, new Uint8Array(BLOCK));
    const { records } = await salvaged(disk);
    expect(records).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11].map((n) => `${n}:r${n}`));
  });

  it("takes each frame of a lost segment once, however many copies of it there are", async () => {
    const { log, disk } = build((log) => {
      log.roll();
      log.frame(["r9"]);
    });
    const [r7, r8] = log.frames.slice(-3, -1);
    await protect(disk.mount(), [r7!, r8!, r7!, r8!]);
    const io = disk.mount();
    await io.unlink(log.segments[1]!.path);
    await io.syncDirectory(DIRECTORY);
    expect((await salvaged(disk)).records).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `${n}:r${n}`));
  });

  /** A log that is damaged, and ends in a frame of two records of which one is torn, and one that is lost but for a copy which calls `watermark` durable. */
  async function tornAtTheEnd(copied: "the last that is whole" | "the one behind it", watermark: number) {
    const { log, disk } = build((log) => {
      const sealed = { watermark: log.frameNumber };
      log.frame(["r9", payload("x".repeat(5000))], sealed);
      log.frame(["r10"], { ...sealed, lost: true });
      const torn = log.frames.at(-2)!;
      log.current.bytes.fill(0, torn.offset + BLOCK, torn.offset + 2 * BLOCK);
    });
    const copy = log.frames.at(copied === "the one behind it" ? -1 : -3)!;
    await protect(disk.mount(), [copy], { watermark });
    disk.corrupt(log.segments[0]!.path, log.frames[1]!.offset, new Uint8Array(BLOCK));
    return { log, records: (await salvaged(disk)).records };
  }

  it("gives what is intact of a frame that only a copy calls durable", async () => {
    expect((await tornAtTheEnd("the one behind it", 8)).records).toContain("9:r9");
    expect((await tornAtTheEnd("the one behind it", 7)).records).not.toContain("9:r9");
  });

  it("but believes no copy that calls frames behind its own durable", async () => {
    expect((await tornAtTheEnd("the last that is whole", 1000)).records).not.toContain("9:r9");
  });

  it("gives nothing of half an interrupted write, and nothing behind a cut", async () => {
    const { disk } = build((log) => {
      log.cut(7);
      log.frame(["n8"]);
      const watermark = log.frameNumber;
      const torn = log.frame(["t9", payload("x".repeat(5000))], { watermark });
      log.current.bytes.fill(0, torn.offset + BLOCK, torn.offset + 2 * BLOCK);
      log.segments[0]!.bytes.fill(0, log.frames[1]!.offset, log.frames[1]!.offset + BLOCK);
    });
    const { records } = await salvaged(disk);
    expect(records).toEqual(["3:r3", "4:r4", "5:r5", "6:r6", "7:r7", "8:n8"]);
  });

  /** r1 to r5, of which r3 to r5 were written a second time. */
  function cutLog(change?: (log: LogBuilder) => void): { log: LogBuilder; disk: SimDisk } {
    const log = new LogBuilder({ blocks: 8 });
    log.open();
    for (const record of ["r1", "r2", "old3", "old4"]) log.frame([record]);
    change?.(log);
    log.cut(2);
    for (const record of ["r3", "r4", "r5"]) log.frame([record]);
    log.setAnchor();
    const disk = new SimDisk();
    log.plant(disk);
    return { log, disk };
  }

  function damagePreamble(disk: SimDisk, path: string): void {
    for (const offset of [20, 65_536 + 20]) disk.corrupt(path, offset, Uint8Array.of(0xff, 0xee));
  }

  it.each([
    ["in the segment before", undefined],
    [
      "in one before that",
      (log: LogBuilder) => {
        log.roll();
        log.frame(["old5"]);
      },
    ],
  ])("takes nothing that was cut away, %s, though the preamble that says so is lost", async (_, change) => {
    const { log, disk } = cutLog(change);
    damagePreamble(disk, log.current.path);
    const { records, report } = await salvaged(disk);
    expect(records).toEqual([1, 2, 3, 4, 5].map((n) => `${n}:r${n}`));
    expect(report.missing).toEqual([]);
    expect(await verdicts(disk)).toEqual({ code: "WAL_CORRUPT", records: ["r1", "r2"], exit: 1 });
    const reader = await openReader({ io: disk.mount(), directory: DIRECTORY, damaged: "prefix" });
    const followed: string[] = [];
    const following = (async () => {
      for await (const record of reader.follow()) followed.push(text(record));
    })();
    expect(await codeOf(following)).toBe("WAL_CORRUPT");
    expect(followed).toEqual(["r1", "r2"]);
    await reader.close();
  });

  it("takes nothing that was cut away, nor does a reader, where a writer still has the log open", async () => {
    const { log, disk } = cutLog();
    damagePreamble(disk, log.current.path);
    await disk.mount().lock(`${DIRECTORY}/${LOCK_NAME}`);
    const { records, report } = await ticking(disk, salvaged(disk));
    expect(records).toEqual([1, 2, 3, 4, 5].map((n) => `${n}:r${n}`));
    expect(report.missing).toEqual([]);
    const opening = openReader({ io: disk.mount(), directory: DIRECTORY, damaged: "prefix" });
    const reader = await ticking(disk, opening);
    const given: string[] = [];
    const reading = (async () => {
      for await (const record of reader.replay()) given.push(text(record));
    })();
    expect(await codeOf(reading)).toBe("WAL_CORRUPT");
    expect(given).toEqual(["r1", "r2"]);
    await reader.close();
  });

  it("takes nothing that was cut away, though a segment that was cut away too is still there", async () => {
    const { log, disk } = cutLog((log) => {
      log.roll();
      log.frame(["old5"]);
    });
    disk.corrupt(log.segments[0]!.path, log.frames[1]!.offset + 20, Uint8Array.of(0xff, 0xee));
    const { records } = await salvaged(disk);
    expect(records).toEqual([1, 2, 3, 4, 5].map((n) => `${n}:r${n}`));
  });

  it("takes nothing that was cut away out of the double-write buffer", async () => {
    const { log, disk } = cutLog((log) => {
      log.roll();
      log.frame(["old5"]);
    });
    const io = disk.mount();
    await protect(io, log.frames.slice(0, 6));
    await io.unlink(log.segments[1]!.path);
    await io.syncDirectory(DIRECTORY);
    damagePreamble(disk, log.segments[0]!.path);
    const { records } = await salvaged(disk);
    expect(records).toEqual([1, 2, 3, 4, 5].map((n) => `${n}:r${n}`));
  });

  it("takes nothing that the anchor knows was cut away, though the segment that says so is gone", async () => {
    const { log, disk } = build((log) => {
      log.cut(6);
      log.setAnchor();
      log.frame(["new7"]);
    });
    const io = disk.mount();
    await io.unlink(log.current.path);
    await io.syncDirectory(DIRECTORY);
    const { records, report } = await salvaged(disk);
    expect(records).toEqual([1, 2, 3, 4, 5, 6].map((n) => `${n}:r${n}`));
    expect(report.missing).toEqual([{ firstLsn: 7, lastLsn: undefined }]);
    expect(await verdicts(disk)).toMatchObject({ code: "WAL_MISSING_SEGMENT" });
  });

  it("says what is missing at the end, if anything left bears witness of it", async () => {
    const { log, disk } = build((log) => log.frame([], { kind: "idle" }));
    const io = disk.mount();
    await io.unlink(log.segments[0]!.path);
    await io.unlink(`${DIRECTORY}/anchor`);
    await io.syncDirectory(DIRECTORY);
    disk.corrupt(log.segments[1]!.path, log.frames[5]!.offset, new Uint8Array(BLOCK));
    const { records, report } = await salvaged(disk);
    expect(records).toEqual(["7:r7"]);
    expect(report.missing).toEqual([
      { firstLsn: 1, lastLsn: 6 },
      { firstLsn: 8, lastLsn: 8 },
    ]);
  });

  it("needs neither the anchor nor the first segment", async () => {
    const { log, disk } = build();
    const io = disk.mount();
    await io.unlink(log.segments[0]!.path);
    await io.unlink(`${DIRECTORY}/anchor`);
    await io.syncDirectory(DIRECTORY);
    const { records, report } = await salvaged(disk);
    expect(records).toEqual(["7:r7", "8:r8"]);
    expect(report.missing).toEqual([{ firstLsn: 1, lastLsn: 6 }]);
  });

  it.each([1, 99])("is not misled by another file of a segment's number (LSN %i)", async (firstLsn) => {
    const { disk } = build();
    disk.plant(`${DIRECTORY}/${segmentName(2, firstLsn)}`, new Uint8Array(200_000));
    expect((await salvaged(disk)).records).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `${n}:r${n}`));
  });

  it("says that the newest segment is missing, though all before it came out of a damaged one", async () => {
    const { log, disk } = build((log) => {
      log.roll();
      log.setAnchor();
      log.frame(["r9"]);
    });
    damagePreamble(disk, log.segments[1]!.path);
    const io = disk.mount();
    await io.unlink(log.current.path);
    await io.syncDirectory(DIRECTORY);
    const { records, report } = await salvaged(disk);
    expect(records).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `${n}:r${n}`));
    expect(report.missing).toEqual([{ firstLsn: 9, lastLsn: undefined }]);
  });

  it("is not to be had where there is no log", async () => {
    const io = new SimDisk().mount();
    expect(await codeOf(collect(salvage({ io, directory: DIRECTORY }), () => 0))).toBe("WAL_NOT_FOUND");
  });
});
