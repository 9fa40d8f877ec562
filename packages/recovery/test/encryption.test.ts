import { SimDisk } from "@stonewal/io-sim";
import {
  type Anchor,
  checkCompression,
  crc32c,
  encodeAnchor,
  encodePreamble,
  KeyRing,
  LogCipher,
  PREAMBLE_COPY_OFFSET,
  type Preamble,
} from "@stonewal/record";
import { describe, expect, it } from "vitest";
import {
  type EncryptionOptions,
  inspectLog,
  openReader,
  type RecoverOptions,
  recoverLog,
  salvage,
  type Tip,
  verifyLog,
} from "../src/index.js";
import { BLOCK, type BuiltFrame, DIRECTORY, id, LogBuilder, protect } from "./log-builder.js";
import { codeOf, collect, errorOf, sequence, snapshot, text } from "./outcome.js";

const key = (fill: number) => new Uint8Array(32).fill(fill);
const ringOf = (current = 1) => new KeyRing({ current, keys: { 1: key(1), 2: key(2) } });
const withKeys = (more: Partial<EncryptionOptions> = {}): { encryption: EncryptionOptions } => ({
  encryption: { keys: ringOf(), ...more },
});

/** An encrypted log of a few frames in two segments, closed or not. */
function build(options: { close?: boolean; roll?: boolean } = {}): LogBuilder {
  const log = new LogBuilder({ keys: ringOf() });
  log.open();
  log.frame(["r1", "r2"]);
  log.frame(["r3"]);
  if (options.roll !== false) log.roll();
  log.frame(["r4", "r5"]);
  log.frame(["r6"]);
  log.frame([]);
  if (options.close) log.close();
  return log;
}

function planted(log: LogBuilder, disk = new SimDisk()): SimDisk {
  log.plant(disk);
  return disk;
}

/** All that opens a log, asked with the same options: all have to come to the same verdict. */
async function verdict(disk: SimDisk, options: Partial<RecoverOptions> = withKeys()): Promise<string> {
  const io = disk.mount();
  const before = snapshot(disk);
  const read = await codeOf(
    openReader({ io, directory: DIRECTORY, ...options }).then(async (reader) => {
      await collect(reader.replay(), text);
      await reader.close();
    }),
  );
  const opened = await codeOf(recoverLog({ io, directory: DIRECTORY, ...options }));
  if (read !== opened) throw new Error(`reading: ${read}, opening: ${opened}`);
  if (opened !== "resolved") expect(snapshot(disk)).toEqual(before);
  return opened;
}

async function recordsOf(disk: SimDisk, options: Partial<RecoverOptions> = withKeys()): Promise<string[]> {
  const reader = await openReader({ io: disk.mount(), directory: DIRECTORY, ...options });
  try {
    return await collect(reader.replay(), text);
  } finally {
    await reader.close();
  }
}

/** What an attacker who knows the format does: makes the checksums of the frame at `offset` fit what he has put there. */
function mendFrame(bytes: Uint8Array, offset: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset);
  const length = view.getUint32(16, true);
  const end = offset + Math.ceil(length / BLOCK) * BLOCK;
  const sums = new Uint8Array(4);
  new DataView(sums.buffer).setUint32(0, crc32c(bytes, offset + 192, end), true);
  view.setUint32(12, crc32c(sums), true);
  view.setUint32(8, crc32c(bytes, offset + 12, offset + 192), true);
  return (BigInt(view.getUint32(12, true)) << 32n) | BigInt(view.getUint32(8, true));
}

/** Changes a frame in its segment, and the chain through all that follow it there, so that only the tags are wrong. */
function tamper(
  log: LogBuilder,
  frame: BuiltFrame,
  change: (bytes: Uint8Array, offset: number) => void,
): void {
  const { bytes } = log.segments.find(({ preamble }) => preamble.sequence === frame.sequence)!;
  change(bytes, frame.offset);
  let chain = mendFrame(bytes, frame.offset);
  for (const later of log.frames) {
    if (later.sequence !== frame.sequence || later.frameNumber <= frame.frameNumber) continue;
    new DataView(bytes.buffer, bytes.byteOffset + later.offset).setBigUint64(112, chain, true);
    chain = mendFrame(bytes, later.offset);
  }
  const next = log.segments.find(({ preamble }) => preamble.previousSequence === frame.sequence);
  if (next !== undefined) next.bytes.set(encodePreamble({ ...next.preamble, previousChecksum: chain }));
}

