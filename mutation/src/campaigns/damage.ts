import { strict as assert } from "node:assert";
import { FRAME_HEADER_BYTES, FRAMES_START } from "@stonewal/record";
import { RecoveryError, verifyLog } from "@stonewal/recovery";
import { Random } from "stonewal-campaign";
import { DIRECTORY, LogUnderTest, type Mode } from "./log-under-test.js";

const BLOCK = 4096;

/**
 * One place of a log that was left in order is damaged. Whatever it is, somebody has to notice: opening either delivers every
 * acknowledged record, or is refused with an error of recovery's own; and verifying names it.
 */
export async function damageOnePlace(seed: number): Promise<void> {
  const random = new Random(seed);
  const log = new LogUnderTest(random, { seed, crashPolicy: "all" });
  const dwb = random.pick(["off", "buffered"] as const);
  const ack = dwb === "off" ? "wal" : random.pick(["wal", "wal", "dwb"] as const);
  const mode: Mode = {
    direct: random.pick([true, false]),
    ack,
    dwb: { mode: dwb, slots: random.pick([2, 8]), slotBytes: 4096 },
    segmentBytes: 262_144,
  };
  await log.open(mode);
  // Without checkpoints every byte that isn't zero is in use, unless it was cut away.
  let cut = false;
  // Nothing is trimmed but the first of two records, so no segment is freed, or void.
  for (let commits = 2; commits > 0; commits -= 1) await log.commit(10);
  for (let steps = 1 + random.below(12); steps > 0; steps -= 1) {
    const kind = random.below(10);
    if (kind < 7) await log.commit(random.pick([10, 10, 3000, 30_000]));
    else if (kind < 8) await log.wal.seal();
    else if (kind < 9) {
      await log.truncateAfter(2 + random.below(log.wal.nextLsn - 2));
      cut = true;
    } else {
      await log.close();
      await log.open(mode);
    }
  }
  const end = random.pick(["closed", "checkpoint", "none", "one commit"] as const);
  if (end === "one commit") {
    // One commit alone bears witness of the open frame, which holds no record.
    await log.close();
    await log.open(mode);
    await log.commit(10);
  }
  if (end === "closed") await log.close();
  if (end === "checkpoint") await log.checkpoint(1);
  log.disk.crash();

  const what = await damage(log, random, end);
  if (what === undefined) return;
  const report = await verifyLog({ io: log.disk.clone().mount(), directory: DIRECTORY });
  // Behind what a slot stores nothing is checked, and nothing read; an anchor may have been in flight where the log wasn't closed.
  // A frame that isn't home yet is no damage.
  const silent = cut || ack === "dwb" || /dwb/.test(what) || (end !== "closed" && /anchor/.test(what));
  assert.ok(silent || report.corruption.length > 0 || report.tornTail, `${what} was not noticed`);
  try {
    await log.reopen(mode);
  } catch (error) {
    if (error instanceof RecoveryError) return;
    throw error;
  }
  // What was put right stays so.
  await log.commit(10);
  await log.close();
  log.disk.crash();
  const after = await verifyLog({ io: log.disk.clone().mount(), directory: DIRECTORY });
  assert.deepEqual(after.corruption, [], `${what}: found again after it was repaired`);
  await log.reopen(mode);
}

/** Damages one place that is in use. Answers what was done; `undefined` where no witness can tell it from an interrupted write. */
async function damage(log: LogUnderTest, random: Random, end: string): Promise<string | undefined> {
  const { disk } = log;
  const segments = disk.paths().filter((path) => path.endsWith(".wal"));
  const path = random.pick([
    ...segments,
    ...segments,
    ...disk.paths().filter((path) => /anchor$|dwb$/.test(path)),
  ]);
  const whole = segments.includes(path) ? segments.length > 1 && random.below(3) === 0 : path.endsWith("dwb");
  if (whole) {
    const io = disk.mount();
    await io.unlink(path);
    await io.syncDirectory(DIRECTORY);
    disk.crash();
    return `${path} is gone`;
  }
  const content = disk.fileBytes(path);
  const used: number[] = [];
  for (let at = 0; at < content.length; at += BLOCK)
    if (content.subarray(at, at + BLOCK).some((byte) => byte !== 0)) used.push(at);
  const frames = used.filter(
    (at) => at >= FRAMES_START && Buffer.from(content.subarray(at, at + 8)).toString() === "SWFRAME1",
  );
  const last = frames.at(-1) ?? FRAMES_START;
  // The frame that has but one witness, more often than others.
  const lonely = end === "one commit" ? frames.at(-2) : end === "checkpoint" ? last : undefined;
  const block = random.below(2) === 0 ? (lonely ?? random.pick(used)) : random.pick(used);
  // Headers, and what is right behind them, more often than payloads and padding.
  const behind = [FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + 32] as const;
  const [from, to] = random.pick([[0, FRAME_HEADER_BYTES], behind, behind, [0, BLOCK]] as const);
  const offset = block + from + random.below(to - from);
  // Of the last frame only an anchor that was written since says that it was there.
  const witnessed = end === "closed" || (end === "checkpoint" && offset < last + BLOCK);
  if (path === segments.at(-1) && offset >= last && !witnessed) return undefined;
  const old = content[offset] as number;
  disk.corrupt(path, offset, Uint8Array.of(old ^ (1 << random.below(8))));
  return `${path} at ${offset}`;
}
