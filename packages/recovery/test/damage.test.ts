import { SimDisk } from "@stonewal/io-sim";
import { describe, expect, it } from "vitest";
import { inspectLog, openReader, recoverLog, verifyLog } from "../src/index.js";
import { BLOCK, DIRECTORY, LogBuilder, payload, protect } from "./log-builder.js";
import { codeOf, errorOf, snapshot, text, verdicts } from "./outcome.js";

/** Acknowledged data damaged: never silently fewer records. */

function build(change?: (log: LogBuilder) => void): { log: LogBuilder; disk: SimDisk } {
  const log = new LogBuilder();
  log.open();
  for (let i = 1; i <= 5; i++) log.frame([`r${i}`]);
  change?.(log);
  const disk = new SimDisk();
  log.plant(disk);
  return { log, disk };
}

async function refuses(disk: SimDisk, records: string[], code = "WAL_CORRUPT"): Promise<void> {
  const before = snapshot(disk);
  expect(await verdicts(disk)).toEqual({ code, records, exit: 1 });
  expect(snapshot(disk)).toEqual(before);
}

describe("a hole in what was acknowledged is damage", () => {
  it("shown by a later frame in the same segment, and the LSNs are named", async () => {
    const { log, disk } = build();
    const [, , second, third] = log.frames;
    disk.corrupt(log.current.path, second!.offset + 200, Uint8Array.of(1));
    await refuses(disk, ["r1"]);
    const error = await errorOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }));
    expect(error.details).toEqual({
      file: log.current.path,
      sequence: 1,
      offset: second!.offset,
      frameNumber: second!.frameNumber,
      firstLsn: 2,
      lastLsn: third!.firstLsn - 1,
    });
  });

  it("acknowledged bytes that were zeroed, up to the last frame", async () => {
    const { log, disk } = build();
    const { offset } = log.frames[2]!;
    disk.corrupt(log.current.path, offset, new Uint8Array(3 * BLOCK));
    await refuses(disk, ["r1"]);
    const error = await errorOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }));
    expect(error.details).toMatchObject({ firstLsn: 2, lastLsn: 4 });
  });

  it("shown by an idle frame alone, which has no LSN of its own", async () => {
    const { log, disk } = build((log) => {
      log.setAnchor({ watermark: 1, durableLsn: 0 });
      log.frame([], { kind: "idle" });
    });
    disk.corrupt(log.current.path, log.frames[5]!.offset, new Uint8Array(BLOCK));
    await refuses(disk, ["r1", "r2", "r3", "r4"]);
  });

  it("shown by the anchor alone", async () => {
    const { log, disk } = build((log) => log.setAnchor());
    disk.corrupt(log.current.path, log.frames[5]!.offset, new Uint8Array(BLOCK));
    await refuses(disk, ["r1", "r2", "r3", "r4"]);
    const error = await errorOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }));
    expect(error.details).toMatchObject({ firstLsn: 5, lastLsn: 5 });
  });

  it("shown only by a frame in the double-write buffer, whose home was torn by the same crash", async () => {
    const { log, disk } = build((log) => log.setAnchor({ watermark: 1, durableLsn: 0 }));
    const witness = log.frame(["r6"], { lost: true });
    const io = disk.mount();
    await protect(io, [witness]);
    disk.corrupt(log.current.path, log.frames[5]!.offset, new Uint8Array(BLOCK));
    await refuses(disk, ["r1", "r2", "r3", "r4"]);
  });

  it("shown by a frame whose header is intact and whose body a crash has torn", async () => {
    const { log, disk } = build((log) => {
      log.setAnchor({ watermark: 1, durableLsn: 0 });
      const { offset } = log.frame([payload("x".repeat(9000))]);
      log.current.bytes.fill(0, offset + BLOCK, offset + 3 * BLOCK);
    });
    disk.corrupt(log.current.path, log.frames[5]!.offset + 5, Uint8Array.of(0xff));
    await refuses(disk, ["r1", "r2", "r3", "r4"]);
  });

  it("shown by a later segment", async () => {
    const { log, disk } = build((log) => {
      log.roll();
      log.frame(["r6"]);
    });
    const path = log.segments[0]!.path;
    disk.corrupt(path, log.frames[5]!.offset, new Uint8Array(BLOCK));
    await refuses(disk, ["r1", "r2", "r3", "r4"]);
    const error = await errorOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }));
    expect(error.details).toMatchObject({ file: path, firstLsn: 5, lastLsn: 5 });
  });

  it("in the middle of an earlier segment: what follows there bounds what is missing", async () => {
    const { log, disk } = build((log) => {
      log.roll();
      log.frame(["r6"]);
    });
    disk.corrupt(log.segments[0]!.path, log.frames[2]!.offset + 8, Uint8Array.of(0, 0, 0));
    await refuses(disk, ["r1"]);
    const error = await errorOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }));
    expect(error.details).toMatchObject({ firstLsn: 2, lastLsn: 2 });
  });

  it("a watermark that covers only what precedes the hole proves nothing", async () => {
    const { log, disk } = build((log) => log.setAnchor({ watermark: 6, durableLsn: 4 }));
    disk.corrupt(log.current.path, log.frames[5]!.offset, new Uint8Array(BLOCK));
    const { code, records } = await verdicts(disk);
    expect({ code, records }).toEqual({ code: "resolved", records: ["r1", "r2", "r3", "r4"] });
  });
});

