import { Random } from "stonewal-campaign";
import { isCrash, LogUnderTest, type Mode } from "./log-under-test.js";

/**
 * Power cuts in the middle of chains of several frames: of what was never synced, later blocks are on the disk and earlier ones are
 * not. All of it is to be dropped, and the log opens.
 */
export async function tearGroups(seed: number): Promise<void> {
  const random = new Random(seed);
  const log = new LogUnderTest(random, { seed, crashPolicy: random.pick(["random", "random", "all"]) });
  for (let life = 0; life < 3; life += 1) {
    await log.verify();
    await log.reopen(modeOf(random));
    try {
      for (let group = random.below(3); group >= 0; group -= 1) {
        for (let frame = 2 + random.below(6); frame > 0; frame -= 1)
          await log.append(random.pick([20_000, 30_000, 30_000, 60_000]));
        if (group === 0) log.disk.crashAfter(2 + random.below(20));
        await (random.below(3) === 0 ? log.close() : log.flush());
        if (log.wal.stats().frames > 0 && group > 0) await log.commit(10);
      }
      log.disk.crash();
    } catch (error) {
      if (!isCrash(error) && (error as { code?: string }).code !== "WAL_CLOSED") throw error;
    }
    log.disk.crash();
  }
  await log.verify();
  await log.reopen(modeOf(random));
}

function modeOf(random: Random): Mode {
  const mode = random.pick(["off", "off", "buffered"] as const);
  return {
    direct: random.pick([true, false]),
    dwb: { mode, slots: 4, slotBytes: 4096 },
    segmentBytes: random.pick([262_144, 1 << 20]),
    bufferBytes: 1 << 20,
  };
}
