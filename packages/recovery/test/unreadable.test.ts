import { SimDisk } from "@stonewal/io-sim";
import { describe, expect, it } from "vitest";
import { openReader, recoverLog, verifyLog } from "../src/index.js";
import { BLOCK, DIRECTORY, LogBuilder, payload, protect } from "./log-builder.js";
import { codeOf, errorOf, recordsOf, snapshot, verdicts } from "./outcome.js";

/** A block that the device refuses to read is neither invalid nor absent. */

function build(): LogBuilder {
  const log = new LogBuilder();
  log.open();
  log.frame(["r1"]);
  log.frame(["r2"]);
  log.setAnchor({ watermark: 1, durableLsn: 0 });
  return log;
}

function disked(log: LogBuilder): SimDisk {
  const disk = new SimDisk();
  log.plant(disk);
  return disk;
}

describe("an unreadable block", () => {
  it("in a frame without a copy refuses, and says where, even when it is the last frame", async () => {
    for (const part of [0, 1]) {
      const log = build();
      const frame = log.frame([payload("x".repeat(6000))]);
      const disk = disked(log);
      disk.makeUnreadable(log.current.path, frame.offset + part * BLOCK, 512);
      expect(await verdicts(disk)).toEqual({ code: "WAL_UNREADABLE", records: ["r1", "r2"], exit: 1 });
      const { details } = await errorOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }));
      expect(details).toMatchObject({
        file: log.current.path,
        offset: frame.offset + part * BLOCK,
        firstLsn: 3,
      });
    }
  });

  it("in a frame that later ones call durable is unreadable, not damaged: the device may still give it back", async () => {
    const log = build();
    const frame = log.frame(["r3"]);
    log.frame(["r4"]);
    const disk = disked(log);
    disk.makeUnreadable(log.current.path, frame.offset, 512);
    expect(await verdicts(disk.clone())).toEqual({ code: "WAL_UNREADABLE", records: ["r1", "r2"], exit: 1 });
    disk.makeReadable(log.current.path);
    expect(await verdicts(disk)).toEqual({ code: "resolved", records: ["r1", "r2", "r3", "r4"], exit: 0 });
  });

  it("in a frame that the double-write buffer has is written anew", async () => {
    const log = build();
    const frame = log.frame(["r3"]);
    const disk = disked(log);
    await protect(disk.mount(), [frame]);
    disk.makeUnreadable(log.current.path, frame.offset, 512);
    expect(await recordsOf(disk.clone().mount())).toEqual(["r1", "r2", "r3"]);
    const io = disk.mount();
    await recoverLog({ io, directory: DIRECTORY });
    disk.plant(`${DIRECTORY}/dwb`, new Uint8Array());
    expect(await recordsOf(io)).toEqual(["r1", "r2", "r3"]);
  });

  it("at the end, where the next frame would be, refuses: something acknowledged may be there", async () => {
    const log = build();
    const disk = disked(log);
    disk.makeUnreadable(log.current.path, log.offset, 512);
    expect(await verdicts(disk)).toEqual({ code: "WAL_UNREADABLE", records: ["r1", "r2"], exit: 1 });
  });

  it("behind a torn frame refuses: a witness may be there", async () => {
    const log = build();
    const torn = log.frame(["torn"]);
    log.current.bytes.fill(0, torn.offset + 100, torn.offset + BLOCK);
    const disk = disked(log);
    disk.makeUnreadable(log.current.path, torn.offset + 5 * BLOCK, 512);
    const before = snapshot(disk);
    expect(await verdicts(disk)).toEqual({ code: "WAL_UNREADABLE", records: ["r1", "r2"], exit: 1 });
    expect(snapshot(disk)).toEqual(before);
  });

  it("behind a hole that another witness already proves is corruption", async () => {
    const log = build();
    const hole = log.frame(["r3"]);
    log.frame([], { kind: "idle" });
    log.frame(["r4"]);
    log.current.bytes.fill(0, hole.offset, hole.offset + BLOCK);
    const disk = disked(log);
    disk.makeUnreadable(log.current.path, log.offset + 5 * BLOCK, 512);
    expect((await verdicts(disk)).code).toBe("WAL_CORRUPT");
  });

  it("does not take its neighbours with it", async () => {
    const log = build();
    const frame = log.frame(["r3"]);
    const disk = disked(log);
    disk.makeUnreadable(log.current.path, frame.offset, 512);
    const reader = await openReader({ io: disk.mount(), directory: DIRECTORY, damaged: "prefix" });
    expect(reader.lastLsn()).toBe(2);
    await reader.close();
  });

  it("in an earlier segment refuses", async () => {
    const log = build();
    log.roll();
    log.frame(["r3"]);
    const disk = disked(log);
    disk.makeUnreadable(log.segments[0]!.path, log.frames[2]!.offset, 512);
    expect(await verdicts(disk)).toEqual({ code: "WAL_UNREADABLE", records: ["r1"], exit: 1 });
  });
});