describe("each check that makes a frame valid", () => {
  const fields = [
    ["the log id", { logId: new Uint8Array(16).fill(9) }],
    ["the sequence", { sequence: 2 }],
    ["the frame number", { frameNumber: 9 }],
    ["the first LSN", { firstLsn: 9 }],
    ["the chain", { chain: 1n }],
  ] as const;
  for (const [name, override] of fields) {
    it(`a frame with another value of ${name} is not taken`, async () => {
      const log = new LogBuilder();
      log.open();
      log.frame(["r1"]);
      const { offset, frameNumber, nextLsn, chain } = log;
      log.frame(["not"], { watermark: 0, fields: { ...override, watermark: 0 } });
      Object.assign(log, { offset, frameNumber, nextLsn, chain });
      const disk = new SimDisk();
      log.setAnchor();
      log.plant(disk);
      expect(await verdicts(disk)).toMatchObject({ code: "resolved", records: ["r1"] });
    });
  }

  it("a frame at another offset (a misdirected write) is not taken", async () => {
    const log = new LogBuilder();
    log.open();
    log.frame(["r1"]);
    const { offset } = log;
    const frame = log.frame(["not"], { lost: true, fields: { offset: offset + 4 * BLOCK } });
    log.current.bytes.set(frame.bytes, offset);
    log.setAnchor({ watermark: 3, durableLsn: 1 });
    const disk = new SimDisk();
    log.plant(disk);
    expect(await verdicts(disk)).toMatchObject({ code: "resolved", records: ["r1"] });
  });

  it("a segment that ends otherwise than the next one says is damage", async () => {
    const log = new LogBuilder();
    log.open();
    const early = { ...log.frame(["r1"]) };
    log.frame(["r2"]);
    log.chain = early.checksum;
    log.roll();
    log.frame(["r3"]);
    const disk = new SimDisk();
    log.plant(disk);
    await refuses(disk, ["r1", "r2"]);
  });

  it("a segment that is said to end at another offset is damage", async () => {
    for (const empty of [false, true]) {
      const log = new LogBuilder();
      log.frame(["r1"]);
      if (empty) log.roll();
      log.offset += BLOCK;
      log.roll();
      log.frame(["r2"]);
      const disk = new SimDisk();
      log.plant(disk);
      await refuses(disk, ["r1"]);
    }
  });
});

