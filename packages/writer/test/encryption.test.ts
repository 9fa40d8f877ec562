import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import type { IoBackend } from "@stonewal/io";
import { SimDisk } from "@stonewal/io-sim";
import { crc32c, KeyRing } from "@stonewal/record";
import {
  inspectLog,
  type LogReader,
  openReader,
  planRecovery,
  recoverLog,
  salvage,
  verifyLog,
} from "@stonewal/recovery";
import { describe, expect, test } from "vitest";
import { openLog, type Wal, type WalOptions } from "../src/index.js";
import { derivedKeys } from "./support/derived-keys.js";
import { NonceLedger, watched } from "./support/nonces.js";
import { bytes, DIRECTORY, lastSegment, makeDisk, openOn, SMALL, textsOf } from "./support/sim-log.js";

const key = (id: number) => new Uint8Array(32).fill(0x60 + id);
const ring = (current = 1) => new KeyRing({ current, keys: { 1: key(1), 2: key(2) } });
const encrypted = (more: Partial<NonNullable<WalOptions["encryption"]>> = {}) => ({
  encryption: { keys: ring(), ...more },
});

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    const wal = await promise;
    if (wal instanceof Object && "close" in wal) await (wal as Wal).close();
    return "resolved";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** Appends as soon as there is room. */
async function appended(wal: Wal, record: { payload: Uint8Array }): Promise<void> {
  for (;;) {
    try {
      wal.append(record);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "WAL_BACKPRESSURE") throw error;
      await wal.ready();
    }
  }
}

/** Simulated time passes: beside a writer a reader may have to look again. */
async function refreshed(reader: LogReader, disk: SimDisk): Promise<void> {
  const ticker = setInterval(() => disk.advance(10), 1);
  await reader.refresh().finally(() => clearInterval(ticker));
}

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return Math.floor((((state ^ (state >>> 13)) >>> 0) / 2 ** 32) * below);
  };
}

/**
 * Lives of a log and of copies of it: each ends in a power cut, so that LSNs are given again; now and then an older copy is put in
 * its place, or a copy goes on beside it. Everything that any of them writes is seen by `ledger`.
 */
async function manyLives(
  seed: number,
  ledger: NonceLedger,
  change: (io: IoBackend) => IoBackend,
): Promise<void> {
  const below = random(seed);
  let disk = new SimDisk({ seed });
  let older = disk.clone(seed + 1_000);
  for (let life = 0; life < 7; life += 1) {
    const mode: Partial<WalOptions> = {
      ...SMALL,
      ...encrypted({ keys: ring(1 + below(2)) }),
      ...(below(2) === 0 ? { compression: "deflate-raw" } : {}),
      dwb: { mode: (["off", "buffered", "direct"] as const)[below(3)]!, slots: 4, slotBytes: 8192 },
    };
    const wal = await openLog({
      io: change(watched(disk.mount(), (b) => ledger.see(b))),
      directory: DIRECTORY,
      ...mode,
    });
    for (let step = 0; step < 12; step += 1) {
      const payload = new Uint8Array(8 + below(3) * 9000).fill(life * 16 + step);
      const action = below(12);
      if (action < 6) await appended(wal, { payload });
      else if (action < 9) await wal.commit({ payload });
      else if (action === 9 && wal.durableLsn > wal.trimLsn + 1) await wal.truncateAfter(wal.durableLsn - 1);
      else if (action === 10) await wal.checkpoint(wal.durableLsn);
      else await wal.rotateKey();
    }
    // In flight when the power goes: some of it is on the disk, and its LSNs will be given again.
    const flying = wal.sync().catch(() => undefined);
    disk.crashAfter(1 + below(3));
    await flying;
    disk.crashAfter(undefined);
    disk.crash();
    if (below(3) === 0) older = disk.clone(seed * 100 + life + 2_000);
    if (below(3) === 0) disk = older.clone(seed * 100 + life + 3_000);
  }
}

