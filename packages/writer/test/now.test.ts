import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { BlockingChains, IoBackend } from "@stonewal/io";
import type { SimDisk } from "@stonewal/io-sim";
import { describe, expect, test } from "vitest";
import { openLog, type Wal, type WalOptions } from "../src/index.js";
import { bytes, DIRECTORY, lastSegment, makeDisk, openOn, SMALL, textsOf, turns } from "./support/sim-log.js";

const MODES: readonly [string, Partial<WalOptions>][] = [
  ["no DWB", { dwb: "off" }],
  ["DWB", {}],
  ["acknowledged by the DWB", { ack: "dwb", dwb: { slots: 4 } }],
];

const record = (text: string) => ({ payload: bytes(text) });

/** What a power cut right now, which takes everything that is not synced, leaves. */
async function leftBy(disk: SimDisk, options: Partial<WalOptions>): Promise<string[]> {
  const after = disk.clone();
  after.crash("none");
  const wal = await openOn(after, options);
  const texts = await textsOf(wal);
  await wal.close();
  return texts;
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${i + 1}:r${i + 1}`);
}

describe.each(MODES)("%s: what syncNow has returned for survives a power cut", (_, mode) => {
  test("though nothing was awaited", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, mode);
    for (let i = 1; i <= 3; i += 1) wal.append(record(`r${i}`));
    wal.syncNow();
    expect(wal.durableLsn).toBe(3);
    expect(wal.commitNow(record("r4"))).toBe(4);
    expect(await leftBy(disk, mode)).toEqual(numbered(4));
    await wal.close();
  });

  test("with a chain in flight at each of its boundaries, whose commit is told once, and the log goes on", async () => {
    for (let boundaries = 0; boundaries < 12; boundaries += 1) {
      const disk = makeDisk({ seed: boundaries });
      const wal = await openOn(disk, mode);
      const told: number[] = [];
      const commits = [1, 2, 3].map((i) => wal.commit(record(`r${i}`)).then((lsn) => told.push(lsn)));
      await turns(boundaries);
      commits.push(wal.commit(record("r4")).then((lsn) => told.push(lsn)));
      wal.append(record("r5"));
      const before = told.length;
      wal.syncNow();
      expect(told).toHaveLength(before);
      expect(wal.durableLsn).toBe(5);
      expect(await leftBy(disk, mode)).toEqual(numbered(5));
      await Promise.all(commits);
      expect(told).toEqual([1, 2, 3, 4]);
      await wal.commit(record("r6"));
      wal.commitNow(record("r7"));
      await wal.close();
      expect(wal.stats()).toMatchObject({ recordsAppended: 7, bufferedBytes: 0, framesOnlyInDwb: 0 });
      const again = await openOn(disk, mode);
      expect(again.recovery?.closedCleanly).toBe(true);
      expect(await textsOf(again)).toEqual(numbered(7));
      await again.close();
    }
  });

  test("in any mixture with calls that wait, wherever the power is cut, and nothing else is lost or refused", async () => {
    let now = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const disk = makeDisk({ seed });
      let acknowledged = 0;
      const tell = (lsn: number) => {
        acknowledged = Math.max(acknowledged, lsn);
      };
      disk.crashAfter(20 + ((seed * 37) % 260));
      try {
        const wal = await openOn(disk, mode);
        for (let i = 1; disk.crashes === 0 && i <= 60; i += 1) {
          const what = (seed * 31 + i * 17) % 7;
          const next = record(`r${wal.nextLsn}`);
          if (what < 2) wal.append(next);
          else if (what < 4) void wal.commit(next).then(tell, () => undefined);
          else if (what === 4)
            tell(
              await nowOrLater(
                () => wal.commitNow(next),
                () => wal.commit(next),
              ),
            );
          else if (what === 5) {
            const lsn = wal.nextLsn - 1;
            await nowOrLater(
              () => wal.syncNow(),
              () => wal.sync(),
            );
            tell(lsn);
          } else await turns(i % 5);
          if (what === 4 || what === 5) now += 1;
        }
      } catch (error) {
        // The cut came while something was under way.
        expect(disk.crashes, String(error)).toBe(1);
      }
      disk.crash();
      const again = await openOn(disk, mode);
      const texts = await textsOf(again);
      expect(texts).toEqual(numbered(texts.length));
      expect(texts.length).toBeGreaterThanOrEqual(acknowledged);
      await again.close();
    }
    expect(now).toBeGreaterThan(100);
  });

  test("which a back end notices that returns before it has synced: the tests above would fail", async () => {
    const disk = makeDisk();
    const io = disk.mount();
    const unsynced = withNow(io, (inner) => ({
      ...inner,
      submit: (chain) =>
        inner.submit(chain.flatMap((step) => (step.kind === "sync" ? [] : [{ ...step, durable: false }]))),
    }));
    const wal = await openLog({ io: unsynced, directory: DIRECTORY, ...SMALL, ...mode });
    wal.commitNow(record("r1"));
    expect(await leftBy(disk, mode)).toEqual([]);
    disk.crash();
    await wal.close().catch(() => undefined);
  });

  test("a failing sync is thrown as WAL_POISONED, to everyone else too, and what was durable before stays", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, mode);
    await wal.commit(record("r1"));
    disk.fail({ operation: "sync", path: /(wal|dwb)$/, errno: "EIO" });
    const waiting = wal.commit(record("r2"));
    expect(codeOf(() => wal.syncNow())).toBe("WAL_POISONED");
    await expect(waiting).rejects.toMatchObject({ code: "WAL_POISONED", cause: { code: "IO_SYNC_FAILED" } });
    expect(codeOf(() => wal.syncNow())).toBe("WAL_POISONED");
    expect(codeOf(() => wal.commitNow(record("r3")))).toBe("WAL_POISONED");
    expect(wal.durableLsn).toBe(1);
    expect(await leftBy(disk, mode)).toEqual(["1:r1"]);
    await expect(wal.close()).rejects.toMatchObject({ code: "WAL_POISONED" });
  });

  test("so is the failure of a chain in flight, and nothing more is written", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, mode);
    await wal.commit(record("r1"));
    const fault = disk.fail({ operation: "sync", path: /(wal|dwb)$/, errno: "EIO" });
    const waiting = wal.commit(record("r2"));
    waiting.catch(() => undefined);
    await turns(1);
    wal.append(record("r3"));
    expect(fault.struck).toBe(0);
    expect(codeOf(() => wal.syncNow())).toBe("WAL_POISONED");
    expect(fault.struck).toBe(1);
    await expect(waiting).rejects.toMatchObject({ code: "WAL_POISONED" });
    expect(await leftBy(disk, mode)).toEqual(["1:r1"]);
    await wal.close().catch(() => undefined);
  });

  test("called from a subscriber and from a continuation of a commit, it makes the rest durable", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, mode);
    const seen: number[] = [];
    let more = 2;
    const onFlush = (): void => {
      seen.push(wal.durableLsn);
      if (more-- > 0) wal.commitNow(record(`r${wal.nextLsn}`));
    };
    subscribe("stonewal:flush", onFlush);
    try {
      await wal.commit(record("r1")).then(() => wal.commitNow(record(`r${wal.nextLsn}`)));
      wal.append(record("r5"));
      wal.syncNow();
    } finally {
      unsubscribe("stonewal:flush", onFlush);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(await leftBy(disk, mode)).toEqual(numbered(5));
    await wal.close();
  });
});

describe("a new segment takes the event loop", () => {
  const payload = new Uint8Array(20_000);

  /** Fills the active segment up to where the next record would be for the next one. */
  function fillSegment(wal: Wal): void {
    while (codeOf(() => wal.commitNow({ payload })) === "") {}
  }

  test("commitNow then gives no LSN, says WAL_NOT_NOW, and what it did before is durable; commit takes the record", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    await turns(200);
    fillSegment(wal);
    const { nextLsn } = wal;
    expect(nextLsn).toBeGreaterThan(3);
    expect(codeOf(() => wal.commitNow({ payload }))).toBe("WAL_NOT_NOW");
    expect(wal.nextLsn).toBe(nextLsn);
    expect(await leftBy(disk, {})).toHaveLength(nextLsn - 1);
    wal.syncNow();
    expect(await wal.commit({ payload })).toBe(nextLsn);
    expect(wal.commitNow({ payload })).toBe(nextLsn + 1);
    expect(await leftBy(disk, {})).toHaveLength(nextLsn + 1);
    await wal.close();
  });

  test("syncNow makes durable what comes before it, says WAL_NOT_NOW, and the rest follows by itself", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk);
    await turns(200);
    fillSegment(wal);
    const { nextLsn } = wal;
    const small = wal.append(record("small"));
    const rolled = wal.append({ payload });
    expect(codeOf(() => wal.syncNow())).toBe("WAL_NOT_NOW");
    expect(wal.durableLsn).toBe(small);
    // Under way now, on the event loop.
    expect(codeOf(() => wal.syncNow())).toBe("WAL_NOT_NOW");
    expect(codeOf(() => wal.commitNow(record("behind")))).toBe("WAL_NOT_NOW");
    await turns(3);
    expect(codeOf(() => wal.syncNow())).toBe("WAL_NOT_NOW");
    await turns(200);
    expect(wal.durableLsn).toBe(rolled);
    expect(rolled).toBe(nextLsn + 1);
    wal.commitNow(record("after"));
    expect(await leftBy(disk, {})).toHaveLength(rolled + 1);
    await wal.close();
  });
});

describe("room", () => {
  test("commitNow makes it where frames in memory are all that is in the way, and those who waited come first", async () => {
    const disk = makeDisk();
    const wal = await openOn(disk, { segmentBytes: 4 * 1024 * 1024 });
    const payload = new Uint8Array(60_000);
    while (codeOf(() => wal.append({ payload })) === "") {}
    const { nextLsn } = wal;
    const waiting = wal.commit({ payload });
    expect(wal.nextLsn).toBe(nextLsn);
    expect(wal.commitNow({ payload })).toBe(nextLsn + 1);
    expect(await waiting).toBe(nextLsn);
    expect(await leftBy(disk, {})).toHaveLength(nextLsn + 1);
    await wal.close();
  });

  test("a full DWB that acknowledges is emptied without the event loop, with a chain home in flight or none", async () => {
    for (let boundaries = 0; boundaries < 10; boundaries += 1) {
      const disk = makeDisk({ seed: boundaries });
      const mode = { ack: "dwb", dwb: { slots: 4 } } as const;
      const wal = await openOn(disk, mode);
      await wal.commit(record("r1"));
      await wal.commit(record("r2"));
      await turns(boundaries);
      for (let i = 3; i <= 20; i += 1) wal.commitNow(record(`r${i}`));
      expect(wal.stats().homeChains).toBeGreaterThan(3);
      expect(await leftBy(disk, mode)).toEqual(numbered(20));
      await turns();
      await wal.close();
      expect(wal.stats()).toMatchObject({ framesOnlyInDwb: 0, bufferedBytes: 0 });
    }
  });

  test("so is memory that frames need until they are home", async () => {
    const disk = makeDisk();
    const mode = { ack: "dwb", segmentBytes: 4 * 1024 * 1024 } as const;
    const wal = await openOn(disk, mode);
    const payload = new Uint8Array(100_000);
    for (let i = 1; i <= 10; i += 1) expect(wal.commitNow({ payload })).toBe(i);
    expect(await leftBy(disk, mode)).toHaveLength(10);
    await wal.close();
  });

  test("a home write that fails in between poisons, and nothing acknowledged is lost", async () => {
    const disk = makeDisk();
    const mode = { ack: "dwb", dwb: { slots: 4 } } as const;
    const wal = await openOn(disk, mode);
    disk.fail({ operation: "sync", path: /wal$/, errno: "EIO" });
    const codes = Array.from({ length: 8 }, (_, i) => codeOf(() => wal.commitNow(record(`r${i + 1}`))));
    expect(codes.slice(4)).toEqual(["WAL_POISONED", "WAL_POISONED", "WAL_POISONED", "WAL_POISONED"]);
    const { durableLsn } = wal;
    expect(durableLsn).toBe(4);
    await wal.close().catch(() => undefined);
    expect(await leftBy(disk, mode)).toEqual(numbered(4));
  });
});

test.each(MODES.slice(1))(
  "%s: a DWB that fails under it is given up, if so chosen, and the log has the record",
  async (_, mode) => {
    for (const flying of [false, true]) {
      const disk = makeDisk();
      const options = { ...mode, dwb: { slots: 4, onFailure: "degrade" } } as const;
      const wal = await openOn(disk, options);
      wal.commitNow(record("r1"));
      disk.fail({ operation: "sync", path: /dwb$/, errno: "EIO" });
      const told: unknown[] = [];
      const onDwb = (message: unknown) => told.push((message as { protection: string }).protection);
      subscribe("stonewal:dwb", onDwb);
      const waiting = flying ? wal.commit(record("r2")) : undefined;
      if (flying) await turns(3);
      else wal.append(record("r2"));
      wal.syncNow();
      unsubscribe("stonewal:dwb", onDwb);
      expect(told).toEqual(["degraded"]);
      expect(wal.protection).toBe("degraded");
      const after = disk.clone();
      after.crash("none");
      expect(lastSegment(after)).toContain(".wal");
      expect(await leftBy(disk, options)).toEqual(numbered(2));
      await waiting;
      await wal.attachDwb();
      wal.commitNow(record("r3"));
      await wal.close();
    }
  },
);

test("a subscriber that hears of a lost DWB and syncs at once writes nothing more, if the log's own write failed as well", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk, { dwb: { slots: 4, onFailure: "degrade" } });
  await wal.commit(record("r1"));
  disk.fail({ operation: "sync", path: /dwb$/, errno: "EIO" });
  disk.fail({ operation: "sync", path: /wal$/, errno: "EIO" });
  const told: unknown[] = [];
  const onDwb = () => told.push(codeOf(() => wal.syncNow()));
  const onPoison = () => told.push("poison");
  subscribe("stonewal:dwb", onDwb);
  subscribe("stonewal:poison", onPoison);
  await expect(wal.commit(record("r2"))).rejects.toMatchObject({ code: "WAL_POISONED" });
  unsubscribe("stonewal:dwb", onDwb);
  unsubscribe("stonewal:poison", onPoison);
  expect(told).toEqual(["WAL_POISONED", "poison"]);
  expect(wal.durableLsn).toBe(1);
  await wal.close().catch(() => undefined);
});

test("a back end that can't block is told by WAL_UNSUPPORTED, before anything is appended", async () => {
  const disk = makeDisk();
  const io = withNow(disk.mount(), () => undefined);
  const wal = await openLog({ io, directory: DIRECTORY, ...SMALL });
  expect(codeOf(() => wal.commitNow(record("r1")))).toBe("WAL_UNSUPPORTED");
  expect(codeOf(() => wal.syncNow())).toBe("WAL_UNSUPPORTED");
  expect(wal.nextLsn).toBe(1);
  await wal.commit(record("r1"));
  await wal.close();
});

test("called again by what it waits for, it throws WAL_NOT_NOW and does no harm", async () => {
  const disk = makeDisk();
  const io = disk.mount();
  let inner = "";
  const reentrant = withNow(io, (now) => ({
    ...now,
    submit(chain) {
      wal?.append(record("r2"));
      inner = codeOf(() => wal?.syncNow());
      now.submit(chain);
    },
  }));
  let wal: Wal | undefined;
  wal = await openLog({ io: reentrant, directory: DIRECTORY, ...SMALL });
  wal.commitNow(record("r1"));
  expect(inner).toBe("WAL_NOT_NOW");
  expect(wal.durableLsn).toBe(1);
  await wal.close();
  const again = await openOn(disk);
  expect(await textsOf(again)).toEqual(numbered(2));
  await again.close();
});

test("of a closed log syncNow has nothing to do, and commitNow is WAL_CLOSED; while it closes nothing appended is lost", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk);
  wal.append(record("r1"));
  const closing = wal.close();
  await turns(2);
  wal.syncNow();
  expect(await leftBy(disk, {})).toEqual(numbered(1));
  await closing;
  wal.syncNow();
  expect(codeOf(() => wal.commitNow(record("r2")))).toBe("WAL_CLOSED");
});

function codeOf(call: () => unknown): string {
  try {
    call();
    return "";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** What has to wait for the event loop after all waits. */
async function nowOrLater<T>(now: () => T, later: () => Promise<T>): Promise<T> {
  try {
    return now();
  } catch (error) {
    if ((error as { code?: string }).code !== "WAL_NOT_NOW") throw error;
    return later();
  }
}

/** `io` with another `now`. */
function withNow(io: IoBackend, change: (now: BlockingChains) => BlockingChains | undefined): IoBackend {
  return new Proxy(io, {
    get(target, property) {
      if (property === "now") return change(target.now as BlockingChains);
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
