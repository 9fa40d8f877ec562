import { Random } from "stonewal-campaign";
import { isCrash, LogUnderTest, type Mode } from "./log-under-test.js";

/**
 * Power cuts of a log that acknowledges by its copies alone (`ack: 'dwb'`), with a ring so small that every few commits wait for slots: what
 * is home, what has only its copy, and whose slots are given away changes with every step.
 */
export async function acknowledgeByCopies(seed: number): Promise<void> {
  const random = new Random(seed);
  const crashPolicy = random.pick(["random", "random", "random", "none", "all"] as const);
  const log = new LogUnderTest(random, { seed, crashPolicy });
  // Frames that are too long to be gathered into one write with others.
  const large = random.below(3) === 0;
  for (let life = 0; life < 4; life += 1) {
    log.disk.crashAfter(1 + random.below(random.pick([60, 200, 600])));
    try {
      await log.open(modeOf(random, large));
      for (let steps = 10 + random.below(20); steps > 0; steps -= 1) await step(log, random, large);
      if (random.below(2) === 0) await log.close();
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
    log.disk.crash();
    await log.verify();
    await log.reopen(modeOf(random, large));
    if (random.below(2) === 0) await log.close();
    log.disk.crash();
  }
}

async function step(log: LogUnderTest, random: Random, large: boolean): Promise<void> {
  const kind = random.below(40);
  if (kind < 28) await log.commit(random.pick(large ? [10, 3000, 80_000] : [10, 10, 3000, 5000, 9000]));
  else if (kind < 32) await log.append(random.pick([3000, 30_000]));
  else if (kind < 33 || (large && kind < 35)) await log.commit(large ? 80_000 : 50_000);
  else if (kind < 35) await log.wal.seal();
  else if (kind < 37) await log.checkpoint(random.below(log.wal.durableLsn + 1));
  else if (kind < 38) {
    const first = Math.max(log.wal.trimLsn, 0);
    await log.truncateAfter(first + random.below(log.wal.nextLsn - first));
  } else {
    await log.close();
    await log.open(modeOf(random, large));
  }
}

function modeOf(random: Random, large: boolean): Mode {
  const mode = random.pick(["buffered", "direct"] as const);
  return {
    direct: random.pick([true, false]),
    ack: random.pick(["dwb", "dwb", "dwb", "wal"]),
    ...(large ? { segmentBytes: 1 << 20, bufferBytes: 1 << 20 } : {}),
    dwb: large
      ? { mode, slots: 8, slotBytes: 65_536 }
      : { mode, slots: random.pick([2, 4, 8]), slotBytes: random.pick([4096, 8192]) },
  };
}
