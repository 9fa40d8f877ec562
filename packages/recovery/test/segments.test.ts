import { SimDisk } from "@stonewal/io-sim";
import { encodePreamble, FRAMES_START } from "@stonewal/record";
import { describe, expect, it } from "vitest";
import { inspectLog, planRecovery, recoverLog, verifyLog } from "../src/index.js";
import { BLOCK, DIRECTORY, id, LogBuilder } from "./log-builder.js";
import { codeOf, collect, errorOf, recordsOf, verdicts } from "./outcome.js";

/** The order of segments: what is live, what is void, what is missing. */

function threeSegments(): LogBuilder {
  const log = new LogBuilder({ blocks: 6 });
  log.open();
  log.frame(["r1", "r2"]);
  log.roll();
  log.frame(["r3"]);
  log.roll();
  log.frame(["r4"]);
  log.setAnchor();
  return log;
}

function disked(log: LogBuilder): SimDisk {
  const disk = new SimDisk();
  log.plant(disk);
  return disk;
}

function remove(disk: SimDisk, path: string): Promise<void> {
  const io = disk.mount();
  return io.unlink(path).then(() => io.syncDirectory(DIRECTORY));
}

describe("no log", () => {
  it("is told apart from a damaged one", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    expect(await recoverLog({ io, directory: DIRECTORY })).toBeUndefined();
    expect(await planRecovery({ io, directory: DIRECTORY })).toBeUndefined();
    expect(await codeOf(verifyLog({ io, directory: DIRECTORY }))).toBe("WAL_NOT_FOUND");
    expect(await codeOf(recordsOf(io))).toBe("WAL_NOT_FOUND");
  });

  it("what an interrupted creation left is removed, and only that", async () => {
    const disk = new SimDisk();
    disk.plant(`${DIRECTORY}/spare-00000000000000000001.new`, new Uint8Array(5000));
    disk.plant(`${DIRECTORY}/spare-00000000000000000000`, new Uint8Array(5000));
    disk.plant(`${DIRECTORY}/lock`, new Uint8Array());
    disk.plant(`${DIRECTORY}/notes.txt`, new Uint8Array(5));
    const io = disk.mount();
    expect(await codeOf(verifyLog({ io, directory: DIRECTORY }))).toBe("WAL_NOT_FOUND");
    expect(disk.paths()).toHaveLength(4);
    expect(await recoverLog({ io, directory: DIRECTORY })).toBeUndefined();
    expect(disk.paths()).toEqual([`${DIRECTORY}/lock`, `${DIRECTORY}/notes.txt`]);
  });

  it("an anchor without segments is a log that has lost them", async () => {
    const log = new LogBuilder();
    const disk = disked(log);
    await remove(disk, log.current.path);
    const io = disk.mount();
    expect(await codeOf(recoverLog({ io, directory: DIRECTORY }))).toBe("WAL_MISSING_SEGMENT");
    disk.corrupt(`${DIRECTORY}/anchor`, 20, Uint8Array.of(1));
    disk.corrupt(`${DIRECTORY}/anchor`, 65536 + 20, Uint8Array.of(1));
    expect(await codeOf(recoverLog({ io, directory: DIRECTORY }))).toBe("WAL_MISSING_SEGMENT");
    expect(disk.paths()).toEqual([`${DIRECTORY}/anchor`]);
  });
});

