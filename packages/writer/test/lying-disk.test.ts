import type { FaultRule, SimDisk } from "@stonewal/io-sim";
import { describe, expect, test } from "vitest";
import type { Wal, WalOptions } from "../src/index.js";
import { bytes, makeDisk, openOn, textsOf, turns } from "./support/sim-log.js";

/** A device that does something else than it says, once: the promise is that it is put right or refused, never that a record is silently missing. */

const COMMITS = 14;
const OPTIONS: Partial<WalOptions> = { idleMs: 100, segmentBytes: 524_288 };

/** Commits, and lets the log fall quiet, so that the last commit has a witness. The acknowledged texts. */
async function life(disk: SimDisk, options: Partial<WalOptions>, fault: FaultRule, closed: boolean) {
  const wal = await openOn(disk, { ...OPTIONS, ...options });
  const struck = disk.fail(fault);
  const acknowledged: string[] = [];
  for (let i = 0; i < COMMITS; i += 1) {
    const text = `${i}`.repeat(1 + (i % 4) * 2500);
    acknowledged.push(`${await wal.commit({ payload: bytes(text) })}:${text}`);
  }
  await turns();
  disk.advance(101);
  await turns();
  if (closed) await wal.close();
  struck.cancel();
  disk.crash("none");
  return { acknowledged, struck: struck.struck };
}

/** All that was acknowledged, or why not, by its code; then nothing on the disk may have changed. */
async function outcome(
  disk: SimDisk,
  options: Partial<WalOptions>,
  acknowledged: readonly string[],
): Promise<string> {
  const before = disk.files();
  try {
    const wal = await openOn(disk, { ...OPTIONS, ...options });
    expect(await textsOf(wal)).toEqual(acknowledged);
    await wal.close();
    return "whole";
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined) throw error;
    for (const [path, content] of before) expect(Buffer.compare(disk.fileBytes(path), content), path).toBe(0);
    return code;
  }
}

async function everyWrite(
  effect: FaultRule["effect"] & string,
  path: RegExp,
  options: Partial<WalOptions>,
): Promise<Record<string, number>> {
  const seen: Record<string, number> = {};
  for (const closed of [true, false]) {
    for (let nth = 1; ; nth += 1) {
      const disk = makeDisk({ seed: nth });
      const { acknowledged, struck } = await life(
        disk,
        options,
        { operation: "write", effect, path, nth },
        closed,
      );
      if (struck === 0) break;
      const code = await outcome(disk, options, acknowledged);
      seen[code] = (seen[code] ?? 0) + 1;
    }
  }
  return seen;
}

const RING = { mode: "direct", slots: 64, slotBytes: 16_384 } as const;

describe.each(["lost", "misdirected", "rot"] as const)("one write of the log that is %s", (effect) => {
  test("without a double-write buffer: refused, or nothing is missing; never fewer records", async () => {
    const seen = await everyWrite(effect, /\.wal$/, { dwb: "off" });
    expect(seen.WAL_CORRUPT).toBeGreaterThan(COMMITS);
    expect(Object.keys(seen).filter((code) => !/^(whole|WAL_CORRUPT)$/.test(code))).toEqual([]);
  });

  test("with one: put back, and nothing is missing", async () => {
    const seen = await everyWrite(effect, /\.wal$/, { dwb: RING });
    expect(Object.keys(seen)).toEqual(["whole"]);
    expect(seen.whole).toBeGreaterThan(2 * COMMITS);
  });

  test("of the double-write buffer itself it costs no record", async () => {
    expect(Object.keys(await everyWrite(effect, /dwb$/, { dwb: RING }))).toEqual(["whole"]);
  });
});

test("a read that returns what was there before, once, at any read of an opening: refused, or nothing is missing", async () => {
  const none: FaultRule = { operation: "write", path: /nothing/ };
  for (const dwb of ["off", RING] as const) {
    const disk = makeDisk({ staleBlocks: true });
    const { acknowledged } = await life(disk, { dwb }, none, true);
    for (let nth = 1; ; nth += 1) {
      const copy = disk.clone();
      const fault = copy.fail({ operation: "read", effect: "stale", nth });
      await outcome(copy, { dwb }, acknowledged);
      if (fault.struck === 0) break;
      expect(nth).toBeLessThan(500);
    }
  }
});

