import { expect, test } from "vitest";
import { bytes, makeDisk, openOn, turns } from "./support/sim-log.js";

test("a follower gets every record, and ends with the log, its back end closed behind it", async () => {
  const wal = await openOn(makeDisk(), { ownsIo: true });
  for (let i = 0; i < 8; i += 1) await wal.commit({ payload: new Uint8Array(30_000) });
  const seen: number[] = [];
  const following = (async () => {
    for await (const record of wal.follow()) seen.push(record.lsn);
  })();
  for (let i = 0; i < 8; i += 1) await wal.commit({ payload: new Uint8Array(30_000) });
  await turns(100);
  await wal.close();
  await following;
  expect(seen).toEqual(Array.from({ length: 16 }, (_, index) => index + 1));
});

test("a follower of a log that can't be written any more is told so, and does not take it for the end", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk, { dwb: "off" });
  await wal.commit({ payload: bytes("a") });
  const seen: number[] = [];
  const following = (async () => {
    for await (const record of wal.follow()) seen.push(record.lsn);
  })();
  await turns();
  disk.fail({ operation: "sync", path: /\.wal$/ });
  await expect(wal.commit({ payload: bytes("b") })).rejects.toMatchObject({ code: "WAL_POISONED" });
  await expect(following).rejects.toMatchObject({ code: "WAL_POISONED" });
  expect(seen).toEqual([1]);
  await wal.close().catch(() => undefined);
});

test("a follower hears of a cut behind it, also when what the cut kept has been freed since", async () => {
  const wal = await openOn(makeDisk(), { dwb: "off", maxHeldBytes: 0 });
  for (let i = 1; i <= 10; i += 1) await wal.commit({ payload: bytes(`old${i}`) });
  await wal.seal();
  for (let i = 11; i <= 20; i += 1) await wal.commit({ payload: bytes(`old${i}`) });
  const follower = wal.follow();
  for (let i = 0; i < 20; i += 1) await follower.next();
  await wal.truncateAfter(8);
  for (let i = 9; i <= 12; i += 1) await wal.commit({ payload: bytes(`new${i}`) });
  await wal.checkpoint(8);
  await expect(follower.next()).rejects.toMatchObject({ code: "WAL_CUT_AWAY" });
  await wal.close();
});

test("a follower hears of a cut in the segment that it was reading, also when that has been freed since", async () => {
  const wal = await openOn(makeDisk(), { dwb: "off" });
  for (let i = 1; i <= 10; i += 1) await wal.commit({ payload: bytes(`old${i}`) });
  const follower = wal.follow();
  for (let i = 0; i < 10; i += 1) await follower.next();
  await wal.truncateAfter(8);
  for (let i = 9; i <= 12; i += 1) await wal.commit({ payload: bytes(`new${i}`) });
  await wal.checkpoint(8);
  await expect(follower.next()).rejects.toMatchObject({ code: "WAL_CUT_AWAY" });
  await wal.close();
});

test("a follower from beyond the end waits until the log gets there, through segments that begin before it", async () => {
  const wal = await openOn(makeDisk(), { dwb: "off" });
  await wal.commit({ payload: bytes("1") });
  const next = wal.follow({ from: 5 }).next();
  await turns();
  await wal.seal();
  for (let i = 2; i <= 3; i += 1) await wal.commit({ payload: bytes(`${i}`) });
  await turns();
  await wal.truncateAfter(2);
  for (let i = 3; i <= 5; i += 1) await wal.commit({ payload: bytes(`new${i}`) });
  expect((await next).value?.lsn).toBe(5);
  await wal.close();
});

test("a follower holds back what it has not read, up to the bound", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk, { dwb: "off" });
  for (let i = 0; i < 20; i += 1) await wal.commit({ payload: new Uint8Array(20_000) });
  const follower = wal.follow();
  expect((await follower.next()).value?.lsn).toBe(1);
  expect(await wal.checkpoint(wal.durableLsn)).toBe(0);
  for (let lsn = 2; lsn <= 20; lsn += 1) expect((await follower.next()).value?.lsn).toBe(lsn);
  await follower.return?.();
  expect(await wal.checkpoint(wal.durableLsn)).toBeGreaterThan(0);
  await wal.close();
});

test("records asked for by LSN and freed before they were read are not skipped in silence", async () => {
  const wal = await openOn(makeDisk(), { dwb: "off", maxHeldBytes: 0 });
  await wal.commit({ payload: bytes("a") });
  await wal.seal();
  await wal.commit({ payload: bytes("b") });
  const reading = wal.read({ from: 1 });
  await wal.checkpoint(1);
  await expect(reading.next()).rejects.toMatchObject({ code: "WAL_TRIMMED" });
  await wal.close();
});