const replaced = (
  log: LogBuilder,
  index: number,
  change: (preamble: Preamble) => Partial<Preamble>,
): void => {
  const { preamble, bytes } = log.segments[index]!;
  bytes.set(encodePreamble({ ...preamble, ...change(preamble) }));
};

describe("an encrypted log", () => {
  it("is read with its keys: by recovery, a reader and verify", async () => {
    for (const close of [true, false]) {
      const disk = planted(build({ close }));
      expect(await verdict(disk)).toBe("resolved");
      expect(await recordsOf(disk)).toEqual(sequence(1, 6));
      const report = await verifyLog({ io: disk.mount(), directory: DIRECTORY, ...withKeys() });
      expect(report).toMatchObject({ records: 6, corruption: [] });
      expect(report.encryption).toEqual({ keyIds: [1], unchecked: [], unencryptedSegments: 0 });
    }
  });

  it("is refused without keys, by name of the key that it takes", async () => {
    const disk = planted(build());
    const error = await errorOf(recoverLog({ io: disk.mount(), directory: DIRECTORY }));
    expect(error).toMatchObject({ code: "WAL_KEY_MISSING", details: { keyId: 1 } });
    expect(await verdict(disk, {})).toBe("WAL_KEY_MISSING");
    const other = new KeyRing({ current: 9, keys: { 9: key(9) } });
    expect(await verdict(disk, withKeys({ keys: other }))).toBe("WAL_KEY_MISSING");
  });

  it("is refused with a wrong key, which is not taken for damage", async () => {
    const wrong = new KeyRing({ current: 1, keys: { 1: key(9) } });
    const error = await errorOf(
      recoverLog({ io: planted(build()).mount(), directory: DIRECTORY, encryption: { keys: wrong } }),
    );
    expect(error).toMatchObject({ code: "WAL_KEY_WRONG", details: { keyId: 1 } });
  });

  it("is verified, inspected and repaired without keys as far as its structure goes, and says so", async () => {
    const disk = planted(build({ roll: false }));
    const io = disk.mount();
    const report = await verifyLog({ io, directory: DIRECTORY });
    expect(report).toMatchObject({ records: 6, corruption: [] });
    expect(report.encryption).toEqual({ keyIds: [1], unchecked: [1], unencryptedSegments: 0 });
    const inspected = await inspectLog({ io, directory: DIRECTORY });
    const frames = await collect(inspected.frameList(), ({ kind, records, keyId }) => ({
      kind,
      records,
      keyId,
    }));
    expect(frames[1]).toEqual({ kind: "data", records: 2, keyId: 1 });

    const torn = build();
    torn.frame(["torn"], { watermark: torn.frameNumber });
    const last = torn.frames.at(-1)!;
    torn.current.bytes.fill(0xee, last.offset + 100, last.offset + BLOCK);
    const tornDisk = planted(torn);
    const options = { io: tornDisk.mount(), directory: DIRECTORY, structureOnly: true };
    expect((await recoverLog(options))?.report).toMatchObject({ lastLsn: 6 });
    expect(await recordsOf(tornDisk)).toEqual(sequence(1, 6));
  });

  it("without keys, damage is found as ever: checksums are of what is on the disk", async () => {
    const log = build();
    log.current.bytes[log.frames[3]!.offset + 200]! ^= 1;
    const report = await verifyLog({ io: planted(log).mount(), directory: DIRECTORY });
    expect(report.corruption).toMatchObject([{ code: "WAL_CORRUPT", firstLsn: 4 }]);
  });

  it("an interrupted write at its end is dropped, and one in the middle of the header too", async () => {
    for (const at of [8, 100, 150, 200]) {
      const log = build();
      log.frame(["lost"], { watermark: log.frameNumber });
      log.current.bytes[log.frames.at(-1)!.offset + at]! ^= 1;
      const disk = planted(log);
      expect(await verdict(disk)).toBe("resolved");
      expect(await recordsOf(disk)).toEqual(sequence(1, 6));
    }
  });

  it("a frame that the segment is missing comes back from the double-write buffer, and not a forged one", async () => {
    const log = new LogBuilder({ keys: ringOf() });
    const disk = new SimDisk();
    const io = disk.mount();
    log.open();
    const frame = log.frame(["r1"]);
    const forged = log.frame(["forged"], {
      fields: { ...positionOf(frame), chain: log.frames[0]!.checksum, previousTag: log.frames[0]!.tag },
      watermark: 2,
      packing: { cipher: new LogCipher(new KeyRing({ current: 1, keys: { 1: key(8) } }), placeOf(log)) },
      lost: true,
    });
    log.plant(disk);
    const segment = log.current;
    segment.bytes.fill(0, frame.offset, frame.offset + BLOCK);
    disk.plant(segment.path, segment.bytes);
    await protect(io, [frame, forged]);
    expect((await recoverLog({ io, directory: DIRECTORY, ...withKeys() }))?.report.restored).toHaveLength(1);
    expect(await recordsOf(disk)).toEqual(["r1"]);
  });

  it("comes out of a salvage decrypted, what is tampered with left out, and not at all without keys", async () => {
    const log = build({ close: true });
    const bad = log.frames[2]!;
    tamper(log, bad, (bytes, offset) => {
      bytes[offset + 200]! ^= 1;
    });
    const disk = planted(log);
    const found = salvage({ io: disk.mount(), directory: DIRECTORY, ...withKeys() });
    expect(await collect(found, ({ record }) => text(record))).toEqual(["r1", "r2", "r4", "r5", "r6"]);
    const keyless = salvage({ io: disk.mount(), directory: DIRECTORY });
    expect(await codeOf(collect(keyless, () => undefined))).toBe("WAL_KEY_MISSING");
  });

  it("intact frames behind a hole are salvaged: each can be decrypted by itself", async () => {
    const log = build({ close: true });
    log.segments[0]!.bytes.fill(0xee, log.frames[1]!.offset, log.frames[1]!.offset + BLOCK);
    const found = salvage({ io: planted(log).mount(), directory: DIRECTORY, ...withKeys() });
    expect(await collect(found, ({ record }) => text(record))).toEqual(sequence(3, 6));
  });
});