test("a folio that the kernel writes back whole and a cut tears, with acknowledged frames in it: the double-write buffer puts them back", async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const disk = makeDisk({ seed, folioBytes: 65_536 });
    const options = { ...OPTIONS, direct: false, dwb: { ...RING, mode: "buffered" } } as const;
    const wal = await openOn(disk, options);
    const acknowledged: string[] = [];
    for (let i = 0; i < 8; i += 1)
      acknowledged.push(`${await wal.commit({ payload: bytes(`r${i}`) })}:r${i}`);
    disk.crashAfter(1 + (seed % 12));
    await wal.commit({ payload: bytes("in flight") }).catch(() => undefined);
    disk.crash();
    const again = await openOn(disk, options);
    expect((await textsOf(again)).slice(0, acknowledged.length)).toEqual(acknowledged);
    disk.crash();
  }
});

test("the copies of what is at home stay while its neighbours follow: a folio torn there, as other copies are written, takes nothing", async () => {
  const dwb = { mode: "direct", slots: 16, slotBytes: 4096 } as const;
  const options = { ...OPTIONS, idleMs: 0, direct: false, ack: "dwb", dwb } as const;
  for (const seed of [1, 6]) {
    const disk = makeDisk({ seed, folioBytes: 65_536 });
    const wal = await openOn(disk, options);
    // Whole rings are filled while one chain is on its way home.
    disk.fail({ operation: "write", path: /\.wal$/, effect: "slow", times: Number.POSITIVE_INFINITY });
    let acknowledged = 0;
    const moments: { readonly disk: SimDisk; readonly acknowledged: number }[] = [];
    disk.atEveryBoundary(() => moments.push({ disk: disk.clone(), acknowledged }));
    for (; acknowledged < 40; acknowledged += 1) await wal.commit({ payload: bytes("r") });
    for (const moment of moments.filter((_, index) => index % 2 === 0)) {
      moment.disk.crash();
      const again = await openOn(moment.disk, options);
      expect(again.nextLsn).toBeGreaterThan(moment.acknowledged);
    }
  }
});

/** Where a power cut at any moment of `work` leaves the log: whether all that had been acknowledged then is there, or by what code it is refused. */
async function outcomesOf(
  options: Partial<WalOptions>,
  work: (commit: (text: string) => Promise<void>) => Promise<void>,
): Promise<string[]> {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 4; seed += 1) {
    const disk = makeDisk({ seed, folioBytes: 65_536 });
    const wal = await openOn(disk, options);
    await turns();
    let acknowledged = 0;
    const moments: { readonly disk: SimDisk; readonly acknowledged: number }[] = [];
    disk.atEveryBoundary(() => moments.push({ disk: disk.clone(), acknowledged }));
    await work(async (text) => {
      acknowledged = await wal.commit({ payload: bytes(text.repeat(6000)) });
    });
    // What the buffer acknowledged goes home.
    disk.advance(100);
    await turns();
    for (const moment of moments) {
      moment.disk.crash();
      const again = await openOn(moment.disk, options).catch((error: unknown) => error as { code?: string });
      if ("code" in again) outcomes.add(`${again.code}`);
      else outcomes.add((again as Wal).nextLsn > moment.acknowledged ? "whole" : "lost");
    }
  }
  return [...outcomes].sort();
}

/**
 * Two frames that are sealed together, so that the second one's watermark doesn't cover the first, and whose copies have no room beside each other. A
 * tear of the second one's home write then takes both, and there is no copy of the first.
 */
test.each(["wal", "dwb"] as const)(
  "in a ring too small for two frames (ack: %s) a torn folio that takes the last commit is refused, and never dropped",
  async (ack) => {
    const dwb = { mode: "buffered", slots: 8, slotBytes: 8192 } as const;
    const outcomes = await outcomesOf({ ...OPTIONS, direct: false, ack, dwb }, async (commit) => {
      await Promise.all([commit("first"), commit("second")]);
    });
    expect(outcomes).toEqual(["WAL_CORRUPT", "whole"]);
  },
);