describe("segments", () => {
  it("come back in order, each at its end", async () => {
    const log = threeSegments();
    const disk = disked(log);
    expect(await verdicts(disk.clone())).toEqual({
      code: "resolved",
      records: ["r1", "r2", "r3", "r4"],
      exit: 0,
    });
    const recovered = (await recoverLog({ io: disk.mount(), directory: DIRECTORY }))!;
    expect(
      recovered.segments.map(({ sequence, firstLsn, lastLsn, end }) => [sequence, firstLsn, lastLsn, end]),
    ).toEqual([
      [1, 1, 2, FRAMES_START + 2 * BLOCK],
      [2, 3, 3, FRAMES_START + BLOCK],
      [3, 4, 4, FRAMES_START + BLOCK],
    ]);
    expect(recovered).toMatchObject({
      highestSequence: 3,
      segmentBytes: log.segmentBytes,
      position: { nextLsn: 5 },
    });
  });

  it("one that is missing in the middle is missed, and what precedes it can be read", async () => {
    const log = threeSegments();
    const disk = disked(log);
    await remove(disk, log.segments[1]!.path);
    expect(await verdicts(disk)).toEqual({ code: "WAL_MISSING_SEGMENT", records: ["r1", "r2"], exit: 1 });
    const { details } = await errorOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }));
    expect(details).toMatchObject({ sequence: 2, firstLsn: 3, lastLsn: 3 });
  });

  it("the first one missing is missed, unless it is below the trim point", async () => {
    const log = threeSegments();
    const disk = disked(log);
    await remove(disk, log.segments[0]!.path);
    expect((await verdicts(disk)).code).toBe("WAL_MISSING_SEGMENT");
    log.setAnchor({ trimPoint: 1 });
    log.plant(disk);
    await remove(disk, log.segments[0]!.path);
    expect((await verdicts(disk)).code).toBe("WAL_MISSING_SEGMENT");
    log.setAnchor({ trimPoint: 2 });
    log.plant(disk);
    await remove(disk, log.segments[0]!.path);
    expect(await verdicts(disk)).toEqual({ code: "resolved", records: ["r3", "r4"], exit: 0 });
  });

  it("the last one missing is missed: the anchor knows of it", async () => {
    const log = threeSegments();
    const disk = disked(log);
    await remove(disk, log.segments[2]!.path);
    const missing = { code: "WAL_MISSING_SEGMENT", records: ["r1", "r2", "r3"], exit: 1 };
    expect(await verdicts(disk)).toEqual(missing);
    // Also where it knows of nothing that was in it.
    log.setAnchor({ watermark: 1, durableLsn: 0 });
    log.plant(disk);
    await remove(disk, log.segments[2]!.path);
    expect(await verdicts(disk)).toEqual(missing);
  });

  it("two files of one sequence are refused, even where each is right in itself", async () => {
    const log = threeSegments();
    const other = new LogBuilder({ blocks: 6 });
    for (let i = 0; i < 4; i++) other.frame(["x", "y"]);
    other.roll();
    const disk = disked(log);
    disk.plant(other.current.path, other.current.bytes);
    expect((await verdicts(disk)).code).toBe("WAL_OVERLAP");
  });

  it("one of another log is refused", async () => {
    const log = threeSegments();
    const other = new LogBuilder({ blocks: 6, logId: id(0x99) });
    other.open();
    other.frame(["r1", "r2"]);
    const disk = disked(log);
    disk.plant(log.segments[0]!.path, other.current.bytes);
    expect((await verdicts(disk)).code).toBe("WAL_OVERLAP");
  });

  it("one that bears the name of another is refused", async () => {
    const log = threeSegments();
    const disk = disked(log);
    disk.plant(log.segments[2]!.path, log.segments[1]!.bytes);
    expect((await verdicts(disk)).code).toBe("WAL_OVERLAP");
  });

  it("an older one put in the place of the newest would lose what came later", async () => {
    const log = threeSegments();
    const disk = disked(log);
    const early = log.segments[2]!.bytes.slice();
    early.fill(0, FRAMES_START);
    disk.plant(log.segments[2]!.path, early);
    expect((await verdicts(disk)).code).toBe("WAL_CORRUPT");
  });
});

describe("a file cut short", () => {
  for (const [name, bytes] of [
    ["by a block", -BLOCK],
    ["by a byte", -1],
    ["to its preamble", FRAMES_START],
    ["to one copy of its preamble", 65536],
    ["to a few bytes", 100],
    ["to nothing", 0],
  ] as const) {
    it(`${name} is damage, in the last segment as in an earlier one, and never a torn tail`, async () => {
      for (const index of [0, 2]) {
        const log = threeSegments();
        const disk = disked(log);
        disk.truncateFile(log.segments[index]!.path, bytes > 0 ? bytes : log.segmentBytes + bytes);
        if (bytes === 0) disk.truncateFile(log.segments[index]!.path, 0);
        expect((await verdicts(disk)).code).toBe("WAL_CUT_SHORT");
      }
    });
  }

  it("is found even where the first copy of the preamble is damaged or unreadable", async () => {
    const log = threeSegments();
    const disk = disked(log);
    disk.truncateFile(log.segments[2]!.path, log.segmentBytes - BLOCK);
    disk.makeUnreadable(log.segments[2]!.path, 0, 512);
    expect((await verdicts(disk)).code).toBe("WAL_CUT_SHORT");
  });
});