const placeOf = (log: LogBuilder) => ({ keyId: 1, logId: log.logId, incarnation: log.incarnation });
const positionOf = ({ offset, frameNumber, firstLsn }: BuiltFrame) => ({ offset, frameNumber, firstLsn });

describe("what only whoever has the key can notice", () => {
  const FIELDS: readonly (readonly [name: string, at: number])[] = [
    ["a record", 200],
    ["the watermark", 96],
    ["the time", 104],
    ["the incarnation", 48],
    ["the tag", 144],
  ];
  const FRAMES = [
    "open",
    "data",
    "the last one before a segment",
    "in the last segment",
    "the last data",
    "idle",
  ];

  it.each(FIELDS)(
    "%s changed, with all checksums and the chain made to fit, in any frame",
    async (_name, at) => {
      for (const [i, name] of FRAMES.entries()) {
        const log = build();
        const frame = log.frames[i]!;
        if (at === 200 && frame.length === 192) continue;
        tamper(log, frame, (bytes, offset) => {
          if (at === 96) bytes[offset + at]! -= 1;
          else bytes[offset + at]! ^= 1;
        });
        expect(await verdict(planted(log)), name).toBe("WAL_TAMPERED");
      }
    },
  );

  it("and it is never taken for a torn tail: not the very last frame, without any witness", async () => {
    const log = new LogBuilder({ keys: ringOf() });
    log.open();
    const last = log.frame(["r1"]);
    log.setAnchor({ watermark: 1, durableLsn: 0 });
    tamper(log, last, (bytes, offset) => {
      bytes[offset + 200]! ^= 1;
    });
    expect(await verdict(planted(log))).toBe("WAL_TAMPERED");
  });

  it("a frame that is not encrypted, in a log that is", async () => {
    const log = new LogBuilder({ keys: ringOf() });
    log.open();
    log.frame(["forged"], { packing: {} });
    expect(await verdict(planted(log))).toBe("WAL_TAMPERED");
    // No key is needed to see that.
    const report = await verifyLog({ io: planted(log).mount(), directory: DIRECTORY });
    expect(report.corruption).toMatchObject([{ code: "WAL_TAMPERED" }]);
  });

  it("a segment that is not encrypted, behind one that is", async () => {
    const log = build({ roll: false });
    log.encrypt(undefined);
    log.roll();
    log.frame(["forged"]);
    expect(await verdict(planted(log))).toBe("WAL_TAMPERED");
  });

  it.each<[string, (preamble: Preamble) => Partial<Preamble>]>([
    ["its time", ({ time }) => ({ time: time + 1 })],
    ["its incarnation", () => ({ incarnation: id(0x77) })],
    ["that it is recycled", () => ({ recycled: true })],
    ["its previous tag", ({ encryption }) => ({ encryption: { ...encryption!, previousTag: id(5) } })],
    ["its tag", ({ encryption }) => ({ encryption: { ...encryption!, tag: id(5) } })],
  ])("a preamble of which was changed: %s", async (_name, change) => {
    for (const index of [0, 1]) {
      const log = build();
      replaced(log, index, change);
      expect(await verdict(planted(log)), `segment ${index + 1}`).toBe("WAL_TAMPERED");
    }
  });

  it("an anchor that hides records, or lets them go", async () => {
    for (const change of [{ trimPoint: 3 }, { watermark: 1 }, { durableLsn: 1 }, { encryption: undefined }]) {
      const log = build();
      log.setAnchor();
      log.anchor = { ...log.anchor!, ...(change as Partial<Anchor>) };
      expect(await verdict(planted(log))).toBe("WAL_TAMPERED");
    }
  });
});

