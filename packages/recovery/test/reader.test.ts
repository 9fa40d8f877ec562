import type { IoBackend } from "@stonewal/io";
import { SimDisk } from "@stonewal/io-sim";
import { encodeAnchor, REQUIRED_TYPE } from "@stonewal/record";
import { describe, expect, it } from "vitest";
import {
  inspectLog,
  type LogReader,
  type LogView,
  locate,
  openReader,
  planRecovery,
  replay,
  replayBatches,
  verifyLog,
} from "../src/index.js";
import { BLOCK, type BuiltFrame, DIRECTORY, LogBuilder, payload, protect } from "./log-builder.js";
import { codeOf, collect, errorOf, sequence, text, ticking } from "./outcome.js";

async function readerOf(log: LogBuilder, disk = new SimDisk()): Promise<LogReader> {
  log.plant(disk);
  return openReader({ io: disk.mount(), directory: DIRECTORY });
}

/** r1..r(3n) in n frames, in segments of a few frames. */
function long(frames: number): LogBuilder {
  const log = new LogBuilder({ blocks: 4 });
  log.open();
  for (let i = 0; i < frames; i++) {
    if (log.offset >= log.segmentBytes) log.roll();
    log.frame(sequence(3 * i + 1, 3 * i + 3), { time: 1000 + 10 * i });
  }
  log.setAnchor();
  return log;
}

