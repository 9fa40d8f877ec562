import type { SimDisk } from "@stonewal/io-sim";
import { verifyLog } from "@stonewal/recovery";
import { expect, test } from "vitest";
import {
  bytes,
  DIRECTORY,
  lastSegment,
  lastUsedBlock,
  makeDisk,
  openOn,
  textsOf,
  turns,
} from "./support/sim-log.js";

const ROOMY = { dwb: "off", segmentBytes: 1 << 20, bufferBytes: 1 << 20 } as const;

/** One chain of several frames, cut short by a crash. */
async function tearChain(disk: SimDisk, boundaries: number): Promise<void> {
  const wal = await openOn(disk, ROOMY);
  for (let i = 0; i < 6; i += 1) wal.append({ payload: new Uint8Array(30_000).fill(i + 1) });
  wal.sync().catch(() => undefined);
  disk.crashAfter(boundaries);
  await turns(60);
  disk.crash();
}

test("the last commit of a quiet log has a witness, also behind a cut: its damage is never taken for a torn tail", async () => {
  const disk = makeDisk({ crashPolicy: "none" });
  const options = { idleMs: 100, dwb: "off" } as const;
  const wal = await openOn(disk, options);
  for (let i = 0; i < 20; i += 1) await wal.commit({ payload: bytes(`r${i}`) });
  disk.advance(101);
  await turns();
  await wal.truncateAfter(5);
  expect(await wal.commit({ payload: bytes("after the cut") })).toBe(6);
  const frames = wal.stats().frames;
  for (let i = 0; i < 5; i += 1) {
    disk.advance(101);
    await turns();
  }
  expect(wal.stats().frames).toBe(frames + 1);
  disk.crash();
  const path = lastSegment(disk);
  disk.corrupt(path, lastUsedBlock(disk, path) - 4096 + 300, Uint8Array.of(0xaa));
  await expect(openOn(disk, options)).rejects.toMatchObject({ code: "WAL_CORRUPT" });
});

test("a newest segment that vanishes is missed, though the log was never closed", async () => {
  const disk = makeDisk({ crashPolicy: "none" });
  const wal = await openOn(disk, { dwb: "off" });
  for (let i = 0; i < 12; i += 1) await wal.commit({ payload: new Uint8Array(20_000) });
  disk.crash();
  const io = disk.mount();
  await io.unlink(lastSegment(disk));
  await io.syncDirectory(DIRECTORY);
  await expect(openOn(disk, { dwb: "off" })).rejects.toMatchObject({ code: "WAL_MISSING_SEGMENT" });
});

test("without the segment that states a cut, what was cut away does not come back", async () => {
  const disk = makeDisk({ crashPolicy: "none" });
  const wal = await openOn(disk, { dwb: "off" });
  for (let i = 0; i < 5; i += 1) await wal.commit({ payload: bytes(`old${i}`) });
  await wal.truncateAfter(2);
  disk.crash();
  const io = disk.mount();
  await io.unlink(lastSegment(disk));
  await io.syncDirectory(DIRECTORY);
  await expect(openOn(disk, { dwb: "off" })).rejects.toMatchObject({ code: "WAL_MISSING_SEGMENT" });
});

test("a close frame that rotted does not make a later, ordinary crash refuse to open", async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const disk = makeDisk({ seed });
    const wal = await openOn(disk, ROOMY);
    await wal.commit({ payload: bytes("a") });
    await wal.close();
    const path = lastSegment(disk);
    disk.corrupt(path, lastUsedBlock(disk, path) - 4096 + 100, Uint8Array.of(0xaa));
    await tearChain(disk, 3 + (seed % 12));
    const again = await openOn(disk, ROOMY);
    expect((await textsOf(again))[0]).toBe("1:a");
    await again.close();
  }
});

test("a chain of several frames, the first torn and a later one intact, is an interrupted write and opens", async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const disk = makeDisk({ seed });
    await tearChain(disk, 3 + (seed % 12));
    await (await openOn(disk, ROOMY)).close();
  }
});

test("a clean close leaves two close frames, and an anchor of which each copy was synced before the next was touched", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk, { dwb: "off" });
  await wal.commit({ payload: bytes("a") });
  const { frames } = wal.stats();
  const from = disk.trace.length;
  await wal.close();
  expect(wal.stats().frames).toBe(frames + 2);
  const anchor = disk.trace
    .slice(from)
    .flatMap((line) => /^\d+ (written|synced) \/log\/anchor (\d+)/.exec(line) ?? []);
  const steps = anchor
    .filter((_, index) => index % 3 === 1)
    .map((what, index) => `${what} ${anchor[index * 3 + 2]}`);
  expect(steps).toEqual(["written 0", "synced 0", "written 65536", "synced 65536"]);
});

test("a power cut in the anchor's last write is not reported as damage, although the torn copy says that the log was closed", async () => {
  const disk = makeDisk();
  await (await openOn(disk, { dwb: "off" })).close();
  const before = disk.fileBytes(`${DIRECTORY}/anchor`);
  const wal = await openOn(disk, { dwb: "off" });
  await wal.commit({ payload: bytes("a") });
  await wal.close();
  // The first copy was in flight: its first sector is there, its second is garbage, and the second copy had not been begun.
  disk.corrupt(`${DIRECTORY}/anchor`, 512, new Uint8Array(512).fill(0xaa));
  disk.corrupt(`${DIRECTORY}/anchor`, 65_536, before.subarray(65_536, 65_536 + 4096));
  const report = await verifyLog({ io: disk.clone().mount(), directory: DIRECTORY });
  expect(report.corruption).toEqual([]);
  expect(await textsOf(await openOn(disk))).toEqual(["1:a"]);
});
