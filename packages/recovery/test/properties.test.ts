import { SimDisk } from "@stonewal/io-sim";
import { FRAMES_START } from "@stonewal/record";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { recoverLog, verifyLog } from "../src/index.js";
import { BLOCK, type BuiltFrame, DIRECTORY, id, LogBuilder, payload, protect } from "./log-builder.js";
import { recordsOf, verdicts } from "./outcome.js";

/** Damage of every kind to a log that was closed: what was acknowledged is there, or there is a typed error. */

function closedLog(): { log: LogBuilder; disk: SimDisk; records: string[] } {
  const log = new LogBuilder({ blocks: 10 });
  log.open();
  log.frame(["a", "bb"]);
  log.frame([payload("c".repeat(5000))]);
  log.frame([], { kind: "idle" });
  log.roll();
  log.frame(["d"]);
  log.frame([payload("e".repeat(100)), payload("")]);
  log.close();
  const disk = new SimDisk();
  log.plant(disk);
  return { log, disk, records: ["a", "bb", "c".repeat(5000), "d", "e".repeat(100), ""] };
}

describe("one flipped byte of a closed log", () => {
  const { log, disk, records } = closedLog();
  const anchor = `${DIRECTORY}/anchor`;
  const places: [string, number][] = [];
  const add = (path: string, from: number, to: number, step: number) => {
    for (let at = from; at < to; at += step) places.push([path, at]);
  };
  for (const path of [log.segments[0]!.path, log.segments[1]!.path, anchor]) {
    for (const copy of [0, 65536]) {
      add(path, copy, copy + 256, 1);
      add(path, copy + 256, copy + 65536, 3989);
    }
  }
  for (const frame of log.frames) {
    const { path } = log.segments[frame.sequence - 1]!;
    add(path, frame.offset, frame.offset + Math.min(frame.length, 320), 1);
    add(path, frame.offset + 320, frame.offset + frame.bytes.length, 331);
    add(path, frame.offset + frame.bytes.length - 1, frame.offset + frame.bytes.length, 1);
  }
  for (const { path } of log.segments) add(path, log.segmentBytes - 3 * BLOCK, log.segmentBytes, 1021);

  it(`is named by verify, at each of ${places.length} places, and no record is missing without an error`, async () => {
    for (const [path, offset] of places) {
      const damaged = disk.clone();
      const original = damaged.fileBytes(path)[offset]!;
      damaged.corrupt(path, offset, Uint8Array.of(original ^ (1 << (offset % 8))));
      const found = await verifyLog({ io: damaged.mount(), directory: DIRECTORY });
      const where = `${path} at ${offset}`;
      expect(found.corruption.length, where).toBeGreaterThan(0);
      expect(
        found.corruption.some((entry) => entry.file === path),
        where,
      ).toBe(true);
      const lost = found.corruption.some((entry) => !entry.repairable);
      if (found.records < records.length) expect(lost, where).toBe(true);
    }
  }, 240_000);

  it("is put right by the double-write buffer, wherever it lies in a frame that it holds", async () => {
    const protectedDisk = disk.clone();
    await protect(protectedDisk.mount(), log.frames);
    for (const [path, offset] of places) {
      if (offset < FRAMES_START || (offset * 7 + 3) % 11 !== 0) continue;
      const damaged = protectedDisk.clone();
      damaged.corrupt(path, offset, Uint8Array.of(damaged.fileBytes(path)[offset]! ^ 0x10));
      expect(await verdicts(damaged)).toEqual({ code: "resolved", records, exit: 1 });
    }
  }, 240_000);
});

type Damage =
  | { kind: "flip"; file: number; at: number; bit: number }
  | { kind: "zero"; file: number; block: number }
  | { kind: "garbage"; file: number; block: number }
  | { kind: "truncate"; file: number; length: number }
  | { kind: "copy" | "swap"; file: number; block: number; other: number; otherFile: number };

const place = fc.nat({ max: 1_000_000 });
const damages: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant("flip" as const), file: fc.nat(2), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant("zero" as const), file: fc.nat(2), block: place }),
  fc.record({ kind: fc.constant("garbage" as const), file: fc.nat(2), block: place }),
  fc.record({ kind: fc.constant("truncate" as const), file: fc.nat(2), length: place }),
  fc.record({
    kind: fc.constantFrom("copy" as const, "swap" as const),
    file: fc.nat(2),
    block: place,
    other: place,
    otherFile: fc.nat(2),
  }),
);

function hurt(disk: SimDisk, damage: Damage, paths: readonly string[]): boolean {
  const path = paths[damage.file]!;
  const bytes = disk.fileBytes(path);
  // Mostly where something is.
  const blocks = (count: number, wish: number) =>
    wish % 3 === 0 ? wish % count : count > 33 ? 32 + (wish % (count - 32)) : (wish % 2) * 16;
  if (damage.kind === "flip") {
    const at = blocks(bytes.length / BLOCK, damage.at) * BLOCK + (damage.at % 600);
    disk.corrupt(path, at, Uint8Array.of(bytes[at]! ^ (1 << damage.bit)));
    return true;
  }
  if (damage.kind === "truncate") {
    const length = damage.length % bytes.length;
    disk.truncateFile(path, length);
    return true;
  }
  const at = blocks(bytes.length / BLOCK, damage.block) * BLOCK;
  const here = bytes.subarray(at, at + BLOCK);
  if (damage.kind === "zero" || damage.kind === "garbage") {
    const now =
      damage.kind === "zero" ? new Uint8Array(BLOCK) : Uint8Array.from(here, (_, i) => (i * 31 + at) & 255);
    disk.corrupt(path, at, now);
    return Buffer.compare(now, here) !== 0;
  }
  const otherPath = paths[damage.otherFile]!;
  const otherBytes = disk.fileBytes(otherPath);
  const otherAt = blocks(otherBytes.length / BLOCK, damage.other) * BLOCK;
  const there = otherBytes.subarray(otherAt, otherAt + BLOCK);
  disk.corrupt(otherPath, otherAt, here);
  if (damage.kind === "swap") disk.corrupt(path, at, there);
  return Buffer.compare(here, there) !== 0;
}