describe("replay", () => {
  it("delivers exactly the LSNs asked for, across segments", async () => {
    const reader = await readerOf(long(20));
    expect(await collect(reader.replay(), text)).toEqual(sequence(1, 60));
    for (const [from, to] of [
      [1, 1],
      [2, 5],
      [9, 10],
      [17, 43],
      [60, 60],
      [60, 1000],
    ] as const) {
      const lsns = await collect(reader.replay({ from, to }), (record) => record.lsn);
      expect(lsns[0]).toBe(from);
      expect(lsns.at(-1)).toBe(Math.min(to, 60));
      expect(lsns).toHaveLength(Math.min(to, 60) - from + 1);
    }
    expect(await collect(reader.replay({ from: 61 }), text)).toEqual([]);
    expect(await collect(reader.replay({ from: 5, to: 4 }), text)).toEqual([]);
    await reader.close();
  });

  it("ends before the first frame that is later than a time", async () => {
    const reader = await readerOf(long(5));
    expect(await collect(reader.replay({ untilTime: 1020 }), text)).toEqual(sequence(1, 9));
    expect(await collect(reader.replay({ untilTime: 1019 }), text)).toEqual(sequence(1, 6));
    expect(await collect(reader.replay({ untilTime: 0 }), text)).toEqual([]);
  });

  it("filters by type, and stops at a required type that is not known, wanted or not", async () => {
    const log = new LogBuilder();
    log.open();
    const required = REQUIRED_TYPE + 7;
    log.frame([
      { ...payload("a"), type: 1 },
      { ...payload("b"), type: 2 },
      { ...payload("c"), type: required },
      { ...payload("d"), type: 1 },
    ]);
    const reader = await readerOf(log);
    expect(await collect(reader.replay({ types: [1] }), text)).toEqual(["a", "d"]);
    expect(await collect(reader.replay({ filter: ({ lsn }) => lsn > 2 }), text)).toEqual(["c", "d"]);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const record of reader.replay({ types: [1], knownTypes: () => false }))
        seen.push(text(record));
    })();
    expect(await errorOf(reading)).toMatchObject({ code: "WAL_UNKNOWN_TYPE", details: { firstLsn: 3 } });
    expect(seen).toEqual(["a"]);
    const known = reader.replay({ knownTypes: (type) => type === required });
    expect(await collect(known, text)).toEqual(["a", "b", "c", "d"]);
  });

  it("refuses LSNs that have been trimmed, and begins behind them when not asked", async () => {
    const log = long(10);
    log.setAnchor({ trimPoint: 4 });
    const reader = await readerOf(log);
    expect(await collect(reader.replay(), (record) => record.lsn)).toHaveLength(26);
    for (const from of [1, 4])
      expect(() => reader.replay({ from })).toThrow(expect.objectContaining({ code: "WAL_TRIMMED" }));
    expect(await collect(reader.replay({ from: 5, to: 5 }), text)).toEqual(["r5"]);
    for (const from of [0, -1, 1.5, Number.NaN]) {
      expect(() => reader.replay({ from })).toThrow(expect.objectContaining({ code: "WAL_ARGUMENT" }));
    }
  });

  it("of a log that begins at another LSN begins there", async () => {
    const log = new LogBuilder({ startLsn: 1_000_000 });
    log.open();
    log.frame(["a", "b"]);
    const reader = await readerOf(log);
    expect(await collect(reader.replay(), (record) => record.lsn)).toEqual([1_000_000, 1_000_001]);
    expect(() => reader.replay({ from: 1 })).toThrow(expect.objectContaining({ code: "WAL_TRIMMED" }));
  });

  it("hands out payloads that stay as they are", async () => {
    const log = long(300);
    const reader = await readerOf(log);
    const records = await collect(reader.replay({ chunkBytes: 65536 }), (record) => record);
    expect(records.map(text)).toEqual(sequence(1, 900));
  });

  it("of frames larger than a chunk, and records of no bytes", async () => {
    const log = new LogBuilder({ blocks: 200 });
    log.open();
    log.frame([payload("x".repeat(300_000)), payload("")]);
    log.frame(["y"]);
    const reader = await readerOf(log);
    const lengths = await collect(reader.replay({ chunkBytes: 65536 }), (record) => record.payload.length);
    expect(lengths).toEqual([300_000, 0, 1]);
  });

  it("calls made without waiting come back in order", async () => {
    const reader = await readerOf(long(10));
    const iterator = reader.replay();
    const results = await Promise.all(Array.from({ length: 32 }, () => iterator.next()));
    expect(results.slice(0, 30).map(({ value }) => text(value!))).toEqual(sequence(1, 30));
    expect(results.slice(30)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
  });

  it.each(["replay", "follow"] as const)(
    "%s gives no record more once its signal has aborted, though they have been read already",
    async (way) => {
      const log = new LogBuilder();
      log.frame(["r1", "r2", "r3"]);
      const reader = await readerOf(log);
      const reason = new Error("enough");
      const controller = new AbortController();
      const given: string[] = [];
      const read = async () => {
        for await (const record of reader[way]({ signal: controller.signal })) {
          given.push(text(record));
          controller.abort(reason);
        }
      };
      if (way === "replay") await expect(read()).rejects.toBe(reason);
      else await read();
      expect(given).toEqual(["r1"]);
      // And none at all of one that had aborted before.
      if (way === "replay") await expect(read()).rejects.toBe(reason);
      else await read();
      expect(given).toEqual(["r1"]);
      // Nor the one that is on its way.
      const late = new AbortController();
      const first = reader[way]({ signal: late.signal }).next();
      late.abort(reason);
      if (way === "replay") await expect(first).rejects.toBe(reason);
      else expect(await first).toEqual({ done: true, value: undefined });
      await reader.close();
    },
  );

  it("closes what it has open when the loop is left, and stops when its signal aborts", async () => {
    const disk = new SimDisk();
    const reader = await readerOf(long(60), disk);
    for await (const record of reader.replay()) if (record.lsn === 40) break;
    const controller = new AbortController();
    const reading = (async () => {
      for await (const record of reader.replay({ signal: controller.signal, chunkBytes: 65536 })) {
        if (record.lsn === 40) controller.abort(new Error("enough"));
      }
    })();
    await expect(reading).rejects.toThrow("enough");
    await reader.close();
    expect(() => reader.replay()).toThrow(expect.objectContaining({ code: "WAL_CLOSED" }));
  });

  it("keeps memory flat: chunks in flight do not grow with the log", async () => {
    const disk = new SimDisk();
    const log = new LogBuilder({ blocks: 600 });
    log.open();
    for (let i = 0; i < 590; i++) log.frame([payload("z".repeat(3000))]);
    log.plant(disk);
    const io = disk.mount();
    const reader = await openReader({ io, directory: DIRECTORY });
    let bytes = 0;
    const counting: IoBackend = new Proxy(io, {
      get(target, key) {
        if (key === "arena") {
          return (size: number) => {
            bytes += size;
            return target.arena(size);
          };
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    let count = 0;
    for await (const batch of replayBatches(counting, reader, { chunkBytes: 65536, types: [5] }))
      count += batch.length;
    expect(count).toBe(0);
    expect(bytes).toBeLessThan(6 * 65536);
  });
});

describe("damage that comes after the log was opened", () => {
  it("is found when the frame is read, not passed over", async () => {
    const disk = new SimDisk();
    const log = long(10);
    const reader = await readerOf(log, disk);
    disk.corrupt(log.segments[0]!.path, log.frames[2]!.offset + 300, Uint8Array.of(1));
    const seen: string[] = [];
    const reading = (async () => {
      for await (const record of reader.replay()) seen.push(text(record));
    })();
    expect(await errorOf(ticking(disk, reading))).toMatchObject({
      code: "WAL_CORRUPT",
      details: { firstLsn: 4 },
    });
    expect(seen).toEqual(["r1", "r2", "r3"]);
    disk.makeUnreadable(log.segments[0]!.path, log.frames[1]!.offset, 512);
    expect(await codeOf(ticking(disk, collect(reader.replay(), text)))).toBe("WAL_UNREADABLE");
  });
});

describe("locate", () => {
  it("finds the place behind a record, for a cut", async () => {
    const log = long(10);
    const disk = new SimDisk();
    const reader = await readerOf(log, disk);
    const io = disk.mount();
    for (const frame of log.frames.slice(1)) {
      for (let lsn = frame.firstLsn; lsn < frame.nextLsn; lsn++) {
        expect(await locate(io, reader, lsn)).toEqual({
          sequence: frame.sequence,
          frameNumber: frame.frameNumber,
          offset: frame.offset + frame.bytes.length,
          checksum: frame.checksum,
          tag: new Uint8Array(16),
          frameFirstLsn: frame.firstLsn,
        });
      }
    }
    expect(await codeOf(locate(io, reader, 31))).toBe("WAL_ARGUMENT");
    expect(await codeOf(locate(io, reader, 0))).toBe("WAL_ARGUMENT");
  });
});

/** A writer of which only the bytes are there: it holds the lock and adds to the files. */
class FakeWriter {
  readonly log: LogBuilder;
  readonly disk: SimDisk;
  readonly io: IoBackend;
  release: () => Promise<void> = async () => {};

  constructor(log: LogBuilder, disk = new SimDisk()) {
    this.log = log;
    this.disk = disk;
    this.io = disk.mount();
    log.plant(disk);
  }

  async lock(): Promise<void> {
    const lock = await this.io.lock(`${DIRECTORY}/lock`);
    this.release = () => lock.release();
  }

  write(frame: BuiltFrame): void {
    const { path } = this.log.segments.find((segment) => segment.preamble.sequence === frame.sequence)!;
    this.disk.corrupt(path, frame.offset, frame.bytes);
  }

  append(...records: string[]): BuiltFrame {
    const frame = this.log.frame(records);
    this.write(frame);
    return frame;
  }

  idle(): void {
    this.write(this.log.frame([], { kind: "idle" }));
  }

  roll(): void {
    this.log.roll();
    this.disk.plant(this.log.current.path, this.log.current.bytes);
  }

  anchor(trimPoint: number): void {
    this.log.setAnchor({ trimPoint });
    this.disk.plant(`${DIRECTORY}/anchor`, encodeAnchor(this.log.anchor!));
  }

  reader(): Promise<LogReader> {
    return openReader({ io: this.disk.mount(), directory: DIRECTORY, pollMs: 5 });
  }
}

function begun(): LogBuilder {
  const log = new LogBuilder();
  log.open();
  log.frame(["r1"]);
  log.setAnchor({ watermark: 1, durableLsn: 0 });
  return log;
}

describe("beside a writer", () => {
  it("only what the log itself says is durable is delivered", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const reader = await writer.reader();
    expect(reader.lastLsn()).toBe(0);
    writer.append("r2");
    await reader.refresh();
    expect(reader.lastLsn()).toBe(1);
    expect(await collect(reader.replay(), text)).toEqual(["r1"]);
    writer.idle();
    await reader.refresh();
    expect(await collect(reader.replay(), text)).toEqual(["r1", "r2"]);
    const again = await writer.reader();
    expect(again.lastLsn()).toBe(2);
  });

  it("nothing is synced and nothing is written", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const from = writer.disk.trace.length;
    const reader = await writer.reader();
    writer.append("r2");
    await reader.refresh();
    const calls = writer.disk.trace.slice(from).filter((line) => /sync|write|unlink|rename/i.test(line));
    expect(calls).toEqual([]);
  });

  it("when it is gone, everything valid is made durable and delivered", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const reader = await writer.reader();
    writer.append("r2");
    await reader.refresh();
    expect(reader.lastLsn()).toBe(1);
    await writer.release();
    await reader.refresh();
    expect(reader.lastLsn()).toBe(2);
  });

  it.each(["wal", "dwb"] as const)(
    "when it is killed with a frame in its double-write buffer alone, a follower gets that too (ack: %s)",
    async (ack) => {
      const disk = new SimDisk();
      disk.plant(`${DIRECTORY}/lock`, new Uint8Array());
      const log = new LogBuilder();
      log.open(ack, await protect(disk.mount(), []));
      log.frame(["r1"]);
      log.frame([], { kind: "idle" });
      log.setAnchor();
      const writer = new FakeWriter(log, disk);
      await writer.lock();
      const reader = await writer.reader();
      const follower = reader.follow();
      expect(text((await follower.next()).value!)).toBe("r1");
      for (const record of ["r2", "r3"]) {
        const next = ticking(disk, follower.next());
        await protect(writer.io, [log.frame([record], { lost: true })]);
        await writer.release();
        expect(text((await next).value!)).toBe(record);
        await writer.lock();
        await reader.refresh();
      }
      await follower.return?.();
      await reader.close();
    },
  );

  it("a frame that is half written is not damage, and not delivered", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const frame = writer.log.frame([payload("x".repeat(9000))]);
    writer.disk.corrupt(writer.log.current.path, frame.offset, frame.bytes.subarray(0, BLOCK));
    const reader = await writer.reader();
    expect(reader.lastLsn()).toBe(0);
    writer.write(frame);
    writer.idle();
    await reader.refresh();
    expect(reader.lastLsn()).toBe(2);
  });

  it("a hole that stays, with a witness behind it, is damage all the same", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    writer.log.frame(["r2"]);
    writer.append("r3");
    expect(await codeOf(ticking(writer.disk, writer.reader()))).toBe("WAL_CORRUPT");
  });

  it("a busy writer, caught at another place at each look, has no damage", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const disk = writer.disk.mount();
    let late = writer.log.frame(["r"]);
    writer.append("r");
    // Each time the reader comes back the hole is filled, and there is one further on.
    let moves = 0;
    const after: IoBackend["clock"]["after"] = (ms, callback, keepAlive) => {
      writer.write(late);
      if (moves < 9) {
        late = writer.log.frame(["r"]);
        writer.append("r");
      }
      moves += 1;
      return disk.clock.after(ms, callback, keepAlive);
    };
    const io: IoBackend = new Proxy(disk, {
      get(target, name) {
        if (name === "clock") return { ...target.clock, after, monotonic: () => target.clock.monotonic() };
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
    const reader = await ticking(writer.disk, openReader({ io, directory: DIRECTORY }));
    expect(moves).toBe(10);
    expect(reader.damage()).toBeUndefined();
  });

  it("a hole that is filled while the reader looks again is none", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const late = writer.log.frame(["r2"]);
    writer.append("r3");
    const opening = writer.reader();
    setTimeout(() => writer.write(late), 20);
    const reader = await ticking(writer.disk, opening);
    expect(reader.lastLsn()).toBe(2);
  });

  it("it is followed into the next segment", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const reader = await writer.reader();
    writer.append("r2");
    writer.roll();
    await reader.refresh();
    expect(reader.lastLsn()).toBe(2);
    writer.append("r3");
    writer.idle();
    await reader.refresh();
    expect(await collect(reader.replay(), text)).toEqual(["r1", "r2", "r3"]);
  });

  it("what a cut takes away is not delivered, in the middle of a frame as between frames", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    writer.append("r2", "r3", "gone");
    writer.append("gone");
    const early = await writer.reader();
    writer.log.cut(3);
    writer.disk.plant(writer.log.current.path, writer.log.current.bytes);
    for (const reader of [await writer.reader(), early]) {
      await reader.refresh();
      expect(reader.lastLsn()).toBe(3);
      expect(await collect(reader.replay(), text)).toEqual(["r1", "r2", "r3"]);
    }
    writer.append("r4");
    writer.idle();
    for (const reader of [await writer.reader(), early]) {
      await reader.refresh();
      expect(await collect(reader.replay(), text)).toEqual(sequence(1, 4));
    }
  });

  it("one that comes while the log is looked at is noticed: what it has not synced is not delivered", async () => {
    const log = begun();
    const writer = new FakeWriter(log);
    const io = writer.disk.mount();
    const interrupting: IoBackend = new Proxy(io, {
      get(target, key) {
        if (key === "probe") {
          return async (directory: string) => {
            if (log.frames.length === 2) {
              await writer.lock();
              writer.append("r2");
            }
            return target.probe(directory);
          };
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const reader = await ticking(writer.disk, openReader({ io: interrupting, directory: DIRECTORY }));
    expect(reader.lastLsn()).toBe(1);
  });

  it("a frame that its anchor calls durable and that is not to be found is damage", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const reader = await writer.reader();
    writer.log.frame(["r2"]);
    writer.anchor(0);
    await ticking(writer.disk, reader.refresh());
    expect(reader.damage()?.code).toBe("WAL_CORRUPT");
    const seen: string[] = [];
    const following = (async () => {
      for await (const record of reader.follow()) seen.push(text(record));
    })();
    expect(await codeOf(ticking(writer.disk, following))).toBe("WAL_CORRUPT");
    expect(seen).toEqual(["r1"]);
  });

  it("what it has in flight is not reported as torn", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const frame = writer.log.frame([payload("x".repeat(9000))]);
    writer.disk.corrupt(writer.log.current.path, frame.offset, frame.bytes.subarray(0, BLOCK));
    const found = await verifyLog({ io: writer.disk.mount(), directory: DIRECTORY });
    expect(found).toMatchObject({ tornTail: false, tail: undefined, corruption: [], records: 0 });
  });

  it("nor planned to be put right, and nothing is synced to plan it", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const { disk, log } = writer;
    const half = log.frame([payload("x".repeat(9000))]);
    disk.corrupt(log.current.path, half.offset, half.bytes.subarray(0, BLOCK));
    disk.plant(`${DIRECTORY}/spare-00000000000000000001.new`, new Uint8Array(BLOCK));
    const io = disk.mount();
    const from = disk.trace.length;
    const plan = () => ticking(disk, planRecovery({ io, directory: DIRECTORY }));
    expect(await plan()).toMatchObject({ records: 1, repaired: [], tornTail: undefined, removed: [] });
    expect(disk.trace.slice(from).filter((line) => /sync/i.test(line))).toEqual([]);
    writer.idle();
    setTimeout(() => writer.write(half), 5);
    expect(await plan()).toMatchObject({ records: 2, repaired: [] });
  });

  it("segments that it frees are trimmed, not missing: a replay that has begun says so, and a new one begins behind them", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    writer.roll();
    writer.append("r2");
    writer.idle();
    const reader = await writer.reader();
    writer.anchor(1);
    await writer.io.unlink(writer.log.segments[0]!.path);
    expect(await codeOf(ticking(writer.disk, collect(reader.replay(), text)))).toBe("WAL_TRIMMED");
    expect(reader.trimLsn()).toBe(1);
    expect(await collect(reader.replay(), text)).toEqual(["r2"]);
    expect(() => reader.replay({ from: 1 })).toThrow(expect.objectContaining({ code: "WAL_TRIMMED" }));
  });

  it("frames of segments that it frees, or recycles, while they are listed are left out", async () => {
    const writer = new FakeWriter(long(20));
    await writer.lock();
    const { io, disk, log } = writer;
    const { frameList } = await inspectLog({ io: disk.mount(), directory: DIRECTORY });
    const [first, second, third, fourth] = log.segments.map(({ path }) => path);
    await io.unlink(first!);
    const seen: number[] = [];
    const listing = (async () => {
      for await (const { sequence, frameNumber } of frameList()) {
        seen.push(frameNumber);
        if (sequence !== 3 || seen.at(-1) !== 9) continue;
        disk.corrupt(third!, 131_072, new Uint8Array(4 * BLOCK));
        for (const path of [second!, third!, fourth!]) await io.unlink(path);
      }
    })();
    await ticking(disk, listing);
    expect(seen).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 17, 18, 19, 20, 21]);
  });

  it("frames of segments that it cuts away while they are listed are left out", async () => {
    const writer = new FakeWriter(long(20));
    await writer.lock();
    const { io, disk, log } = writer;
    const { frameList } = await inspectLog({ io: disk.mount(), directory: DIRECTORY });
    const seen: number[] = [];
    const listing = (async () => {
      for await (const { frameNumber } of frameList()) {
        seen.push(frameNumber);
        if (frameNumber !== 2) continue;
        for (const { path } of log.segments.slice(2)) await io.unlink(path);
      }
    })();
    await ticking(disk, listing);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("a segment that it recycles under a replay is trimmed, not damaged", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    writer.roll();
    writer.append("r2");
    writer.idle();
    const reader = await writer.reader();
    writer.anchor(1);
    const [old] = writer.log.segments;
    await writer.io.rename(old!.path, `${DIRECTORY}/spare-9`);
    const replaying = reader.replay();
    const first = ticking(writer.disk, collect(replaying, text));
    writer.disk.corrupt(`${DIRECTORY}/spare-9`, 0, new Uint8Array(writer.log.segmentBytes).fill(0xee));
    expect(await codeOf(first)).toBe("WAL_TRIMMED");
  });
});