describe("an unreadable slot of the double-write buffer", () => {
  const DWB = `${DIRECTORY}/dwb`;
  async function withBadSlot(log: LogBuilder): Promise<SimDisk> {
    const disk = disked(log);
    await protect(disk.mount(), log.frames);
    disk.makeUnreadable(DWB, 65536, 512);
    return disk;
  }

  it("refuses where a frame is torn: its copy, or a witness, may be in there", async () => {
    const log = build();
    const disk = await withBadSlot(log);
    disk.corrupt(log.current.path, log.offset, Uint8Array.of(1, 2, 3));
    expect((await verdicts(disk)).code).toBe("WAL_UNREADABLE");
  });

  it("refuses where the buffer acknowledges commits", async () => {
    const disk = disked(build());
    const dwbId = await protect(disk.mount(), []);
    const log = new LogBuilder();
    log.open("dwb", dwbId);
    log.frame(["r1"]);
    log.plant(disk);
    await protect(disk.mount(), log.frames);
    disk.makeUnreadable(DWB, 65536, 512);
    expect((await verdicts(disk)).code).toBe("WAL_UNREADABLE");
  });

  it("does not matter where the log ends cleanly, or was closed", async () => {
    const log = build();
    expect((await verdicts(await withBadSlot(log))).code).toBe("resolved");
    log.close();
    expect((await verdicts(await withBadSlot(log))).code).toBe("resolved");
  });
});

describe("the anchor", () => {
  it("with one copy unreadable is read from the other and written anew", async () => {
    for (const copy of [0, 1]) {
      const disk = disked(build());
      disk.makeUnreadable(`${DIRECTORY}/anchor`, copy * 65536, 512);
      expect(await verdicts(disk.clone())).toMatchObject({ code: "resolved", exit: 1 });
      const io = disk.mount();
      await recoverLog({ io, directory: DIRECTORY });
      expect((await verifyLog({ io, directory: DIRECTORY })).corruption).toEqual([]);
    }
  });

  it("that cannot be read at all refuses", async () => {
    const disk = disked(build());
    for (const copy of [0, 1]) disk.makeUnreadable(`${DIRECTORY}/anchor`, copy * 65536, 512);
    expect((await verdicts(disk)).code).toBe("WAL_UNREADABLE");
  });
});

describe("what is read is what is on the disk", () => {
  it("a page that the cache holds and the disk never got is not recovered", async () => {
    const log = build();
    const disk = disked(log);
    const before = log.offset;
    const lost = log.frame(["never"]);
    const io = disk.mount();
    const file = await io.open(log.current.path, { access: "write" });
    const arena = io.arena(lost.bytes.length);
    arena.bytes.set(lost.bytes);
    disk.fail({ operation: "sync" });
    await expect(
      io.submit([
        { kind: "write", file, region: { arena, start: 0, length: lost.bytes.length }, offset: before },
        { kind: "sync", file },
      ]),
    ).rejects.toThrow();
    await file.close();
    for (const direct of [true, false]) {
      const copy = disk.clone();
      const reader = await openReader({ io: copy.mount(), directory: DIRECTORY, direct });
      const durable = reader.lastLsn();
      await reader.close();
      copy.crash("none");
      expect(await recordsOf(copy.mount())).toHaveLength(durable);
    }
  });

  it("what an earlier process wrote and never synced is durable once it has been delivered", async () => {
    for (const direct of [true, false]) {
      for (const open of ["recover", "read"] as const) {
        const log = build();
        const disk = disked(log);
        const { offset } = log;
        const late = log.frame(["r3"]);
        const writer = disk.mount();
        const file = await writer.open(log.current.path, { access: "write" });
        const arena = writer.arena(late.bytes.length);
        arena.bytes.set(late.bytes);
        await writer.submit([
          { kind: "write", file, region: { arena, start: 0, length: late.bytes.length }, offset },
        ]);
        await file.close();
        const io = disk.mount();
        const lsn =
          open === "recover"
            ? (await recoverLog({ io, directory: DIRECTORY, direct }))!.position.nextLsn - 1
            : (await openReader({ io, directory: DIRECTORY, direct })).lastLsn();
        disk.crash("none");
        expect(lsn).toBe(3);
        expect(await recordsOf(disk.mount())).toEqual(["r1", "r2", "r3"]);
      }
    }
  });

  it("a segment whose name is not durable yet is made so before its records are delivered", async () => {
    const log = build();
    log.roll();
    log.frame(["r3"]);
    const disk = disked(log);
    const io = disk.mount();
    const aside = `${log.current.path}.x`;
    await io.rename(log.current.path, aside);
    await io.syncDirectory(DIRECTORY);
    await io.rename(aside, log.current.path);
    expect(await recordsOf(io)).toEqual(["r1", "r2", "r3"]);
    disk.crash("none");
    expect(await recordsOf(disk.mount())).toEqual(["r1", "r2", "r3"]);
  });

  it("a double-write buffer that was not synced is, before a copy from it is believed", async () => {
    const log = build();
    const disk = disked(log);
    const copy = log.frame(["r3"], { lost: true });
    const io = disk.mount();
    await protect(io, []);
    const dwb = disk.fileBytes(`${DIRECTORY}/dwb`);
    await protect(io, [copy]);
    const full = disk.fileBytes(`${DIRECTORY}/dwb`);
    disk.plant(`${DIRECTORY}/dwb`, dwb);
    const file = await io.open(`${DIRECTORY}/dwb`, { access: "write" });
    const arena = io.arena(full.length);
    arena.bytes.set(full);
    await io.submit([{ kind: "write", file, region: { arena, start: 0, length: full.length }, offset: 0 }]);
    await file.close();
    const found = await recordsOf(io);
    disk.crash("none");
    expect(await recordsOf(disk.mount())).toEqual(found);
  });

  it("a failed sync while recovering is an error, and nothing is delivered", async () => {
    const disk = disked(build());
    const io = disk.mount();
    disk.fail({ operation: "sync" });
    await expect(recoverLog({ io, directory: DIRECTORY })).rejects.toMatchObject({ code: "IO_SYNC_FAILED" });
    expect(await codeOf(recoverLog({ io, directory: DIRECTORY }))).toBe("resolved");
  });
});