describe("what is authentic, and in the wrong place", () => {
  it("two frames of one size exchanged", async () => {
    const log = build();
    const [a, b] = [log.frames[1]!, log.frames[2]!];
    const { bytes } = log.segments[0]!;
    bytes.set(b.bytes, a.offset);
    bytes.set(a.bytes, b.offset);
    expect(await verdict(planted(log))).toBe("WAL_REPLAYED");
  });

  it("a frame of an older segment put over a later one", async () => {
    const log = build({ close: true });
    log.current.bytes.set(log.frames[2]!.bytes, log.frames[3]!.offset);
    expect(await verdict(planted(log))).toBe("WAL_REPLAYED");
  });

  it("a frame of another history of the log, from a copy that was opened too", async () => {
    const fork = () => {
      const log = new LogBuilder({ keys: ringOf() });
      log.open();
      return log;
    };
    const [ours, theirs] = [fork(), fork()];
    theirs.reopen(id(0xb2));
    ours.frame(["ours"]);
    ours.frame(["more"]);
    ours.close();
    const foreign = theirs.frame(["them"]);
    ours.current.bytes.set(foreign.bytes, foreign.offset);
    expect(await verdict(planted(ours))).toBe("WAL_REPLAYED");
    // With the chain made to fit, it is the frame behind that is not authentic any more.
    const offset = ours.frames[2]!.offset;
    new DataView(ours.current.bytes.buffer).setBigUint64(offset + 112, foreign.checksum, true);
    mendFrame(ours.current.bytes, offset);
    expect(["WAL_TAMPERED", "WAL_REPLAYED"]).toContain(await verdict(planted(ours)));
  });

  it("a preamble exchanged for that of another history, with what it begins", async () => {
    const fork = (incarnation: number) => {
      const log = new LogBuilder({ keys: ringOf() });
      log.open();
      log.reopen(id(incarnation));
      log.frame(["r1"]);
      log.roll();
      return log;
    };
    const [ours, theirs] = [fork(0xb1), fork(0xb2)];
    ours.frame(["r2"]);
    ours.close();
    const disk = planted(ours);
    ours.segments[1]!.bytes.set(encodePreamble(theirs.segments[1]!.preamble));
    disk.plant(ours.segments[1]!.path, ours.segments[1]!.bytes);
    expect(await verdict(disk)).toBe("WAL_REPLAYED");
  });

  it("a segment of another history of the log", async () => {
    const fork = (incarnation: number) => {
      const log = new LogBuilder({ keys: ringOf() });
      log.open();
      log.reopen(id(incarnation));
      log.frame(["r1"]);
      log.roll();
      log.frame(["r2"]);
      log.close();
      return log;
    };
    const [ours, theirs] = [fork(0xb1), fork(0xb2)];
    // The checksums of the chain can be made to fit (here: by stating them), the tags can't.
    const { preamble } = ours.segments[1]!;
    const disk = planted(ours);
    const first = theirs.segments[0]!;
    disk.plant(first.path, first.bytes);
    expect(await verdict(disk)).toBe("WAL_REPLAYED");
    // Without keys nothing says that either of them is as it was written.
    const report = await verifyLog({ io: disk.mount(), directory: DIRECTORY });
    expect(report.corruption).toMatchObject([{ code: "WAL_CORRUPT" }]);
    const forged = { ...preamble, previousChecksum: theirs.frames[1]!.checksum };
    ours.segments[1]!.bytes.set(encodePreamble(forged));
    disk.plant(ours.segments[1]!.path, ours.segments[1]!.bytes);
    expect(await verdict(disk)).toBe("WAL_TAMPERED");
  });
});

