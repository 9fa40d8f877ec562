import type { SimDisk } from "@stonewal/io-sim";
import { expect, test } from "vitest";
import type { Wal } from "../src/index.js";
import { bytes, makeDisk, openOn, turns } from "./support/sim-log.js";

const OPTIONS = { dwb: "off" } as const;

function fillUp(disk: SimDisk): void {
  disk.capacityBytes = [...disk.files().values()].reduce((sum, content) => sum + content.length, 0);
}

/** Commits until the disk has no room for another segment. */
async function exhaust(wal: Wal): Promise<void> {
  for (;;) {
    try {
      await wal.commit({ payload: new Uint8Array(3000) });
    } catch (error) {
      expect(error).toMatchObject({ code: "WAL_NO_SPACE" });
      await turns();
      return;
    }
  }
}

/** A log on a full disk that is open, though its last segment has no block left for the frame that says so. */
async function withoutABlock(disk: SimDisk): Promise<Wal> {
  const wal = await openOn(disk, OPTIONS);
  for (let i = 0; i < 12; i += 1) await wal.commit({ payload: new Uint8Array(20_000) });
  await turns(50);
  fillUp(disk);
  await exhaust(wal);
  await wal.close();
  for (let life = 0; life < 8; life += 1) await (await openOn(disk, OPTIONS)).close();
  return openOn(disk, OPTIONS);
}

test("ready() resolves once a checkpoint has made room, also where the open frame had none", async () => {
  const wal = await withoutABlock(makeDisk());
  expect(() => wal.append({ payload: bytes("x") })).toThrow(
    expect.objectContaining({ code: "WAL_NO_SPACE" }),
  );
  await turns();
  expect(await wal.checkpoint(wal.durableLsn)).toBeGreaterThan(0);
  await wal.ready();
  const lsn = wal.append({ payload: bytes("x") });
  await wal.sync();
  expect(wal.durableLsn).toBe(lsn);
  await wal.close();
});

test("what doesn't fit is named, with the option that sets how large it is", async () => {
  const empty = makeDisk();
  empty.capacityBytes = 65_536;
  await expect(openOn(empty, OPTIONS)).rejects.toMatchObject({
    code: "WAL_NO_SPACE",
    message: expect.stringMatching(/the first segment of \d+ bytes.*segmentBytes/),
  });
  const disk = makeDisk();
  const wal = await openOn(disk, OPTIONS);
  await turns(50);
  fillUp(disk);
  await exhaust(wal);
  await expect(wal.commit({ payload: new Uint8Array(50_000) })).rejects.toMatchObject({
    code: "WAL_NO_SPACE",
    message: expect.stringMatching(/the next segment of \d+ bytes.*segmentBytes/),
  });
  await wal.close();
});

test("a cut on a disk that has just got room again is durable, and leaves a log that opens", async () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const disk = makeDisk({ seed, crashPolicy: "none" });
    const wal = await withoutABlock(disk);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    const lsn = wal.durableLsn;
    await wal.truncateAfter(lsn - 2);
    expect(await wal.commit({ payload: bytes("after") })).toBe(lsn - 1);
    await turns();
    expect(disk.violations).toEqual([]);
    disk.crash();
    const again = await openOn(disk, OPTIONS);
    expect(again.durableLsn).toBe(lsn - 1);
    await again.close();
  }
});

test("a cut without room for the segment that states it changes nothing", async () => {
  const disk = makeDisk();
  const wal = await withoutABlock(disk);
  const { nextLsn } = wal;
  await expect(wal.truncateAfter(3)).rejects.toMatchObject({ code: "WAL_NO_SPACE" });
  expect(wal.nextLsn).toBe(nextLsn);
  let last = 0;
  for await (const record of wal.read()) last = record.lsn;
  expect(last).toBe(nextLsn - 1);
  await wal.close();
});

test("nothing is written once close() has resolved: a segment that was being prepared is given up", async () => {
  const disk = makeDisk({ crashPolicy: "none" });
  const wal = await withoutABlock(disk);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  expect(() => wal.append({ payload: bytes("x") })).toThrow();
  await wal.close();
  const from = disk.trace.length;
  await turns(100);
  expect(disk.trace.slice(from)).toEqual([]);
});

test("a commit that waits for room when the log is closed is refused, and never acknowledged behind the lock", async () => {
  for (let delay = 0; delay < 12; delay += 1) {
    const disk = makeDisk({ crashPolicy: "none", seed: delay + 1 });
    const wal = await openOn(disk, OPTIONS);
    await turns(50);
    fillUp(disk);
    await exhaust(wal);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    const { nextLsn } = wal;
    const outcome = wal.commit({ payload: new Uint8Array(50_000) }).then(
      (lsn) => lsn,
      (error: { code: string }) => error.code,
    );
    await turns(delay);
    await wal.close();
    const from = disk.trace.length;
    const result = await outcome;
    await turns(100);
    if (result === nextLsn) expect(wal.durableLsn).toBe(nextLsn);
    else expect(result).toBe("WAL_CLOSED");
    expect(disk.trace.slice(from)).toEqual([]);
    const second = await openOn(disk, OPTIONS);
    expect(second.nextLsn).toBe(wal.nextLsn);
    await second.close();
  }
});

test("who waits for room in the buffer, and then finds that the disk has none for the next segment, is told, and does not wait for ever", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk, { ...OPTIONS, bufferBytes: 131_072 });
  await turns(50);
  fillUp(disk);
  const payload = new Uint8Array(30_000);
  const refusals: string[] = [];
  while (refusals.at(-1) !== "WAL_NO_SPACE") {
    try {
      wal.append({ payload });
      continue;
    } catch (error) {
      refusals.push((error as { code: string }).code);
    }
    await wal.ready().catch((error: { code: string }) => refusals.push(error.code));
  }
  expect(refusals[0]).toBe("WAL_BACKPRESSURE");
  await wal.close();
});

test("a commit that looks for space is not overtaken by one that needs none: LSNs are given in the order of the calls", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk, OPTIONS);
  await turns(50);
  fillUp(disk);
  const large = { payload: new Uint8Array(50_000) };
  for (let full = false; !full; ) {
    await wal.commit(large).catch((error: { code: string }) => {
      expect(error.code).toBe("WAL_NO_SPACE");
      full = true;
    });
  }
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  const first = wal.commit(large);
  const second = wal.commit({ payload: bytes("small") });
  expect(await second).toBe((await first) + 1);
  await wal.close();
});
