import { SimDisk } from "@stonewal/io-sim";
import { FRAMES_START } from "@stonewal/record";
import { describe, expect, it } from "vitest";
import { planRecovery, recoverLog, verifyLog } from "../src/index.js";
import { BLOCK, DIRECTORY, id, LogBuilder, payload } from "./log-builder.js";
import { recordsOf, snapshot, verdicts } from "./outcome.js";

/** An interrupted write behind what was acknowledged: the log opens, and what was acknowledged is there. */

function acknowledged(options: ConstructorParameters<typeof LogBuilder>[0] = {}): LogBuilder {
  const log = new LogBuilder(options);
  log.open();
  log.frame(["r1", "r2"]);
  log.frame(["r3"]);
  return log;
}

const GARBAGE = Uint8Array.from({ length: 3 * BLOCK }, (_, i) => (i * 197 + 13) & 255);

async function opens(log: LogBuilder): Promise<SimDisk> {
  const disk = new SimDisk();
  log.plant(disk);
  expect(await verdicts(disk.clone())).toEqual({ code: "resolved", records: ["r1", "r2", "r3"], exit: 0 });
  const io = disk.mount();
  expect((await verifyLog({ io, directory: DIRECTORY })).tornTail).toBe(true);
  const recovered = (await recoverLog({ io, directory: DIRECTORY }))!;
  expect(recovered.position.nextLsn).toBe(4);
  const after = await verifyLog({ io, directory: DIRECTORY });
  expect(after).toMatchObject({ tornTail: false, records: 3, corruption: [] });
  await io.close();
  return disk;
}

describe("a torn tail never costs what was acknowledged, and never keeps the log from opening", () => {
  it("garbage behind the end", async () => {
    const log = acknowledged();
    log.current.bytes.set(GARBAGE, log.offset);
    await opens(log);
  });

  it("a frame whose first block never arrived (later blocks reached the disk first)", async () => {
    const log = acknowledged();
    const { offset } = log.frame([payload("x".repeat(9000))]);
    log.current.bytes.fill(0, offset, offset + BLOCK);
    await opens(log);
  });

  it("a frame whose last block never arrived", async () => {
    const log = acknowledged();
    const { offset, bytes } = log.frame([payload("x".repeat(9000))]);
    log.current.bytes.fill(0, offset + bytes.length - BLOCK, offset + bytes.length);
    await opens(log);
  });

  it("a header torn in the middle of its sector", async () => {
    const log = acknowledged();
    const { offset } = log.frame(["lost"]);
    log.current.bytes.fill(0, offset + 100, offset + BLOCK);
    await opens(log);
  });

  it("a stray block far behind the end", async () => {
    const log = acknowledged();
    log.current.bytes.set(GARBAGE.subarray(0, BLOCK), log.offset + 7 * BLOCK);
    const disk = await opens(log);
    const bytes = disk.fileBytes(log.current.path);
    expect(bytes.subarray(log.offset).some((byte) => byte !== 0)).toBe(false);
  });

  it("an older frame of this log, copied behind its end", async () => {
    const log = acknowledged();
    log.current.bytes.set(log.frames[1]!.bytes, log.offset);
    await opens(log);
  });

  it("a frame that would reach out of its segment", async () => {
    const log = acknowledged({ blocks: 5 });
    const large = new LogBuilder({ blocks: 9 });
    Object.assign(large, {
      offset: log.offset,
      frameNumber: log.frameNumber,
      nextLsn: log.nextLsn,
      chain: log.chain,
    });
    const frame = large.frame([payload("x".repeat(5 * BLOCK))]);
    log.current.bytes.set(frame.bytes.subarray(0, 2 * BLOCK), log.offset);
    await opens(log);
  });

  it("a batch that was not synced, of which a later frame is intact and an earlier one is not", async () => {
    const log = acknowledged();
    const durable = log.frameNumber;
    log.frame(["x"], { watermark: durable, lost: true });
    log.frame(["y"], { watermark: durable });
    log.frame(["z"], { watermark: durable });
    const disk = await opens(log);
    const asides = disk.paths().filter((path) => path.includes("aside-"));
    expect(asides).toHaveLength(2);
    expect(disk.fileBytes(asides[0]!)).toEqual(log.frames.at(-2)!.bytes);
  });
});

