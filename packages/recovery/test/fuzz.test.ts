import { IoError } from "@stonewal/io";
import { SimDisk } from "@stonewal/io-sim";
import { crc32c, FRAMES_START, segmentName } from "@stonewal/record";
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { allocated, fuzzing, mutated, mutation } from "../../../fuzzing.mjs";
import {
  inspectLog,
  openReader,
  planRecovery,
  RecoveryError,
  recoverLog,
  salvage,
  verifyLog,
} from "../src/index.js";
import { BLOCK, DIRECTORY, LogBuilder, payload, protect } from "./log-builder.js";
import { snapshot } from "./outcome.js";

/**
 * Whole directories, changed by somebody who knows the format: bytes, blocks, files and names, under right checksums where that leads
 * further in.
 */

type Files = ReadonlyMap<string, Uint8Array>;
const DWB_SLOTS = { slots: 6, slotBytes: 8192 };
const SLOTS_START = 65_536;
const STRIDE = 3 * BLOCK;

const LOGS: Record<string, (log: LogBuilder) => void> = {
  closed(log) {
    log.frame(["a", "bb"]);
    log.frame([payload("c".repeat(5000))]);
    log.roll();
    log.frame(["d"]);
    log.close();
  },
  interrupted(log) {
    log.frame(["a"]);
    log.frame([], { kind: "idle" });
    const watermark = log.frameNumber;
    log.frame(["lost"], { watermark, lost: true });
    log.frame([payload("e".repeat(6000))], { watermark });
    log.frame(["f"], { watermark });
  },
  cut(log) {
    for (const text of ["a", "b", "c", "d"]) log.frame([text, text]);
    log.cut(3);
    log.open();
    log.frame(["after"]);
    log.setAnchor();
  },
  recycled(log) {
    for (let i = 0; i < 5; i += 1) log.frame([`r${i}`]);
    const stale = log.current.bytes.slice(FRAMES_START);
    log.roll({ recycled: true, fill: (bytes) => bytes.set(stale, FRAMES_START) });
    log.frame(["new"]);
    log.frame(["newer"]);
  },
};
const NAMES = Object.keys(LOGS);
const logs = new Map<string, Files>();

beforeAll(async () => {
  for (const [name, build] of Object.entries(LOGS)) {
    const log = new LogBuilder({ blocks: 10 });
    log.open();
    build(log);
    const disk = new SimDisk();
    log.plant(disk);
    await protect(disk.mount(), log.frames.slice(-4), DWB_SLOTS);
    logs.set(name, disk.files());
  }
});

/** Where structures begin. */
function startsIn(path: string, length: number): number[] {
  const from = path.endsWith("/dwb") ? SLOTS_START : path.endsWith(".wal") ? FRAMES_START : length;
  const step = path.endsWith("/dwb") ? STRIDE : BLOCK;
  const starts = [0, 65_536];
  for (let at = from; at < length; at += step) starts.push(at);
  // Most of what is there is at the front.
  return [...starts, ...starts.slice(0, 8), ...starts.slice(0, 8)];
}

/** Checksums as they would be if somebody had meant it: of preambles, anchors, slots and headers of frames, not of their bodies. */
function reseal(path: string, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const put = (at: number, length: number) => {
    if (at + length <= bytes.length) view.setUint32(at + 8, crc32c(bytes, at + 12, at + length), true);
  };
  if (path.endsWith("/dwb")) {
    put(0, 128);
    for (let at = SLOTS_START; at + 128 <= bytes.length; at += STRIDE) {
      const stored = view.getUint32(at + 92, true);
      if (stored <= bytes.length) put(at, 128 + stored);
    }
    return;
  }
  for (const at of [0, 65_536]) put(at, 256);
  if (!path.endsWith(".wal")) return;
  for (let at = FRAMES_START; at + 192 <= bytes.length; at += BLOCK) {
    if (Buffer.from(bytes.subarray(at, at + 8)).toString("latin1") === "SWFRAME1") put(at, 192);
  }
}

const nat = fc.nat(1000);
/** What happens to names. */
const upheaval = fc.oneof(
  fc.record({ what: fc.constantFrom("remove", "empty", "make a directory"), file: nat }),
  fc.record({ what: fc.constantFrom("swap", "copy over"), file: nat, other: nat }),
  fc.record({
    what: fc.constantFrom("rename", "copy"),
    file: nat,
    to: fc.oneof(
      fc.tuple(fc.nat(4), fc.nat(12)).map(([sequence, lsn]) => segmentName(sequence + 1, lsn + 1)),
      fc.constantFrom(
        "anchor",
        "dwb",
        "dwb.new",
        "lock",
        "spare-00000000000000000001",
        "spare-00000000000000000002.new",
        "99999999999999999999-99999999999999999999.wal",
        "00000000000000000000-00000000000000000000.wal",
        "9007199254740991-1.wal",
        "00009007199254740991-00009007199254740991.wal",
        "aside-00000000000000000001-00000000000000000001-00000000000000000000000000000000",
        "README",
      ),
    ),
  }),
);

