import { strict as assert } from "node:assert";
import { readDwb } from "@stonewal/dwb";
import { RecoveryError } from "@stonewal/recovery";
import { Random } from "stonewal-campaign";
import { DIRECTORY, isCrash, LogUnderTest, type Mode } from "./log-under-test.js";

const BLOCK = 4096;

/** What the double-write buffer does for the log: one history of each kind in turn. */
export async function copyFrames(seed: number): Promise<void> {
  const histories = [
    tornFramesAreWhole,
    copyIsTheOnlyWitness,
    staleCopyOfDroppedFrame,
    damagedFramesArePutBack,
    lostBuffer,
  ];
  await (histories[seed % histories.length] as (seed: number) => Promise<void>)(
    Math.ceil(seed / histories.length),
  );
}

/** A frame that has a copy is there, or nothing of it is: its first byte is written when the copy is durable. */
async function tornFramesAreWhole(seed: number): Promise<void> {
  const random = new Random(seed);
  const log = new LogUnderTest(random, { seed, crashPolicy: random.pick(["random", "all"]) });
  const mode: Mode = {
    direct: random.pick([true, false]),
    dwb: { mode: random.pick(["buffered", "direct"]), slots: 8, slotBytes: 65_536 },
    segmentBytes: 1 << 20,
    bufferBytes: 1 << 20,
  };
  await log.open(mode);
  for (let life = 0; life < 4; life += 1) {
    log.disk.crashAfter(1 + random.below(60));
    try {
      for (;;) {
        for (let frames = random.below(4); frames > 0; frames -= 1)
          await log.append(random.pick([2000, 30_000, 60_000]));
        await log.commit(100);
      }
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
    log.disk.crashAfter(undefined);
    await log.reopen(mode);
    assert.equal(
      log.wal.recovery?.tornTail,
      undefined,
      "a frame was written home before its copy was durable",
    );
    log.disk.crash();
    await log.reopen(mode);
  }
}

/**
 * The last acknowledged frame rots, its copy has made room for that of the next frame, and that one is not home yet: its copy alone says
 * that there was something to lose.
 */
async function copyIsTheOnlyWitness(seed: number): Promise<void> {
  const random = new Random(seed);
  const log = new LogUnderTest(random, { seed, crashPolicy: "none" });
  const mode: Mode = { direct: true, dwb: { mode: "direct", slots: 2, slotBytes: 4096 } };
  await log.open(mode);
  for (let commits = 1 + random.below(3); commits > 0; commits -= 1) await log.commit(5000);
  const offset = log.disk.fileBytes(lastSegment(log)).length;
  const end = usedEnd(log, offset);
  await log.append(5000);
  log.disk.crashAfter(1 + (seed % 16));
  await log.wal.sync().catch(() => undefined);
  log.disk.crash();

  const images = await readDwb(log.disk.clone().mount(), `${DIRECTORY}/dwb`);
  const newest = Math.max(0, ...[...(images ?? [])].map((image) => image.offset));
  const witnessed = newest >= end || usedEnd(log, offset) > end;
  log.disk.corrupt(lastSegment(log), end - 4096 - 100, Uint8Array.of(0xaa, 0x55, 0xaa));
  try {
    await log.open(mode);
  } catch (error) {
    if (error instanceof RecoveryError) return;
    throw error;
  }
  assert.ok(
    !witnessed || log.wal.nextLsn > log.ledger.durableLsn,
    "a commit was lost, and its successor's copy was there",
  );
}

/**
 * Of three frames in one chain the first one's copy is torn by a power cut, and all three are dropped. The next opening gives their numbers
 * and LSNs again, and comes to the place of the third: the old copy of it, which is intact, belongs to another past.
 */
async function staleCopyOfDroppedFrame(seed: number): Promise<void> {
  const blocks = 9 + (seed % 6);
  const mode: Mode = {
    direct: true,
    segmentBytes: 1 << 20,
    bufferBytes: 1 << 20,
    dwb: { mode: "direct", slots: 8 },
  };
  const begin = async (): Promise<LogUnderTest> => {
    const log = new LogUnderTest(new Random(seed), { seed, crashPolicy: "none" });
    await log.open(mode);
    await log.commit(10);
    // Three frames, since no two of these fit in one.
    for (let frame = 0; frame < 3; frame += 1) await log.append(blocks * BLOCK - 400);
    return log;
  };
  const rehearsal = await begin();
  await rehearsal.flush();
  const syncOfCopies = rehearsal.disk.trace.findLast((line) => line.endsWith(" sync /log/dwb")) as string;

  const log = await begin();
  log.disk.crashPolicy = ({ what, detail, options, torn }) =>
    what === "sector" && isInSlot(2, Number(detail)) ? 0 : options - torn - 1;
  log.disk.crashAfter(Number.parseInt(syncOfCopies, 10) + 1 - log.disk.operations);
  await log.wal.sync().catch(() => undefined);
  log.disk.crashPolicy = "none";
  await log.reopen(mode);
  if (log.wal.nextLsn !== 2) return;
  // Behind an open frame of one block: as many records and blocks as the first two had.
  const payloads = [log.payload(blocks * BLOCK - 400), log.payload((blocks - 1) * BLOCK - 400)];
  log.ledger.handOver(payloads);
  log.wal.appendBatch(payloads.map((payload) => ({ payload })));
  log.ledger.given(log.wal.nextLsn);
  await log.flush();
  log.disk.crash();
  await log.reopen(mode);
}

/** The sectors of slots of 64 KiB. */
function isInSlot(slot: number, sector: number): boolean {
  const stride = 65_536 / 512;
  const start = stride;
  return sector >= start + slot * stride && sector < start + (slot + 1) * stride;
}

/** What was damaged and has a copy is put back, durably: also when the copy is gone afterwards. */
async function damagedFramesArePutBack(seed: number): Promise<void> {
  const random = new Random(seed);
  const log = new LogUnderTest(random, { seed, crashPolicy: "none" });
  const mode: Mode = {
    direct: random.pick([true, false]),
    dwb: { mode: "buffered", slots: 4, slotBytes: 4096 },
  };
  await log.open(mode);
  for (let commits = 1 + random.below(6); commits > 0; commits -= 1) await log.commit(1000);
  log.disk.crash();
  const path = lastSegment(log);
  const end = usedEnd(log, log.disk.fileBytes(path).length);
  log.disk.corrupt(path, end - 4096 + random.below(1000), Uint8Array.of(0xaa, 0x55, 0xaa));
  await log.reopen(mode);
  for (let commits = 5; commits > 0; commits -= 1) await log.commit(1000);
  log.disk.crash();
  await log.reopen(mode);
}

/** The buffer that alone has acknowledged commits is lost, in a log of which nothing older is left: it has to be missed. */
async function lostBuffer(seed: number): Promise<void> {
  const random = new Random(seed);
  const log = new LogUnderTest(random, { seed, crashPolicy: "none" });
  const mode: Mode = { ack: "dwb", dwb: { mode: "buffered", slots: 8, slotBytes: 4096 } };
  await log.open(mode);
  for (let segments = 1 + random.below(3); segments > 0; segments -= 1) {
    await log.commit(1000);
    if (random.below(2) === 0) await log.wal.seal();
    else for (let commits = 5; commits > 0; commits -= 1) await log.commit(50_000);
  }
  await log.checkpoint(log.wal.durableLsn);
  for (let commits = 1 + random.below(3); commits > 0; commits -= 1) await log.commit(1000);
  log.disk.crash();
  const io = log.disk.mount();
  await io.unlink(`${DIRECTORY}/dwb`);
  await io.syncDirectory(DIRECTORY);
  log.disk.crash();
  try {
    await log.reopen(mode);
  } catch (error) {
    if (!(error instanceof RecoveryError)) throw error;
  }
}

function lastSegment(log: LogUnderTest): string {
  return log.disk.paths().findLast((path) => path.endsWith(".wal")) as string;
}

/** Offset behind the last block that isn't zero. */
function usedEnd(log: LogUnderTest, size: number): number {
  const content = log.disk.fileBytes(lastSegment(log));
  let end = size;
  while (content.subarray(end - 4096, end).every((byte) => byte === 0)) end -= 4096;
  return end;
}