describe("a damaged block of a closed log", () => {
  it("costs no acknowledged record without a typed error, and goes unnoticed never", async () => {
    const { log, disk, records } = closedLog();
    const paths = [log.segments[0]!.path, log.segments[1]!.path, `${DIRECTORY}/anchor`];
    await fc.assert(
      fc.asyncProperty(damages, async (damage) => {
        const damaged = disk.clone();
        if (!hurt(damaged, damage, paths)) return;
        const verdict = await verdicts(damaged.clone());
        // What an interrupted close leaves, too: a second copy of the anchor in disorder. It costs nothing.
        const [now, before] = [damaged, disk].map((each) => each.fileBytes(paths[2]!));
        const secondCopyHurt =
          now!.length === before!.length &&
          Buffer.compare(now!.subarray(0, 65536), before!.subarray(0, 65536)) === 0 &&
          Buffer.compare(now!.subarray(65536, 65536 + BLOCK), before!.subarray(65536, 65536 + BLOCK)) !== 0;
        // Or what an interrupted opening leaves: its open frame, torn, right behind the end.
        const { tornTail } = await verifyLog({ io: damaged.clone().mount(), directory: DIRECTORY });
        if (!secondCopyHurt && !tornTail) expect(verdict.exit).toBe(1);
        if (verdict.code === "resolved") expect(verdict.records).toEqual(records);
        else expect(verdict.records).toEqual(records.slice(0, verdict.records.length));
        if (verdict.code !== "resolved") return;
        // What was put right stays right.
        await recoverLog({ io: damaged.mount(), directory: DIRECTORY });
        expect(await recordsOf(damaged.mount())).toEqual(records);
      }),
      { numRuns: 400 },
    );
  }, 120_000);
});

describe("a history of interrupted openings", () => {
  /** What a writer may leave at a crash: some frames acknowledged, some in flight, any blocks of those on the disk, copies in the DWB or not. */
  const session = fc.record({
    acknowledged: fc.nat(2),
    inFlight: fc.array(fc.record({ home: fc.nat(7), copy: fc.boolean(), large: fc.boolean() }), {
      maxLength: 3,
    }),
    recycledRoll: fc.boolean(),
    close: fc.boolean(),
  });

  it("recovers what was acknowledged, an exact prefix of what was attempted, again and again", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(session, { minLength: 1, maxLength: 4 }), async (sessions) => {
        const disk = new SimDisk();
        const log = new LogBuilder({ blocks: 40 });
        log.plant(disk);
        const io = disk.mount();
        let expected: string[] = [];
        let serial = 0;
        for (const [n, { acknowledged, inFlight, recycledRoll, close }] of sessions.entries()) {
          log.incarnation = id(n + 1);
          const put = (frame: BuiltFrame, blocks = 7) => {
            const { path } = log.segments.find(({ preamble }) => preamble.sequence === frame.sequence)!;
            for (let block = 0; block * BLOCK < frame.bytes.length; block++) {
              if (((blocks >> block) & 1) === 0) continue;
              disk.corrupt(
                path,
                frame.offset + block * BLOCK,
                frame.bytes.subarray(block * BLOCK, (block + 1) * BLOCK),
              );
            }
          };
          put(log.open());
          if (recycledRoll) {
            const stale = log.current.bytes.slice();
            log.roll({
              recycled: true,
              fill: (bytes) => bytes.set(stale.subarray(FRAMES_START), FRAMES_START),
            });
            disk.plant(log.current.path, log.current.bytes);
          }
          for (let i = 0; i < acknowledged; i++) {
            const record = `acked${serial++}`;
            put(log.frame([record]));
            expected.push(record);
          }
          const watermark = log.frameNumber;
          const attempted = [...expected];
          const copies: BuiltFrame[] = [];
          for (const { home, copy, large } of close ? [] : inFlight) {
            const record = `tried${serial++}${large ? "x".repeat(9000) : ""}`;
            const frame = log.frame([record], { watermark, lost: true });
            put(frame, home);
            if (copy) copies.push(frame);
            attempted.push(record);
          }
          if (close) {
            log.close();
            for (const frame of log.frames.slice(-2)) put(frame);
          }
          if (copies.length > 0) await protect(io, copies, { slots: 4 });
          const recovered = (await recoverLog({ io, directory: DIRECTORY }))!;
          const records = await recordsOf(io);
          expect(records.slice(0, expected.length)).toEqual(expected);
          expect(records).toEqual(attempted.slice(0, records.length));
          expect(recovered.position.nextLsn).toBe(records.length + 1);
          expect((await verifyLog({ io, directory: DIRECTORY })).tornTail).toBe(false);
          // The next session goes on from what was recovered.
          expected = records;
          const { offset, frameNumber, nextLsn, chain } = recovered.position;
          Object.assign(log, { offset, frameNumber, nextLsn, chain });
          log.current.bytes.set(disk.fileBytes(log.current.path));
        }
      }),
      { numRuns: 150 },
    );
  }, 120_000);
});