/** Every opening is the same one: what a random number generator that starts over would come to. */
const saltReused = (io: IoBackend): IoBackend =>
  new Proxy(io, {
    get(target, property) {
      if (property === "random") return (count: number) => new Uint8Array(count).fill(7);
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });

describe("no derived key meets a nonce twice", () => {
  const seeds = Array.from({ length: 16 }, (_, i) => i + 1);

  test("not where LSNs are given again after a crash, an older copy is restored, or two copies go on", async () => {
    const ledger = new NonceLedger(key);
    for (const seed of seeds) await manyLives(seed, ledger, (io) => io);
    expect(ledger.violations).toEqual([]);
    expect(ledger.reassigned).toBeGreaterThan(seeds.length);
    expect(ledger.derivedKeys).toBeGreaterThan(seeds.length * 7);
    expect(ledger.pairs).toBeGreaterThan(seeds.length * 50);
  });

  test("and if every opening had the same salt, this would be noticed", async () => {
    const ledger = new NonceLedger(key);
    for (const seed of seeds.slice(0, 3)) {
      // A log that recovers what it wrote itself can't tell: it is a matter of nonces alone.
      await manyLives(seed, ledger, saltReused).catch(() => undefined);
    }
    expect(ledger.violations.length).toBeGreaterThan(0);
  });
});

describe("nothing in the clear reaches the disk", () => {
  const MARKER = "this must not be read by a thief";
  const modes: Partial<WalOptions>[] = [];
  for (const direct of [true, false]) {
    for (const dwb of ["off", "buffered", "direct"] as const) {
      for (const compression of [undefined, "deflate-raw"] as const) {
        for (const routing of ["encrypted", "readable"] as const) {
          modes.push({ direct, dwb, ...(compression && { compression }), ...encrypted({ routing }) });
        }
      }
    }
  }
  modes.push({ ack: "dwb", dwb: "direct", ...encrypted() });

  test.each(modes.map((mode) => [describeMode(mode), mode] as const))("%s", async (_name, mode) => {
    const disk = makeDisk();
    let written = 0;
    const see = (region: Uint8Array) => {
      written += 1;
      const found = Buffer.from(region.buffer, region.byteOffset, region.length).indexOf(MARKER.slice(0, 12));
      expect(found).toBe(-1);
    };
    const open = () => openLog({ io: watched(disk.mount(), see), directory: DIRECTORY, ...SMALL, ...mode });
    let wal = await open();
    const before = written;
    wal.commitNow({ payload: bytes(MARKER) });
    expect(written).toBeGreaterThan(before);
    for (let n = 0; n < 12; n += 1) {
      const payload = bytes(`${MARKER} ${n} `.repeat(1 + (n % 4) * 600));
      if (n % 3 === 0) await wal.commit({ payload });
      else await appended(wal, { payload });
    }
    await wal.commitBatch([{ payload: bytes(MARKER) }, { payload: bytes(MARKER.repeat(1000)) }]);
    await appended(wal, { payload: bytes(MARKER.repeat(100)) });
    wal.sync().catch(() => undefined);
    disk.crashAfter(2);
    await wal.sync().catch(() => undefined);
    disk.crashAfter(undefined);
    disk.crash();
    wal = await open();
    await wal.truncateAfter(wal.durableLsn - 1);
    await wal.commit({ payload: bytes(MARKER) });
    await wal.close();
    for (const [path, content] of disk.files()) {
      expect(Buffer.from(content).includes(MARKER.slice(0, 12)), path).toBe(false);
    }
    expect(written).toBeGreaterThan(10);
  });
});

function describeMode({ direct, dwb, ack, compression, encryption }: Partial<WalOptions>): string {
  const parts = [
    direct === false ? "buffered" : "direct",
    `dwb ${String(dwb)}`,
    ack === "dwb" ? "acknowledging" : "",
  ];
  return [...parts, compression ?? "", encryption?.routing === "readable" ? "routing readable" : ""]
    .filter((part) => part !== "")
    .join(", ");
}

describe("an encrypted log", () => {
  test("comes back after a clean close and after a power cut, and goes on", async () => {
    const disk = makeDisk();
    let wal = await openOn(disk, encrypted());
    await wal.commit({ payload: bytes("one") });
    await wal.close();
    wal = await openOn(disk, encrypted());
    expect(wal.keyId).toBe(1);
    await wal.commit({ payload: bytes("two") });
    disk.crash();
    wal = await openOn(disk, encrypted());
    await wal.commit({ payload: bytes("three") });
    expect(await textsOf(wal)).toEqual(["1:one", "2:two", "3:three"]);
    await wal.close();
  });

  test("can't be opened, or appended to, without keys or with a wrong one; nothing is changed by trying", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, encrypted());
    await wal.commit({ payload: bytes("one") });
    await wal.close();
    // The name of the spare that the first opening had prepared becomes durable by looking, as any name does.
    const state = () =>
      [...disk.files()]
        .filter(([path]) => !path.includes("spare"))
        .map(([path, content]) => `${path} ${crc32c(content)}`);
    const before = state();
    const wrong = new KeyRing({ current: 1, keys: { 1: key(9) } });
    const other = new KeyRing({ current: 3, keys: { 3: key(3) } });
    const failing = new KeyRing({ current: 1, provider: () => Promise.reject(new Error("the KMS is away")) });
    expect(await codeOf(openOn(disk))).toBe("WAL_KEY_MISSING");
    expect(await codeOf(openOn(disk, encrypted({ keys: wrong })))).toBe("WAL_KEY_WRONG");
    expect(await codeOf(openOn(disk, encrypted({ keys: other })))).toBe("WAL_KEY_MISSING");
    expect(await codeOf(openOn(disk, encrypted({ keys: failing })))).toBe("WAL_KEY_MISSING");
    expect(state()).toEqual(before);
  });

  test("rolls, seals, is cut and checkpointed as any other", async () => {
    const disk = makeDisk();
    let wal = await openOn(disk, encrypted());
    const payload = new Uint8Array(30_000).fill(5);
    for (let n = 0; n < 30; n += 1) await wal.commit({ payload });
    await wal.seal();
    await wal.truncateAfter(25);
    await wal.commit({ payload: bytes("after the cut") });
    await wal.checkpoint(20);
    disk.crash();
    wal = await openOn(disk, encrypted());
    expect((await textsOf(wal, { from: 26 })).at(-1)).toBe("26:after the cut");
    await wal.truncateAfter(22);
    await wal.close();
    wal = await openOn(disk, encrypted());
    expect(wal.durableLsn).toBe(22);
    await wal.close();
  });

  test("that lost nothing but a close frame is opened, and its anchor is lowered with a key", async () => {
    const disk = makeDisk();
    let wal = await openOn(disk, { ...encrypted(), dwb: "off" });
    await wal.commit({ payload: bytes("one") });
    await wal.close();
    const path = lastSegment(disk);
    for (const offset of [131_072 + 2 * 4096, 131_072 + 3 * 4096])
      disk.corrupt(path, offset, new Uint8Array(4096));
    wal = await openOn(disk, { ...encrypted(), dwb: "off" });
    disk.crash();
    wal = await openOn(disk, { ...encrypted(), dwb: "off" });
    expect(await textsOf(wal)).toEqual(["1:one"]);
    await wal.close();
  });

  test("shows its routing fields to a tool without keys where that was chosen", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, encrypted({ routing: "readable" }));
    const many = Array.from({ length: 700 }, (_, n) => ({ payload: bytes(`${n}`), tenant: n % 3, type: 7 }));
    for (const record of many) wal.append(record);
    await wal.close();
    const report = await inspectLog({ io: disk.mount(), directory: DIRECTORY });
    const tenants: bigint[] = [];
    for await (const { routing } of report.frameList())
      tenants.push(...(routing ?? []).map(({ tenant }) => tenant));
    expect(tenants).toEqual(many.map(({ tenant }) => BigInt(tenant)));
  });

  test("takes records up to the size it states, with a routing table too", async () => {
    for (const routing of ["encrypted", "readable"] as const) {
      const wal = await openOn(makeDisk(), encrypted({ routing }));
      const payload = new Uint8Array(wal.maxPayloadBytes).fill(3);
      await wal.commit({ payload });
      expect(() => wal.append({ payload: new Uint8Array(payload.length + 1) })).toThrow(
        expect.objectContaining({ code: "WAL_RECORD_TOO_LARGE" }),
      );
      for await (const record of wal.read()) expect(Buffer.compare(record.payload, payload)).toBe(0);
      await wal.close();
    }
  });

  test("keeps its keys out of events, stats and errors", async () => {
    const seen: unknown[] = [];
    const names = ["open", "flush", "segment", "checkpoint", "close"].map((name) => `stonewal:${name}`);
    const listen = (message: unknown) => seen.push(message);
    for (const name of names) subscribe(name, listen);
    try {
      const disk = makeDisk();
      const wal = await openOn(disk, encrypted());
      await wal.commit({ payload: bytes("one") });
      seen.push(wal, wal.stats());
      await wal.close();
      seen.push(
        await openOn(disk, encrypted({ keys: new KeyRing({ current: 1, keys: { 1: key(9) } }) })).catch(
          (e) => e,
        ),
      );
    } finally {
      for (const name of names) unsubscribe(name, listen);
    }
    const shown = inspect(seen, { depth: 12, showHidden: true, maxArrayLength: null });
    expect(shown.length).toBeGreaterThan(500);
    expect(shown).not.toContain(Buffer.from(key(1)).toString("hex").slice(0, 12));
    expect(shown).not.toContain([...key(1).subarray(0, 6)].join(", "));
    expect(shown).not.toContain(Array(6).fill("61").join(" "));
  });
});