describe("what is appended next survives whatever lay behind the end", () => {
  it("a frame of equal length does not revive the intact frame behind it", async () => {
    const log = acknowledged();
    const durable = log.frameNumber;
    const position = {
      offset: log.offset,
      frameNumber: log.frameNumber,
      nextLsn: log.nextLsn,
      chain: log.chain,
    };
    const first = log.frame(["lost"], { watermark: durable, lost: true });
    // Even one that would fit the chain if the same bytes were written before it again.
    log.frame(["ghost"], { watermark: durable });
    const disk = new SimDisk();
    log.plant(disk);
    const io = disk.mount();
    await recoverLog({ io, directory: DIRECTORY });
    disk.corrupt(log.current.path, position.offset, first.bytes);
    expect(await recordsOf(io)).toEqual(["r1", "r2", "r3", "lost"]);
  });

  it("in a recycled file the frames of this segment are cleared, and nothing else is written but the block at the end", async () => {
    const log = acknowledged({ recycled: true });
    log.current.bytes.set(GARBAGE, log.offset + 8 * BLOCK);
    const durable = log.frameNumber;
    const end = log.offset;
    log.frame(["x"], { watermark: durable, lost: true });
    const ghost = log.frame([payload("y".repeat(5000))], { watermark: durable });
    const disk = await opens(log);
    const bytes = disk.fileBytes(log.current.path);
    const ghostEnd = ghost.offset + ghost.bytes.length;
    expect(bytes.subarray(end, ghostEnd).some((byte) => byte !== 0)).toBe(false);
    expect(bytes.subarray(ghostEnd)).toEqual(log.current.bytes.subarray(ghostEnd));
  });

  it("in a recycled file the block at the end is cleared even where nothing says what it was", async () => {
    const log = acknowledged({ recycled: true });
    log.current.bytes.fill(0xd7, log.offset);
    const disk = new SimDisk();
    log.plant(disk);
    await recoverLog({ io: disk.mount(), directory: DIRECTORY });
    const bytes = disk.fileBytes(log.current.path);
    expect(bytes.subarray(log.offset, log.offset + BLOCK).every((byte) => byte === 0)).toBe(true);
    expect(bytes.subarray(log.offset + BLOCK).every((byte) => byte === 0xd7)).toBe(true);
  });
});

describe("stale bytes come back neither as records nor as an alarm", () => {
  /** Contents of a file's former life: a full segment, with high watermarks. */
  function formerLife(options: { logId?: Uint8Array } = {}): Uint8Array {
    const old = new LogBuilder(options);
    for (let i = 0; i < 24; i++) old.frame([`old${i}`], { watermark: old.frameNumber });
    return old.current.bytes;
  }

  it("frames of the former life of a recycled file, at the very places where frames are looked for", async () => {
    const log = new LogBuilder();
    log.open();
    log.frame(["r1", "r2"]);
    const stale = formerLife();
    log.roll({ recycled: true, fill: (bytes) => bytes.set(stale.subarray(FRAMES_START), FRAMES_START) });
    log.frame(["r3"]);
    const disk = new SimDisk();
    log.plant(disk);
    expect(await verdicts(disk.clone())).toEqual({ code: "resolved", records: ["r1", "r2", "r3"], exit: 0 });
    expect(await verifyLog({ io: disk.mount(), directory: DIRECTORY })).toMatchObject({
      tornTail: false,
      tail: undefined,
    });
  });

  it("frames of another log", async () => {
    const log = acknowledged();
    log.current.bytes.set(formerLife({ logId: id(0x77) }).subarray(log.offset), log.offset);
    await opens(log);
  });

  it("a payload that holds the image of a frame of this log with a high watermark, at a block boundary", async () => {
    const log = acknowledged();
    const witness = new LogBuilder();
    witness.open();
    witness.frame(["r1", "r2"]);
    witness.frame(["r3"]);
    const durable = log.frameNumber;
    const { offset } = log;
    // The image lies where a block of the torn frame begins: header 192, record header 32, then up to the boundary.
    const image = witness.frame(["forged"], {
      fields: { offset: offset + BLOCK, frameNumber: durable + 5, watermark: durable + 5, firstLsn: 9 },
    });
    const forged = new Uint8Array(2 * BLOCK);
    forged.set(image.bytes, BLOCK - 192 - 32);
    log.frame([{ payload: forged }], { watermark: durable });
    log.current.bytes.fill(0, offset, offset + BLOCK);
    await opens(log);
  });

  it("frames that an earlier recovery dropped do not alarm when a later frame is torn", async () => {
    const log = acknowledged();
    const dropped = log.frameNumber;
    log.frame(["x"], { watermark: dropped, lost: true });
    const ghost = log.frame(["y"], { watermark: dropped });
    const disk = new SimDisk();
    log.plant(disk);
    const io = disk.mount();
    const recovered = (await recoverLog({ io, directory: DIRECTORY }))!;
    // As if clearing had not reached the disk: the ghost is still there, and now the next write is torn.
    disk.corrupt(log.current.path, ghost.offset, ghost.bytes);
    disk.corrupt(log.current.path, recovered.position.offset, GARBAGE.subarray(0, 300));
    expect(await recordsOf(io)).toEqual(["r1", "r2", "r3"]);
  });
});

describe("looking changes nothing", () => {
  it("verify, a plan and reading leave every byte of a torn log as it is", async () => {
    const log = acknowledged();
    log.current.bytes.set(GARBAGE, log.offset);
    const disk = new SimDisk();
    log.plant(disk);
    const before = snapshot(disk);
    const io = disk.mount();
    await verifyLog({ io, directory: DIRECTORY });
    await recordsOf(io);
    const plan = await planRecovery({ io, directory: DIRECTORY });
    expect(plan).toMatchObject({ records: 3, tornTail: { offset: log.offset, bytes: GARBAGE.length } });
    expect(snapshot(disk)).toEqual(before);
    expect(disk.trace.filter((line) => / (write|truncate|unlink|rename) /.test(line))).toEqual([]);
  });
});