describe("an older copy of the whole directory", () => {
  const older = () => {
    const log = new LogBuilder({ keys: ringOf() });
    log.open();
    log.frame(["r1"]);
    return log;
  };

  it("looks like a log that is fine, and is refused by whoever remembers more", async () => {
    const log = older();
    const copy = planted(log);
    const last = log.frame(["r2"]);
    const atLeast = { lsn: 2, tag: last.tag };
    expect(await verdict(copy)).toBe("resolved");
    expect(await verdict(copy, { ...withKeys(), atLeast })).toBe("WAL_ROLLED_BACK");
    expect(await verdict(planted(log), { ...withKeys(), atLeast })).toBe("resolved");
  });

  it("that went on by itself holds another record in the same place", async () => {
    const log = older();
    const fork = older();
    fork.reopen(id(0xb2));
    const last = log.frame(["r2"]);
    fork.frame(["other"]);
    const atLeast = { lsn: 2, tag: last.tag };
    expect(await verdict(planted(fork), { ...withKeys(), atLeast })).toBe("WAL_ROLLED_BACK");
    expect(await verdict(planted(fork), { ...withKeys(), atLeast: { lsn: 2 } })).toBe("resolved");
  });

  it("a log says what to remember: the last LSN and its frame's tag", async () => {
    const log = build();
    const recovered = await recoverLog({ io: planted(log).mount(), directory: DIRECTORY, ...withKeys() });
    expect(recovered?.tip).toEqual({ lsn: 6, tag: log.frames[4]!.tag });
  });

  it("is told as that by verify and inspect too, and a reader is not given its records before it hears of it", async () => {
    const log = older();
    const copy = planted(log);
    const last = log.frame(["r2"]);
    const asked = { directory: DIRECTORY, ...withKeys(), atLeast: { lsn: 2, tag: last.tag } };
    for (const look of [verifyLog, inspectLog]) {
      const report = await look({ io: copy.mount(), ...asked });
      expect(report.corruption).toMatchObject([{ code: "WAL_ROLLED_BACK", firstLsn: 2, lastLsn: 2 }]);
      expect(report.tip).toBeUndefined();
      const held = await look({ io: planted(log).mount(), ...asked });
      expect(held.corruption).toEqual([]);
      expect(held.tip).toEqual(asked.atLeast);
    }
    const reading = openReader({ io: copy.mount(), ...asked, damaged: "prefix" });
    expect(await codeOf(reading)).toBe("WAL_ROLLED_BACK");
  });

  describe("that is damaged too", () => {
    const damage = (log: LogBuilder, frame: BuiltFrame) => {
      const disk = planted(log);
      disk.corrupt(log.current.path, frame.offset + 200, new Uint8Array([1, 2, 3]));
      return disk;
    };
    /** What is delivered of it as long as that is possible, and then what is said of it. */
    const read = async (disk: SimDisk, atLeast: Tip) => {
      const options = { io: disk.mount(), directory: DIRECTORY, ...withKeys(), atLeast };
      const seen: string[] = [];
      const code = await codeOf(
        openReader({ ...options, damaged: "prefix" }).then(async (reader) => {
          try {
            for await (const record of reader.replay()) seen.push(text(record));
          } finally {
            await reader.close();
          }
        }),
      );
      return [...seen, code];
    };

    it("and went on by itself is told by its tag first, and no record of another history is delivered", async () => {
      const log = older();
      const fork = older();
      fork.reopen(id(0xb2));
      const atLeast = { lsn: 2, tag: log.frame(["r2"]).tag };
      fork.frame(["other"]);
      fork.frame(["x"]);
      const damaged = fork.frame(["y"]);
      fork.frame(["z"]);
      const disk = damage(fork, damaged);
      expect(await read(disk, atLeast)).toEqual(["WAL_ROLLED_BACK"]);
      expect(await verdict(disk, { ...withKeys(), atLeast })).toBe("WAL_ROLLED_BACK");
      const report = await verifyLog({ io: disk.mount(), directory: DIRECTORY, ...withKeys(), atLeast });
      expect(report.corruption).toMatchObject([
        { code: "WAL_ROLLED_BACK", firstLsn: 2 },
        { code: "WAL_CORRUPT", firstLsn: 4 },
      ]);
    });

    it("at that LSN or before shows no other history: what is intact before the damage can still be read", async () => {
      const log = older();
      const fork = older();
      fork.reopen(id(0xb2));
      const atLeast = { lsn: 2, tag: log.frame(["r2"]).tag };
      const damaged = fork.frame(["other"]);
      fork.frame(["x"]);
      const disk = damage(fork, damaged);
      expect(await read(disk, atLeast)).toEqual(["r1", "WAL_CORRUPT"]);
      expect(await verdict(disk, { ...withKeys(), atLeast })).toBe("WAL_CORRUPT");
    });

    it("is not what the log itself is, damaged behind that LSN: its records up to there can still be read", async () => {
      const log = older();
      const atLeast = { lsn: 2, tag: log.frame(["r2"]).tag };
      const damaged = log.frame(["r3"]);
      log.frame(["r4"]);
      const disk = damage(log, damaged);
      expect(await read(disk, atLeast)).toEqual(["r1", "r2", "WAL_CORRUPT"]);
      expect(await verdict(disk, { ...withKeys(), atLeast })).toBe("WAL_CORRUPT");
    });
  });

  it("nothing at all in its place is told as that, and not as a log that is not there yet", async () => {
    const asked = { directory: DIRECTORY, ...withKeys(), atLeast: { lsn: 2 } };
    expect(await codeOf(verifyLog({ io: new SimDisk().mount(), ...asked }))).toBe("WAL_ROLLED_BACK");
    expect(await codeOf(openReader({ io: new SimDisk().mount(), ...asked }))).toBe("WAL_ROLLED_BACK");
    const empty = new SimDisk();
    await empty.mount().makeDirectory(DIRECTORY);
    expect(await codeOf(recoverLog({ io: empty.mount(), ...asked }))).toBe("WAL_ROLLED_BACK");
  });

  it("what has been trimmed since is not missed", async () => {
    const log = new LogBuilder({ keys: ringOf() });
    log.open();
    const first = log.frame(["r1"]);
    log.roll();
    log.frame(["r2"]);
    log.setAnchor({ trimPoint: 1 });
    const disk = new SimDisk();
    disk.plant(log.segments[1]!.path, log.segments[1]!.bytes);
    disk.plant(`${DIRECTORY}/anchor`, encodeAnchor(log.anchor!));
    expect(await verdict(disk, { ...withKeys(), atLeast: { lsn: 1, tag: first.tag } })).toBe("resolved");
  });
});