describe("derived keys are overwritten", () => {
  const closed = async (disk: SimDisk, options: Partial<WalOptions>) => {
    const wal = await openOn(disk, options);
    await wal.commit({ payload: bytes("one") });
    await textsOf(wal);
    await wal.close();
  };

  test.each<[string, (disk: SimDisk) => Promise<void>]>([
    [
      "when a log is closed: those that were written with, and those that were read with",
      async (disk) => {
        await closed(disk, encrypted());
        await closed(disk, encrypted({ keys: ring(2) }));
      },
    ],
    [
      "when a reader is closed",
      async (disk) => {
        await closed(disk, encrypted());
        const reader = await openReader({ io: disk.mount(), directory: DIRECTORY, ...encrypted() });
        for await (const _ of reader.replay());
        await reader.close();
        // What is read after it is read all the same.
        const late = await openReader({ io: disk.mount(), directory: DIRECTORY, ...encrypted() });
        const records = late.replay();
        await late.close();
        for await (const { lsn } of records) expect(lsn).toBe(1);
      },
    ],
    [
      "by everything else that looks at a log",
      async (disk) => {
        await closed(disk, encrypted());
        const options = { io: disk.mount(), directory: DIRECTORY, ...encrypted() };
        expect((await verifyLog(options)).corruption).toEqual([]);
        for await (const _ of (await inspectLog(options)).frameList());
        await planRecovery(options);
        await recoverLog(options);
        for await (const _ of salvage(options));
      },
    ],
    [
      "when a log can't be opened: a wrong key, an older copy, a write that fails, no room for a new key, damage",
      async (disk) => {
        const options = { ...encrypted(), dwb: "off" } as const;
        await closed(disk, options);
        const second = new KeyRing({ current: 2, keys: { 1: key(1), 2: key(9) } });
        await closed(disk, { ...options, ...encrypted({ keys: ring(2) }) });
        expect(await codeOf(openOn(disk, { ...options, ...encrypted({ keys: second }) }))).toBe(
          "WAL_KEY_WRONG",
        );
        expect(await codeOf(openOn(disk, { ...options, atLeast: { lsn: 9 } }))).toBe("WAL_ROLLED_BACK");
        const fault = disk.fail({ operation: "write", path: /\.wal$/, effect: "none", nth: 1 });
        expect(await codeOf(openOn(disk, { ...options, ...encrypted({ keys: ring(2) }) }))).toBe(
          "WAL_POISONED",
        );
        fault.cancel();
        const full = makeDisk({ capacityBytes: 262_144 + 131_072 + 200_000 });
        await closed(full, options);
        expect(await codeOf(openOn(full, { ...options, ...encrypted({ keys: ring(2) }) }))).toBe(
          "WAL_NO_SPACE",
        );
        disk.corrupt(lastSegment(disk), 131_072 + 4096 + 200, Uint8Array.of(0xaa, 0xbb));
        expect(await codeOf(openOn(disk, options))).toBe("WAL_CORRUPT");
      },
    ],
  ])("%s", async (_name, work) => {
    const derived = await derivedKeys(() => work(makeDisk()));
    expect(derived.length).toBeGreaterThan(5);
    for (const bytes of derived) expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
});

describe("keys are changed", () => {
  test("while the log is open: what is older keeps its key, and all of it is read", async () => {
    const disk = makeDisk();
    const keys = ring(1);
    const wal = await openOn(disk, { encryption: { keys } });
    await wal.commit({ payload: bytes("old") });
    const before = Buffer.from(disk.fileBytes(lastSegment(disk)).subarray(131_072, 131_072 + 8192));
    const oldPath = lastSegment(disk);
    await keys.use(2);
    await wal.rotateKey();
    expect(wal.keyId).toBe(2);
    await wal.rotateKey();
    await wal.commit({ payload: bytes("new") });
    expect(await textsOf(wal)).toEqual(["1:old", "2:new"]);
    expect(Buffer.from(disk.fileBytes(oldPath).subarray(131_072, 131_072 + 8192))).toEqual(before);
    await wal.close();
    const report = await verifyLog({ io: disk.mount(), directory: DIRECTORY, encryption: { keys } });
    expect(report.encryption?.keyIds).toEqual([1, 2]);
    expect(report.segments).toBe(2);
  });

  test("by an append that begins the next segment first: the change is not over before that segment is durable", async () => {
    const disk = makeDisk();
    const keys = ring(1);
    const wal = await openOn(disk, { encryption: { keys }, dwb: "off" });
    await wal.commit({ payload: bytes("old") });
    await keys.use(2);
    // One fills what is left of the segment; the other goes into one with the new key, which is still to be begun.
    for (let n = 0; n < 2; n += 1) await appended(wal, { payload: new Uint8Array(50_000) });
    expect(wal.keyId).toBe(1);
    await wal.rotateKey();
    expect(wal.keyId).toBe(2);
    const durable = disk.paths().filter((path) => path.endsWith(".wal"));
    expect(durable).toHaveLength(2);
    await wal.close();
  });

  test("by appends that begin segments with another key and with this one again: no frame of the other key is still to come", async () => {
    const disk = makeDisk();
    const keys = ring(1);
    const wal = await openOn(disk, {
      encryption: { keys },
      dwb: "off",
      bufferBytes: 1 << 20,
      spareSegments: 4,
    });
    for (let n = 0; n < 4; n += 1) {
      await wal.commit({ payload: bytes("x") });
      await wal.seal();
    }
    await wal.checkpoint(wal.durableLsn);
    await wal.commit({ payload: bytes("old") });
    const { segmentsActivated } = wal.stats();
    const payload = new Uint8Array(50_000);
    await keys.use(2);
    for (let n = 0; n < 3; n += 1) wal.append({ payload });
    await keys.use(1);
    for (let n = 0; n < 2; n += 1) wal.append({ payload });
    await wal.rotateKey();
    expect(wal.keyId).toBe(1);
    expect(wal.stats().segmentsActivated - segmentsActivated).toBeGreaterThanOrEqual(2);
    expect(wal.durableLsn).toBe(wal.nextLsn - 1);
    await wal.close();
  });

  test("by opening with another current key; once a checkpoint has freed the old segments, the old key is needed no more", async () => {
    const disk = makeDisk();
    let wal = await openOn(disk, encrypted());
    await wal.commit({ payload: bytes("old") });
    await wal.close();
    wal = await openOn(disk, encrypted({ keys: ring(2) }));
    expect(wal.keyId).toBe(2);
    await wal.commit({ payload: bytes("new") });
    await wal.checkpoint(1);
    await wal.close();
    const only = new KeyRing({ current: 2, keys: { 2: key(2) } });
    wal = await openOn(disk, encrypted({ keys: only }));
    expect(await textsOf(wal)).toEqual(["2:new"]);
    await wal.close();
  });

  test("a key that nothing but the anchor is written with any more is still listed: without it the log does not open", async () => {
    const disk = makeDisk();
    const keys = ring(1);
    const wal = await openOn(disk, { encryption: { keys } });
    await wal.commit({ payload: bytes("old") });
    await keys.use(2);
    await wal.rotateKey();
    await wal.commit({ payload: bytes("new") });
    // Back again, and closed before a segment was begun with it.
    await keys.use(1);
    await wal.checkpoint(1);
    await wal.close();
    const report = await verifyLog({ io: disk.mount(), directory: DIRECTORY });
    expect(report.segments).toBe(1);
    expect(report.encryption?.keyIds).toEqual([2, 1]);
    const only = new KeyRing({ current: 2, keys: { 2: key(2) } });
    expect(await codeOf(openOn(disk, encrypted({ keys: only })))).toBe("WAL_KEY_MISSING");
  });

  test("a key that is gone for good: the log opens where that is allowed, and its segments can be checkpointed away", async () => {
    const disk = makeDisk();
    let wal = await openOn(disk, encrypted());
    await wal.commit({ payload: bytes("shredded") });
    await wal.close();
    const keys = new KeyRing({ current: 2, keys: { 2: key(2) } });
    expect(await codeOf(openOn(disk, encrypted({ keys })))).toBe("WAL_KEY_MISSING");
    wal = await openOn(disk, encrypted({ keys, missingKeys: "allow" }));
    await wal.commit({ payload: bytes("new") });
    await expect(textsOf(wal)).rejects.toMatchObject({ code: "WAL_KEY_MISSING", details: { keyId: 1 } });
    expect(await textsOf(wal, { from: 2 })).toEqual(["2:new"]);
    await wal.checkpoint(1);
    await wal.close();
    wal = await openOn(disk, encrypted({ keys }));
    expect(await textsOf(wal)).toEqual(["2:new"]);
    await wal.close();
  });

  test("a new key on a full disk is refused, and the old one still opens the log", async () => {
    const disk = makeDisk({ capacityBytes: 262_144 + 131_072 + 200_000 });
    const options = { dwb: "off" } as const;
    let wal = await openOn(disk, { ...encrypted(), ...options });
    await wal.commit({ payload: bytes("one") });
    await wal.close();
    expect(await codeOf(openOn(disk, { ...encrypted({ keys: ring(2) }), ...options }))).toBe("WAL_NO_SPACE");
    wal = await openOn(disk, { ...encrypted(), ...options });
    expect(await textsOf(wal)).toEqual(["1:one"]);
    await wal.close();
  });
});

describe("a log that is not encrypted", () => {
  test("is not opened with keys unless that is accepted; then everything new is encrypted, in a segment of its own", async () => {
    const disk = makeDisk();
    let wal = await openOn(disk);
    await wal.commit({ payload: bytes("in the clear") });
    await wal.close();
    expect(await codeOf(openOn(disk, encrypted()))).toBe("WAL_NOT_ENCRYPTED");
    wal = await openOn(disk, encrypted({ unencrypted: "accept" }));
    await wal.commit({ payload: bytes("a secret") });
    await wal.close();
    for (const content of disk.files().values())
      expect(Buffer.from(content).includes("a secret")).toBe(false);
    wal = await openOn(disk, encrypted());
    expect(await textsOf(wal)).toEqual(["1:in the clear", "2:a secret"]);
    await wal.close();
    expect(await codeOf(openOn(disk))).toBe("WAL_KEY_MISSING");
  });
});

describe("an older copy", () => {
  test("is refused by whoever kept the tip of a later time, and so is a log that is gone", async () => {
    const disk = makeDisk();
    let wal = await openOn(disk, encrypted());
    await wal.commit({ payload: bytes("one") });
    await wal.close();
    const older = disk.clone(99);
    wal = await openOn(disk, encrypted());
    await wal.commit({ payload: bytes("two") });
    const atLeast = wal.tip;
    expect(atLeast).toMatchObject({ lsn: 2, tag: expect.any(Uint8Array) });
    await wal.close();
    wal = await openOn(disk, { ...encrypted(), atLeast });
    expect(wal.tip).toEqual(atLeast);
    await wal.close();
    expect(await codeOf(openOn(older, { ...encrypted(), atLeast }))).toBe("WAL_ROLLED_BACK");
    const nothing = makeDisk();
    expect(await codeOf(openOn(nothing, { ...encrypted(), atLeast }))).toBe("WAL_ROLLED_BACK");
    // Not so much as a directory is made where a log is missing.
    await expect(nothing.mount().list(DIRECTORY)).rejects.toMatchObject({ code: "IO_NOT_FOUND" });

    // It went on by itself: as long, and another history.
    wal = await openOn(older, encrypted());
    await wal.commit({ payload: bytes("2nd") });
    await wal.close();
    expect(await codeOf(openOn(older, { ...encrypted(), atLeast }))).toBe("WAL_ROLLED_BACK");
  });

  test("a tip holds across checkpoints, and not across a cut behind it", async () => {
    const disk = makeDisk();
    let wal = await openOn(disk, encrypted());
    for (const text of ["one", "two", "three"]) await wal.commit({ payload: bytes(text) });
    const tip = wal.tip;
    await wal.seal();
    await wal.commit({ payload: bytes("four") });
    await wal.checkpoint(3);
    await wal.close();
    wal = await openOn(disk, { ...encrypted(), atLeast: tip });
    await wal.commit({ payload: bytes("five") });
    const cutAway = wal.tip;
    await wal.truncateAfter(4);
    const kept = wal.tip;
    expect(kept.lsn).toBe(4);
    await wal.close();
    expect(await codeOf(openOn(disk, { ...encrypted(), atLeast: cutAway }))).toBe("WAL_ROLLED_BACK");
    expect(await codeOf(openOn(disk, { ...encrypted(), atLeast: kept }))).toBe("resolved");
  });

  test("is looked for when a reader opens the log: it is not stopped for good by a cut that the writer makes later", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { ...encrypted(), dwb: "off" });
    for (let i = 1; i <= 10; i += 1) await wal.commit({ payload: bytes(`old${i}`) });
    const options = { io: disk.mount(), directory: DIRECTORY, ...encrypted(), atLeast: wal.tip };
    const reader = await openReader(options);
    await wal.truncateAfter(5);
    for (let i = 6; i <= 8; i += 1) await wal.commit({ payload: bytes(`new${i}`) });
    await refreshed(reader, disk);
    expect(reader.damage()).toBeUndefined();
    await wal.close();
    await refreshed(reader, disk);
    expect(reader.damage()).toBeUndefined();
    expect(reader.lastLsn()).toBe(8);
    await reader.close();
    expect(await codeOf(openReader(options))).toBe("WAL_ROLLED_BACK");
  });

  test("without encryption the last LSN alone is told", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    await wal.commit({ payload: bytes("one") });
    expect(wal.tip).toEqual({ lsn: 1, tag: undefined });
    await wal.close();
    expect(await codeOf(openOn(disk, { atLeast: { lsn: 1 } }))).toBe("resolved");
    expect(await codeOf(openOn(disk, { atLeast: { lsn: 2 } }))).toBe("WAL_ROLLED_BACK");
  });
});