describe("a preamble", () => {
  it("with one bad copy is read from the other, reported, and mended", async () => {
    for (const copy of [0, 1]) {
      for (const damage of ["flip", "unreadable", "former life", "untidy"] as const) {
        const log = threeSegments();
        const disk = disked(log);
        const { path, preamble } = log.segments[1]!;
        const at = copy * 65536;
        if (damage === "flip") disk.corrupt(path, at + 40, Uint8Array.of(0xcc));
        if (damage === "untidy") disk.corrupt(path, at + 5000, Uint8Array.of(0xcc));
        if (damage === "unreadable") disk.makeUnreadable(path, at, 512);
        if (damage === "former life") {
          const old = encodePreamble({
            ...preamble,
            sequence: 1,
            previousSequence: 0,
            previousFrameNumber: 0,
            previousChecksum: 0n,
            previousEnd: 0,
          });
          disk.corrupt(path, at, old.subarray(at, at + 256));
        }
        expect(await verdicts(disk.clone())).toEqual({
          code: "resolved",
          records: ["r1", "r2", "r3", "r4"],
          exit: 1,
        });
        const io = disk.mount();
        await recoverLog({ io, directory: DIRECTORY });
        expect(Buffer.compare(disk.fileBytes(path), log.segments[1]!.bytes)).toBe(0);
        expect((await verifyLog({ io, directory: DIRECTORY })).corruption).toEqual([]);
      }
    }
  });

  it("with both copies bad is damage, wherever it is", async () => {
    for (const [index, records] of [
      [2, ["r1", "r2", "r3"]],
      [1, ["r1", "r2"]],
      [0, []],
    ] as const) {
      const log = threeSegments();
      const disk = disked(log);
      for (const copy of [0, 1])
        disk.corrupt(log.segments[index]!.path, copy * 65536 + 9, Uint8Array.of(1, 2));
      expect(await verdicts(disk)).toEqual({ code: "WAL_CORRUPT", records, exit: 1 });
    }
  });

  it("that the device cannot read at all is unreadable, not damaged", async () => {
    const log = threeSegments();
    const disk = disked(log);
    for (const copy of [0, 1]) disk.makeUnreadable(log.segments[2]!.path, copy * 65536, 512);
    expect((await verdicts(disk)).code).toBe("WAL_UNREADABLE");
  });

  it("of a version that is not known is not guessed at", async () => {
    const log = threeSegments();
    const { crc32c } = await import("@stonewal/record");
    for (const copy of [0, 1]) {
      const bytes = log.current.bytes.subarray(copy * 65536, copy * 65536 + 256);
      const view = new DataView(bytes.buffer, bytes.byteOffset, 256);
      view.setUint32(12, 2, true);
      view.setUint32(8, crc32c(bytes, 12, 256), true);
    }
    expect(await codeOf(recoverLog({ io: disked(log).mount(), directory: DIRECTORY }))).toBe(
      "WAL_UNSUPPORTED_FORMAT",
    );
  });
});

describe("a cut", () => {
  it("takes away records behind it in the middle of a frame, whole frames and whole segments", async () => {
    const log = new LogBuilder({ blocks: 6 });
    log.open();
    log.frame(["r1", "r2", "gone"]);
    log.frame(["gone"]);
    log.roll();
    log.frame(["gone", "gone"]);
    log.cut(2);
    log.frame(["r3"]);
    log.close();
    const disk = disked(log);
    expect(await verdicts(disk.clone())).toEqual({ code: "resolved", records: ["r1", "r2", "r3"], exit: 0 });
    const io = disk.mount();
    const plan = await planRecovery({ io, directory: DIRECTORY });
    expect(plan?.removed).toEqual([log.segments[1]!.name]);
    const { voidSegments } = await inspectLog({ io, directory: DIRECTORY });
    expect(voidSegments).toEqual([log.segments[1]!.name]);
    const recovered = (await recoverLog({ io, directory: DIRECTORY }))!;
    expect(recovered.segments.map(({ sequence, lastLsn }) => [sequence, lastLsn])).toEqual([
      [1, 2],
      [3, 3],
    ]);
    expect(disk.paths()).not.toContain(log.segments[1]!.path);
    expect(await recordsOf(io)).toEqual(["r1", "r2", "r3"]);
  });

  it("back to before the first record, and again behind another cut", async () => {
    const log = new LogBuilder({ blocks: 6 });
    log.open();
    log.frame(["r1", "x", "x"]);
    log.cut(2);
    log.frame(["y"]);
    log.cut(1);
    log.frame(["r2"]);
    expect(await verdicts(disked(log))).toEqual({ code: "resolved", records: ["r1", "r2"], exit: 0 });
  });

  it("in a segment of which no frame counts", async () => {
    const log = new LogBuilder({ blocks: 6 });
    log.open();
    log.frame(["r1"]);
    log.roll();
    log.roll();
    log.frame(["r2"]);
    expect(await verdicts(disked(log))).toEqual({ code: "resolved", records: ["r1", "r2"], exit: 0 });
  });

  it("that names fewer records than lie before its frame is damage", async () => {
    const log = new LogBuilder({ blocks: 6 });
    log.open();
    for (const record of ["r1", "r2", "r3"]) log.frame([record]);
    log.nextLsn = 2;
    log.roll();
    log.setAnchor();
    expect((await verdicts(disked(log))).code).toBe("WAL_CORRUPT");
  });

  it("that names more records than its frame has is damage", async () => {
    const log = new LogBuilder({ blocks: 6 });
    log.open();
    log.frame(["r1"]);
    log.nextLsn = 7;
    log.roll();
    log.setAnchor();
    expect((await verdicts(disked(log))).code).toBe("WAL_CORRUPT");
  });
});