interface Change {
  readonly file: number;
  readonly mutations: readonly Parameters<typeof mutated>[1][];
  readonly sealed: boolean;
}

const change = fc.record({
  file: nat,
  mutations: fc.array(mutation, { minLength: 1, maxLength: 3 }),
  sealed: fc.boolean(),
});

function changed(
  original: Files,
  changes: readonly Change[],
  upheavals: readonly { what: string; file: number; other?: number; to?: string }[],
): SimDisk {
  const files = new Map(original);
  for (const { file, mutations, sealed } of changes) {
    const path = [...files.keys()][file % files.size]!;
    let bytes = files.get(path)!;
    for (const one of mutations) bytes = mutated(bytes, one, startsIn(path, bytes.length));
    bytes = bytes.slice();
    if (sealed) reseal(path, bytes);
    files.set(path, bytes);
  }
  const directories: string[] = [];
  for (const { what, file, other, to } of upheavals) {
    const paths = [...files.keys()];
    if (paths.length === 0) break;
    const path = paths[file % paths.length]!;
    const bytes = files.get(path)!;
    if (what === "empty") files.set(path, new Uint8Array());
    if (what === "remove" || what === "rename" || what === "make a directory") files.delete(path);
    if (what === "make a directory") directories.push(path);
    if (to !== undefined) files.set(`${DIRECTORY}/${to}`, bytes);
    if (other !== undefined) {
      const second = paths[other % paths.length]!;
      if (what === "swap") files.set(path, files.get(second)!);
      files.set(second, bytes);
    }
  }
  const disk = new SimDisk();
  for (const [path, bytes] of files) disk.plant(path, bytes);
  for (const path of directories) if (!files.has(path)) disk.plant(`${path}/inside`, new Uint8Array(1));
  return disk;
}

/** Resolves to what `act` does, or to the code of a RecoveryError or IoError; everything else is a bug. */
async function outcome(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
    return "resolved";
  } catch (error) {
    if (!(error instanceof RecoveryError || error instanceof IoError)) throw error;
    expect(error.code).toMatch(/^(WAL|IO|DWB)_[A-Z_]+$/);
    return error.code;
  }
}

/** The logs are of half a megabyte. Reading takes chunks of at most one, some at a time. */
const MEMORY_BYTES = 24 << 20;
/** Calls of the disk stand for time. */
const CALLS = 3000;

async function examine(disk: SimDisk): Promise<string> {
  const io = disk.mount();
  const log = { io, directory: DIRECTORY };
  await outcome(async () => {
    const found = await verifyLog(log);
    expect(found.records).toBeGreaterThanOrEqual(0);
  });
  await outcome(async () => {
    const { frameList } = await inspectLog(log);
    for await (const frame of frameList()) expect(frame.bytes).toBeGreaterThan(0);
  });
  await outcome(async () => {
    const reader = await openReader({ ...log, damaged: "prefix" });
    try {
      let next: number | undefined;
      for await (const record of reader.replay()) {
        expect(record.lsn).toBe(next ?? record.lsn);
        next = record.lsn + 1;
      }
    } finally {
      await reader.close();
    }
  });
  await outcome(async () => {
    let last = 0;
    for await (const { originalLsn } of salvage(log)) {
      expect(originalLsn).toBeGreaterThan(last);
      last = originalLsn;
    }
  });
  const planned = await outcome(() => planRecovery(log));
  await io.close();
  return planned;
}