describe("a compressed log", () => {
  test("writes less, reads the same, and may change its mind at every open", async () => {
    const disk = makeDisk();
    const texts = Array.from({ length: 8 }, (_, n) => `${n}: ${"the same again ".repeat(2000)}`);
    const modes = [undefined, "deflate-raw", "brotli", { algorithm: "deflate-raw", level: 9 }] as const;
    const written: number[] = [];
    for (const [i, compression] of modes.entries()) {
      const wal = await openOn(disk, { dwb: "off", ...(compression && { compression }) });
      const before = wal.stats().segmentBytesWritten;
      await wal.commit({ payload: bytes(texts[2 * i]!) });
      await wal.commit({ payload: bytes(texts[2 * i + 1]!) });
      written.push(wal.stats().segmentBytesWritten - before);
      await wal.close();
    }
    expect(written).toEqual([16 * 4096, 2 * 4096, 2 * 4096, 2 * 4096]);
    const wal = await openOn(disk);
    expect(await textsOf(wal)).toEqual(texts.map((text, i) => `${i + 1}:${text}`));
    await wal.close();
  });

  test.each<[string, Partial<WalOptions>, string]>([
    ["an unknown algorithm", { compression: "gzip" as "brotli" }, "WAL_ARGUMENT"],
    ["a level that there is not", { compression: { algorithm: "brotli", level: 12 } }, "WAL_ARGUMENT"],
    ["no ring", { encryption: { keys: { 1: key(1) } as never } }, "WAL_ARGUMENT"],
    ["half a tag", { atLeast: { lsn: 1, tag: new Uint8Array(8) } }, "WAL_ARGUMENT"],
  ])("%s is refused, naming the option", async (_name, options, code) => {
    expect(await codeOf(openOn(makeDisk(), options))).toBe(code);
  });
});