describe("keys that change", () => {
  const rotated = () => {
    const log = new LogBuilder({ keys: ringOf(1) });
    log.open();
    log.frame(["r1"]);
    log.encrypt(ringOf(2));
    log.roll();
    log.frame(["r2"]);
    log.close();
    return log;
  };

  it("a log is read with the keys that its segments were written with, from a provider too", async () => {
    const asked: number[] = [];
    const keys = new KeyRing({
      current: 2,
      provider: async (keyId) => {
        asked.push(keyId);
        return key(keyId);
      },
    });
    expect(await recordsOf(planted(rotated()), { encryption: { keys } })).toEqual(["r1", "r2"]);
    expect([...asked].sort()).toEqual([1, 2]);
  });

  it("an older key that is gone is named; where that is allowed the log opens, and reading comes to it", async () => {
    const keys = new KeyRing({ current: 2, keys: { 2: key(2) } });
    const disk = planted(rotated());
    const error = await errorOf(recoverLog({ io: disk.mount(), directory: DIRECTORY, encryption: { keys } }));
    expect(error).toMatchObject({ code: "WAL_KEY_MISSING", details: { keyId: 1 } });

    const encryption = { keys, missingKeys: "allow" } as const;
    expect((await recoverLog({ io: disk.mount(), directory: DIRECTORY, encryption }))?.report.lastLsn).toBe(
      2,
    );
    const report = await verifyLog({ io: disk.mount(), directory: DIRECTORY, encryption });
    expect(report.encryption).toEqual({ keyIds: [1, 2], unchecked: [1], unencryptedSegments: 0 });
    const reader = await openReader({ io: disk.mount(), directory: DIRECTORY, encryption });
    expect(await codeOf(collect(reader.replay(), text))).toBe("WAL_KEY_MISSING");
    expect(await collect(reader.replay({ from: 2 }), text)).toEqual(["r2"]);
    await reader.close();
  });
});