describe("follow", () => {
  it("delivers what becomes durable, in order and once, across segments, until its signal aborts", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const reader = await writer.reader();
    const controller = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const record of reader.follow({ signal: controller.signal })) {
        seen.push(text(record));
        if (seen.length === 30) controller.abort();
      }
    })();
    await ticking(
      writer.disk,
      (async () => {
        for (let i = 2; i <= 30; i++) {
          if (i % 7 === 0) writer.roll();
          writer.append(`r${i}`);
          await new Promise((resolve) => setTimeout(resolve, 3));
        }
        writer.idle();
        await following;
      })(),
    );
    expect(seen).toEqual(sequence(1, 30));
    await reader.close();
  });

  it("ends when the reader is closed, and when it is asked to return while it waits", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    for (const way of ["close", "return"] as const) {
      const reader = await writer.reader();
      const iterator = reader.follow();
      const waiting = iterator.next();
      await new Promise((resolve) => setTimeout(resolve, 20));
      await ticking<unknown>(writer.disk, way === "close" ? reader.close() : iterator.return!());
      expect(await waiting).toEqual({ done: true, value: undefined });
    }
  });

  it("beginning behind the end waits for that LSN", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    const reader = await writer.reader();
    const iterator = reader.follow({ from: 3 });
    const first = iterator.next();
    writer.append("r2");
    writer.append("r3");
    writer.idle();
    expect(text((await ticking(writer.disk, first)).value!)).toBe("r3");
    await ticking(writer.disk, iterator.return!());
  });

  it("says so when records that it has delivered are cut away", async () => {
    const writer = new FakeWriter(begun());
    await writer.lock();
    writer.append("r2");
    writer.append("r3");
    writer.idle();
    const reader = await writer.reader();
    const iterator = reader.follow();
    for (let i = 1; i <= 3; i++) expect(text((await iterator.next()).value!)).toBe(`r${i}`);
    writer.log.cut(2);
    writer.disk.plant(writer.log.current.path, writer.log.current.bytes);
    writer.append("new");
    writer.idle();
    const error = await errorOf(ticking(writer.disk, iterator.next()));
    expect(error).toMatchObject({ code: "WAL_CUT_AWAY", details: { firstLsn: 3, lastLsn: 3 } });
    // One that had not got there goes on behind the cut.
    expect(await collect(reader.replay(), text)).toEqual(["r1", "r2", "new"]);
  });
});