describe("a closed log", () => {
  function closed(): { log: LogBuilder; disk: SimDisk } {
    const log = new LogBuilder();
    log.open();
    log.frame(["r1", "r2"]);
    log.close();
    const disk = new SimDisk();
    log.plant(disk);
    return { log, disk };
  }

  it("opens with a damaged close frame, the first or the second, and says so", async () => {
    for (const which of [-2, -1]) {
      const { log, disk } = closed();
      const damaged = log.frames.at(which)!;
      disk.corrupt(log.current.path, damaged.offset + 20, Uint8Array.of(0xee));
      expect(await verdicts(disk.clone())).toEqual({ code: "resolved", records: ["r1", "r2"], exit: 1 });
      const io = disk.mount();
      const { corruption } = await verifyLog({ io, directory: DIRECTORY });
      expect(corruption).toMatchObject([
        { repairable: true, offset: damaged.offset, frameNumber: damaged.frameNumber },
      ]);
      const recovered = (await recoverLog({ io, directory: DIRECTORY }))!;
      expect(recovered.position).toMatchObject({ offset: damaged.offset, nextLsn: 3 });
      // Its number is given out again, so nothing may still call it durable.
      expect(recovered.anchor?.watermark).toBe(damaged.frameNumber);
      expect((await inspectLog({ io, directory: DIRECTORY })).anchor).toMatchObject({
        watermark: damaged.frameNumber,
        generation: recovered.anchor?.generation,
      });
      // What is written at its place and torn again does not turn the old watermark into an alarm.
      disk.corrupt(log.current.path, damaged.offset, Uint8Array.of(1, 2, 3));
      expect((await recoverLog({ io, directory: DIRECTORY }))?.position).toEqual(recovered.position);
    }
  });

  it("is damaged when a close frame is, and a record lies behind it", async () => {
    const { log, disk } = build((log) => {
      log.close();
      log.open();
      log.frame(["r6"]);
    });
    disk.corrupt(log.current.path, log.frames[6]!.offset + 20, Uint8Array.of(0xee));
    await refuses(disk, ["r1", "r2", "r3", "r4", "r5"]);
  });

  it("with something behind its end is reported as damaged, and opens", async () => {
    const { log, disk } = closed();
    disk.corrupt(log.current.path, log.offset + 3 * BLOCK + 5, Uint8Array.of(1));
    expect(await verdicts(disk.clone())).toEqual({ code: "resolved", records: ["r1", "r2"], exit: 1 });
    const io = disk.mount();
    const { corruption } = await verifyLog({ io, directory: DIRECTORY });
    expect(corruption).toMatchObject([
      { repairable: true, file: log.current.path, offset: log.offset + 3 * BLOCK },
    ]);
    await recoverLog({ io, directory: DIRECTORY });
    expect((await verifyLog({ io, directory: DIRECTORY })).corruption).toEqual([]);
  });
});

describe("the anchor", () => {
  it("with one damaged copy is read from the other, reported, and mended", async () => {
    for (const copy of [0, 1]) {
      const { log, disk } = build((log) => log.close());
      disk.corrupt(`${DIRECTORY}/anchor`, copy * 65536 + 50, Uint8Array.of(0xaa));
      const io = disk.mount();
      const { corruption } = await verifyLog({ io, directory: DIRECTORY });
      expect(corruption).toMatchObject([
        { repairable: true, file: `${DIRECTORY}/anchor`, offset: copy * 65536 },
      ]);
      const recovered = await recoverLog({ io, directory: DIRECTORY });
      expect(recovered?.anchor?.generation).toBe(log.anchor!.generation);
      expect((await verifyLog({ io, directory: DIRECTORY })).corruption).toEqual([]);
    }
  });

  it("with both copies damaged keeps a log with records from being opened", async () => {
    const { disk } = build();
    for (const copy of [0, 1]) disk.corrupt(`${DIRECTORY}/anchor`, copy * 65536 + 50, Uint8Array.of(0xaa));
    await refuses(disk, ["r1", "r2", "r3", "r4", "r5"]);
  });

  it("that its creation left incomplete is as good as none", async () => {
    for (const bytes of [new Uint8Array(), new Uint8Array(5000), new Uint8Array(131072), undefined]) {
      const log = new LogBuilder();
      const disk = new SimDisk();
      log.plant(disk, { anchor: false });
      if (bytes !== undefined) disk.plant(`${DIRECTORY}/anchor`, bytes);
      const io = disk.mount();
      const recovered = (await recoverLog({ io, directory: DIRECTORY }))!;
      expect(recovered.anchor).toBeUndefined();
      expect(await io.list(DIRECTORY)).toEqual([log.current.name]);
    }
  });

  it("of another log is refused", async () => {
    const { log, disk } = build((log) => log.setAnchor({ logId: new Uint8Array(16).fill(3) }));
    expect(log.anchor).toBeDefined();
    expect(await codeOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }))).toBe("WAL_OVERLAP");
  });
});