it("whatever a directory holds: a typed error or a log, in bounded memory and time, and recovering twice comes to the same", async () => {
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...NAMES),
      fc.array(change, { maxLength: 3 }),
      fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(upheaval, { maxLength: 3 }) },
      ),
      async (name, changes, upheavals) => {
        const disk = changed(logs.get(name)!, changes, upheavals);
        const before = disk.operations;
        const used = await allocated(async () => {
          const planned = await examine(disk);
          const io = disk.mount();
          const recover = () => outcome(() => recoverLog({ io, directory: DIRECTORY }));
          const recovered = await recover();
          expect(recovered).toBe(planned);
          const bytes = snapshot(disk);
          expect(await recover()).toBe(recovered);
          // Somebody who forges a frame that contradicts a copy before it gets that copy back once the frame has been cleared.
          if (changes.every(({ sealed }) => !sealed)) expect(snapshot(disk)).toEqual(bytes);
          await io.close();
          outcomes.set(recovered, (outcomes.get(recovered) ?? 0) + 1);
        });
        expect(used).toBeLessThan(MEMORY_BYTES);
        expect(disk.operations - before).toBeLessThan(CALLS);
      },
    ),
    fuzzing(150),
  );
  // What is only ever refused has not been fuzzed.
  expect(outcomes.get("resolved")).toBeGreaterThan(20);
  expect(outcomes.size).toBeGreaterThan(4);
  if (process.env.STONEWAL_FUZZ !== undefined) console.log(Object.fromEntries(outcomes));
}, 3_600_000);

/** A double-write buffer of one slot that says that it holds an image of `length` bytes, of which it stores these. */
function hugeImage(log: LogBuilder, stored: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(SLOTS_START + 128 + stored.length);
  const payloadBytes = 2 ** 31 - 2 * 65_536;
  const block = 65_536;
  const geometry = [1, payloadBytes, payloadBytes + block, block];
  const view = new DataView(bytes.buffer);
  const at = SLOTS_START;
  bytes.set(new TextEncoder().encode("SWDWBUF1"));
  bytes.set(new TextEncoder().encode("SWDSLOT1"), at);
  for (const start of [0, at]) {
    view.setUint32(start + 12, 1, true);
    bytes.fill(0xdd, start + 16, start + 32);
  }
  for (const [index, value] of geometry.entries()) view.setUint32(32 + 4 * index, value, true);
  view.setBigUint64(at + 32, 1n, true);
  view.setBigUint64(at + 40, BigInt(log.frameNumber), true);
  view.setBigUint64(at + 48, 1n, true);
  view.setBigUint64(at + 56, BigInt(log.offset), true);
  view.setBigUint64(at + 64, 1n, true);
  view.setUint32(at + 80, length, true);
  view.setUint32(at + 88, 1, true);
  view.setUint32(at + 92, stored.length, true);
  view.setUint32(at + 96, 1, true);
  for (const [index, value] of [1, payloadBytes + block, payloadBytes, block].entries())
    view.setUint32(at + 100 + 4 * index, value, true);
  bytes.set(stored, at + 128);
  view.setUint32(8, crc32c(bytes, 12, 128), true);
  view.setUint32(at + 8, crc32c(bytes, at + 12, at + 128 + stored.length), true);
  return bytes;
}

it.each([
  ["a segment", (view: DataView) => view.setBigUint64(56, 1n << 40n, true), 4096],
  [
    "a segment of the largest size",
    (view: DataView) => view.setBigUint64(56, (1n << 53n) - 65_536n, true),
    4096,
  ],
  [
    "a segment, and a copy of a frame in it,",
    (view: DataView) => view.setBigUint64(56, 1n << 40n, true),
    2 ** 30,
  ],
  ["a copy of a frame", () => undefined, 2 ** 30],
] as const)(
  "%s that says that it is a gigabyte long, in small files, takes no memory for that",
  async (_, change, length) => {
    const log = new LogBuilder({ blocks: 10 });
    log.open();
    log.frame(["a"]);
    const segment = log.current;
    const view = new DataView(segment.bytes.buffer, segment.bytes.byteOffset);
    change(view);
    change(new DataView(segment.bytes.buffer, segment.bytes.byteOffset + 65_536));
    reseal(segment.path, segment.bytes);
    const { offset, frameNumber } = log;
    const frame = log.frame([payload("x".repeat(50))], { lost: true });
    const header = frame.bytes.slice();
    const fields = new DataView(header.buffer);
    if (length > 4096) {
      fields.setUint32(16, length, true);
      fields.setUint32(192 + 4, length - 192 - 32, true);
      fields.setUint32(8, crc32c(header, 12, 192), true);
    }
    Object.assign(log, { offset, frameNumber });
    const disk = new SimDisk();
    log.plant(disk);
    disk.plant(`${DIRECTORY}/dwb`, hugeImage(log, header.subarray(0, frame.length), length));
    const io = disk.mount();
    const used = await allocated(async () => {
      await examine(disk);
      await outcome(() => recoverLog({ io, directory: DIRECTORY }));
    });
    expect(used).toBeLessThan(MEMORY_BYTES);
  },
);