describe("files that belong to the log no more", () => {
  it("are removed: segments below the trim point, unfinished spares, spares of another size; the others stay", async () => {
    const log = threeSegments();
    log.setAnchor({ trimPoint: 3 });
    const disk = disked(log);
    const spare = (n: number, suffix = "") => `${DIRECTORY}/spare-${String(n).padStart(20, "0")}${suffix}`;
    disk.plant(spare(4), new Uint8Array(log.segmentBytes));
    disk.plant(spare(5), new Uint8Array(BLOCK));
    disk.plant(spare(7, ".new"), new Uint8Array(log.segmentBytes));
    disk.plant(`${DIRECTORY}/somebody-else`, new Uint8Array(5));
    const recovered = (await recoverLog({ io: disk.mount(), directory: DIRECTORY }))!;
    expect(recovered.spares).toEqual(["spare-00000000000000000004"]);
    expect(recovered.highestSpare).toBe(7);
    expect(recovered.trimLsn).toBe(3);
    expect(disk.paths().sort()).toEqual(
      [spare(4), log.current.path, `${DIRECTORY}/anchor`, `${DIRECTORY}/somebody-else`].sort(),
    );
  });

  it("the older copy of the anchor is brought up to date before anything below the trim point is removed", async () => {
    const log = threeSegments();
    const older = log.anchor!;
    log.setAnchor({ trimPoint: 3 });
    const disk = disked(log);
    const { encodeAnchor } = await import("@stonewal/record");
    disk.corrupt(`${DIRECTORY}/anchor`, 65536, encodeAnchor(older).subarray(65536));
    const io = disk.mount();
    expect((await verifyLog({ io, directory: DIRECTORY })).corruption).toEqual([]);
    await recoverLog({ io, directory: DIRECTORY });
    disk.corrupt(`${DIRECTORY}/anchor`, 0, new Uint8Array(256));
    expect(await recordsOf(io)).toEqual(["r4"]);
  });

  it("bytes in the unused end of an earlier segment are reported and zeroed", async () => {
    const log = threeSegments();
    const disk = disked(log);
    disk.corrupt(log.segments[0]!.path, log.segmentBytes - 3, Uint8Array.of(7));
    expect(await verdicts(disk.clone())).toEqual({
      code: "resolved",
      records: ["r1", "r2", "r3", "r4"],
      exit: 1,
    });
    await recoverLog({ io: disk.mount(), directory: DIRECTORY });
    expect(Buffer.compare(disk.fileBytes(log.segments[0]!.path), log.segments[0]!.bytes)).toBe(0);
  });
});

describe("inspect", () => {
  it("lists every frame that counts, with its place", async () => {
    const log = threeSegments();
    const report = await inspectLog({ io: disked(log).mount(), directory: DIRECTORY });
    const frames = await collect(report.frameList(), (frame) => frame);
    expect(frames.map(({ frameNumber, kind, offset }) => [frameNumber, kind, offset])).toEqual(
      log.frames.map(({ frameNumber, offset }, i) => [frameNumber, i === 0 ? "open" : "data", offset]),
    );
    expect(report.segmentList.map(({ frames, records }) => [frames, records])).toEqual([
      [2, 2],
      [1, 1],
      [1, 1],
    ]);
    expect(report).toMatchObject({
      logId: "11".repeat(16),
      trimLsn: 0,
      anchor: { watermark: 5, lastLsn: 4 },
    });
  });

  it("of a log without one readable segment lists no frame, and what is damaged", async () => {
    const log = threeSegments();
    const disk = disked(log);
    for (const { path } of log.segments) {
      for (const copy of [0, 65_536]) disk.corrupt(path, copy + 20, Uint8Array.of(0xff));
    }
    const report = await inspectLog({ io: disk.mount(), directory: DIRECTORY });
    expect(await collect(report.frameList(), (frame) => frame)).toEqual([]);
    expect(report.segmentList).toEqual([]);
    expect(report.corruption.length).toBeGreaterThan(0);
  });
});