describe("a log that is not encrypted", () => {
  it("is refused by whoever expects one that is, unless they accept it", async () => {
    const log = new LogBuilder();
    log.open();
    log.frame(["r1"]);
    const disk = planted(log);
    expect(await verdict(disk)).toBe("WAL_NOT_ENCRYPTED");
    expect(await recordsOf(disk, withKeys({ unencrypted: "accept" }))).toEqual(["r1"]);
  });

  it("and goes on encrypted is read whole, with what it was before", async () => {
    const log = new LogBuilder();
    log.open();
    log.frame(["r1"]);
    log.encrypt(ringOf());
    log.roll();
    log.frame(["r2"]);
    const disk = planted(log);
    // Not yet written again since: the anchor of before.
    expect(await recordsOf(disk)).toEqual(["r1", "r2"]);
    log.setAnchor();
    expect(await recordsOf(planted(log))).toEqual(["r1", "r2"]);
    const report = await verifyLog({ io: disk.mount(), directory: DIRECTORY, ...withKeys() });
    expect(report.encryption).toEqual({ keyIds: [1], unchecked: [], unencryptedSegments: 1 });
  });
});

describe("a compressed log", () => {
  const compression = checkCompression({ algorithm: "deflate-raw" });
  const long = (n: number) => `${n} `.repeat(5000);

  it("is read as any other, without and with encryption", async () => {
    for (const keys of [undefined, ringOf()]) {
      const log = new LogBuilder({ packing: { compression }, ...(keys && { keys }) });
      log.open();
      for (let n = 1; n <= 4; n++) log.frame([long(n)]);
      log.close();
      expect(log.frames.every((frame) => frame.bytes.length === BLOCK)).toBe(true);
      const options = keys === undefined ? {} : withKeys();
      expect(await recordsOf(planted(log), options)).toEqual([1, 2, 3, 4].map(long));
    }
  });

  it("a frame that does not expand to its records is damage, and never a torn tail", async () => {
    const log = new LogBuilder({ packing: { compression } });
    log.open();
    const last = log.frame([long(1)]);
    const { bytes } = log.current;
    bytes.fill(0x55, last.offset + 192, last.offset + 220);
    mendFrame(bytes, last.offset);
    expect(await verdict(planted(log), {})).toBe("WAL_CORRUPT");
  });

  it("costs a replay bounded memory, however well it is compressed", async () => {
    const log = new LogBuilder({ packing: { compression }, blocks: 600 });
    log.open();
    const megabyte = "x".repeat(1 << 20);
    for (let n = 0; n < 64; n++) log.frame([megabyte]);
    log.close();
    const reader = await openReader({ io: planted(log).mount(), directory: DIRECTORY });
    let largest = 0;
    for await (const batch of reader.replayBatches({ chunkBytes: 65_536 })) {
      largest = Math.max(
        largest,
        batch.reduce((sum, record) => sum + record.payloadBytes, 0),
      );
    }
    await reader.close();
    expect(largest).toBeLessThanOrEqual(2 << 20);
  });
});

it("the copies of a preamble are 64 KiB apart in an encrypted segment too, and one is enough", async () => {
  const log = build();
  log.segments[0]!.bytes.fill(0, 0, 4096);
  log.segments[1]!.bytes.fill(0, PREAMBLE_COPY_OFFSET, PREAMBLE_COPY_OFFSET + 4096);
  const disk = planted(log);
  expect(await verdict(disk)).toBe("resolved");
  // Mended byte for byte: the nonce of a preamble is used once.
  const mended = disk.fileBytes(log.segments[0]!.path);
  expect(Buffer.from(mended.subarray(0, 68))).not.toEqual(Buffer.alloc(68));
  expect(Buffer.from(mended.subarray(152, 200))).toEqual(
    Buffer.from(mended.subarray(PREAMBLE_COPY_OFFSET + 152, PREAMBLE_COPY_OFFSET + 200)),
  );
});