describe("a view that its writer changes while it is read", () => {
  function viewOf(log: LogBuilder, change: Partial<LogView> = {}): LogView {
    return {
      logId: log.logId,
      blockBytes: BLOCK,
      segments: () =>
        log.segments.map(({ preamble, path }) => ({ sequence: preamble.sequence, path, preamble })),
      durable: () => ({ lsn: log.nextLsn - 1, frameNumber: log.frameNumber - 1 }),
      trimLsn: () => 0,
      changed: () => new Promise(() => {}),
      closed: () => false,
      ...change,
    };
  }

  it("a replay ends with what was durable when it was called", async () => {
    const disk = new SimDisk();
    const log = long(2);
    log.plant(disk);
    const io = disk.mount();
    const iterator = replay(io, viewOf(log));
    log.frame(["later"]);
    disk.corrupt(log.current.path, log.frames.at(-1)!.offset, log.frames.at(-1)!.bytes);
    expect(await collect(iterator, text)).toEqual(sequence(1, 6));
  });

  it("a segment that is recycled under a replay is trimmed, not damaged, and its new contents are not delivered", async () => {
    const disk = new SimDisk();
    const log = long(12);
    log.plant(disk);
    const io = disk.mount();
    let trim = 0;
    const view = viewOf(log, {
      segments: () =>
        log.segments
          .filter(({ preamble }) => preamble.firstLsn > trim || preamble === log.current.preamble)
          .map(({ preamble, path }) => ({ sequence: preamble.sequence, path, preamble })),
      trimLsn: () => trim,
    });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const record of replay(io, view, { chunkBytes: 1 })) {
        seen.push(text(record));
        if (record.lsn !== 1) continue;
        trim = 30;
        for (const { path } of log.segments.slice(0, 2)) {
          disk.corrupt(path, 0, new Uint8Array(log.segmentBytes).fill(0xee));
        }
      }
    })();
    expect(await errorOf(ticking(disk, reading))).toMatchObject({ code: "WAL_TRIMMED" });
    expect(seen).toEqual(sequence(1, seen.length));
  });

  it("is told how far a reader has got, until it ends", async () => {
    const disk = new SimDisk();
    const log = long(12);
    log.plant(disk);
    const positions: number[] = [];
    let position: (() => number) | undefined;
    const view = viewOf(log, {
      hold: (ask) => {
        position = ask;
        return () => {
          position = undefined;
        };
      },
    });
    for await (const batch of replayBatches(disk.mount(), view)) {
      positions.push(position!());
      expect(position!()).toBe(batch.at(-1)!.lsn);
    }
    expect(positions.at(-1)).toBe(36);
    expect(position).toBeUndefined();
  });
});