describe("a reader of a damaged log", () => {
  it("is refused by default, and gets what precedes the damage when it asks for that", async () => {
    const { log, disk } = build();
    disk.corrupt(log.current.path, log.frames[3]!.offset, new Uint8Array(BLOCK));
    const io = disk.mount();
    expect(await codeOf(openReader({ io, directory: DIRECTORY }))).toBe("WAL_CORRUPT");
    const reader = await openReader({ io, directory: DIRECTORY, damaged: "prefix" });
    expect(reader.damage()?.code).toBe("WAL_CORRUPT");
    const seen: string[] = [];
    const reading = (async () => {
      for await (const record of reader.replay()) seen.push(text(record));
    })();
    expect(await codeOf(reading)).toBe("WAL_CORRUPT");
    expect(seen).toEqual(["r1", "r2"]);
    // Asked for no more than what is there, there is nothing to complain about.
    const part: string[] = [];
    for await (const record of reader.replay({ to: 2 })) part.push(text(record));
    expect(part).toEqual(["r1", "r2"]);
    await reader.close();
  });
});

describe("an ordinary crash is not reported as damage", () => {
  function closed(): { log: LogBuilder; disk: SimDisk } {
    return build((log) => log.close());
  }

  it("when it tears the open frame of the next opening, behind a closed log", async () => {
    const { log, disk } = closed();
    const { offset } = log;
    const open = log.open();
    disk.corrupt(log.current.path, offset, open.bytes.subarray(0, 300).fill(0x3c, 150));
    expect(await verdicts(disk.clone())).toMatchObject({ code: "resolved", exit: 0 });
    expect((await verifyLog({ io: disk.mount(), directory: DIRECTORY })).tornTail).toBe(true);
  });

  it("when it tears a copy of the anchor while that is written", async () => {
    const anchor = `${DIRECTORY}/anchor`;
    const garbage = Uint8Array.from({ length: 512 }, (_, i) => (i * 89 + 7) & 255);
    for (const torn of [garbage, new Uint8Array(512)]) {
      // At a checkpoint: either copy. At the close: the first, while the second is the older one; or the second.
      for (const copy of [0, 65536]) {
        const open = build();
        open.disk.corrupt(anchor, copy, torn);
        expect(await verdicts(open.disk.clone())).toMatchObject({ code: "resolved", exit: 0 });
        const io = open.disk.mount();
        const recovered = await recoverLog({ io, directory: DIRECTORY });
        expect(recovered?.report.repaired).toHaveLength(1);
        expect((await recoverLog({ io, directory: DIRECTORY }))?.report.repaired).toEqual([]);
      }
      const { disk } = closed();
      disk.corrupt(anchor, 65536, torn);
      expect(await verdicts(disk)).toMatchObject({ code: "resolved", exit: 0 });
    }
  });

  it("when it interrupts the next opening in a segment of its own, because the last one was full", async () => {
    const { log, disk } = closed();
    log.roll();
    log.current.bytes.fill(0x3c, log.offset, log.offset + 3 * BLOCK);
    disk.plant(log.current.path, log.current.bytes);
    expect(await verdicts(disk.clone())).toMatchObject({ code: "resolved", exit: 0 });
    expect(await recoverLog({ io: disk.mount(), directory: DIRECTORY })).toMatchObject({
      closedCleanly: false,
    });
  });

  it("but what lies further behind a closed log than its next open frame is, however much of it there is", async () => {
    for (const offset of [BLOCK, BLOCK - 150]) {
      const { log, disk } = closed();
      disk.corrupt(log.current.path, log.offset + offset, new Uint8Array(300).fill(0x3c));
      expect(await verdicts(disk)).toMatchObject({ code: "resolved", exit: 1 });
    }
  });

  it("but rot in a copy of the anchor of a closed log is, and so is a first copy in disorder", async () => {
    for (const [at, bytes] of [
      [65536 + 50, Uint8Array.of(0xaa)],
      [65536 + 6000, Uint8Array.of(0xaa)],
      [0, new Uint8Array(512)],
    ] as const) {
      const { disk } = closed();
      disk.corrupt(`${DIRECTORY}/anchor`, at, bytes);
      expect(await verdicts(disk)).toMatchObject({ code: "resolved", exit: 1 });
    }
  });
});