test("of two frames that are larger than the ring a torn folio may take the first: that is refused, and never dropped", async () => {
  const dwb = { mode: "buffered", slots: 2, slotBytes: 8192 } as const;
  const outcomes = await outcomesOf({ ...OPTIONS, direct: false, dwb }, async (commit) => {
    await commit("first");
    await commit("second");
  });
  expect(outcomes).toEqual(["WAL_CORRUPT", "whole"]);
});

/** Acknowledged ones, in the folio that is written next; and no copies of them that stay. */
describe("frames that this buffer has not copied", () => {
  const FOLIO = 65_536;
  const dwb = { mode: "buffered", slots: 15, slotBytes: 4096 } as const;
  const options = { ...OPTIONS, idleMs: 0, direct: false, dwb } as const;
  const small = ["first", "second", "third"];

  async function commitAll(wal: Wal, texts: readonly string[]): Promise<void> {
    for (const text of texts) await wal.commit({ payload: bytes(text) });
  }

  const LIVES: Record<string, (disk: SimDisk) => Promise<void>> = {
    "though that ended while it copied a frame that takes most of the ring": async (disk) => {
      const wal = await openOn(disk, options);
      await commitAll(wal, small);
      // All of its copy but the first slot arrives, and nothing of its place.
      disk.fail({ operation: "write", path: /dwb$/, effect: "lost" });
      disk.fail({ operation: "write", path: /\.wal$/ });
      await expect(wal.commit({ payload: bytes("x".repeat(44_000)) })).rejects.toThrow();
      disk.crash("all");
    },
    "though the slots of their copies can't be read": async (disk) => {
      const wal = await openOn(disk, options);
      await commitAll(wal, small);
      disk.crash("all");
      disk.makeUnreadable("/log/dwb", FOLIO, 4 * FOLIO);
    },
    "though that wrote none": async (disk) => {
      const wal = await openOn(disk, { ...options, dwb: "off" });
      await commitAll(wal, small);
      await wal.close();
      disk.crash("all");
    },
  };

  /** What is being written when the power fails; what can tear the folio of the log itself is tried more often. */
  function triesAt(step: string): number {
    if (!/ (written|sync) /.test(step)) return 0;
    return /\.wal/.test(step) ? 6 : 1;
  }

  /** Whatever cut there is while `protect` gives a log its buffer, and while the first frames are written with it, takes nothing. */
  async function expectWhole(disk: SimDisk, protect: () => Promise<Wal>): Promise<void> {
    let acknowledged = small.length;
    const moments: { readonly disk: SimDisk; readonly acknowledged: number }[] = [];
    disk.atEveryBoundary(() => {
      for (let tries = triesAt(disk.trace.at(-1) as string); tries > 0; tries -= 1)
        moments.push({ disk: disk.clone(moments.length), acknowledged });
    });
    const wal = await protect();
    expect(wal.nextLsn).toBe(acknowledged + 1);
    for (let i = 0; i < 4; i += 1) acknowledged = await wal.commit({ payload: bytes(`again ${i}`) });
    disk.advance(100);
    await turns();
    for (const moment of moments) {
      moment.disk.crash();
      const again = await openOn(moment.disk, options);
      expect(again.nextLsn).toBeGreaterThan(moment.acknowledged);
    }
  }

  test.each(Object.entries(LIVES))("a torn folio takes none of an earlier process, %s", async (_, live) => {
    for (const ack of ["wal", "dwb"] as const) {
      const disk = makeDisk({ folioBytes: FOLIO });
      await live(disk);
      await expectWhole(disk, () => openOn(disk, { ...options, ack }));
    }
  });

  test("nor of those that were written while the log had none", async () => {
    for (const ack of ["wal", "dwb"] as const) {
      const disk = makeDisk({ folioBytes: FOLIO });
      const wal = await openOn(disk, { ...options, ack, dwb: { ...dwb, onFailure: "degrade" } });
      disk.fail({ operation: "sync", path: /dwb$/ });
      await commitAll(wal, small);
      expect(wal.protection).toBe("degraded");
      await expectWhole(disk, async () => {
        await wal.attachDwb();
        return wal;
      });
    }
  });
});
