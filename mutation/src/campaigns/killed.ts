import { strict as assert } from "node:assert";
import { openReader } from "@stonewal/recovery";
import { Random } from "stonewal-campaign";
import { DIRECTORY, LogUnderTest, type Mode } from "./log-under-test.js";

/**
 * Writes and syncs that fail, and processes that are killed or give up, on a machine that goes on: the page cache then shows what the disk
 * does not have. What a later opening delivers must survive the power cut that comes then.
 */
export async function failAndKill(seed: number): Promise<void> {
  const random = new Random(seed);
  const log = new LogUnderTest(random, { seed, crashPolicy: "none" });
  for (let life = 0; life < 3; life += 1) {
    await log.reopen(modeOf(random));
    for (let steps = random.below(6); steps > 0; steps -= 1)
      await log.commit(random.pick([10, 3000, 20_000]));
    const path = random.pick([/\.wal$/, /\.wal$/, /dwb$/, /anchor$/, /spare/]);
    const fault = log.disk.fail({
      operation: random.pick(["sync", "sync", "write"]),
      path,
      nth: 1 + random.below(3),
      errno: random.pick(["EIO", "EIO", "ENOSPC"]),
      effect: random.pick(["none", "partial"]),
    });
    const attempts: Promise<unknown>[] = [];
    for (let steps = 3 + random.below(8); steps > 0; steps -= 1) {
      // Also after the failure: what is acknowledged then is acknowledged.
      attempts.push(tryStep(log, random));
      if (random.below(2) === 0) await Promise.all(attempts.splice(0));
    }
    if (random.below(2) === 0) await Promise.all(attempts);
    if (random.below(3) === 0) attempts.push(log.wal.close().catch(() => undefined));
    for (let steps = random.below(30); steps > 0; steps -= 1) await log.pass();
    fault.cancel();
    log.disk.kill();
    await Promise.all(attempts);

    // Nothing of the machine has failed: it is the page cache that answers, unless it is asked not to.
    if (random.below(2) === 0) await readWithoutOpening(log);
    else {
      await log.reopen(modeOf(random));
      for (let steps = random.below(3); steps > 0; steps -= 1) await log.commit(10);
    }
    if (random.below(2) === 0) log.disk.kill();
    if (random.below(2) === 0) log.disk.crash();
    else log.disk.crash("random");
  }
  await log.reopen(modeOf(random));
  assert.deepEqual(log.disk.violations, []);
}

/** What a reader is given must be there afterwards, as much as what was acknowledged. */
async function readWithoutOpening(log: LogUnderTest): Promise<void> {
  const reader = await openReader({ io: log.disk.mount(), directory: DIRECTORY });
  for await (const record of reader.replay()) log.ledger.deliver(record);
  await reader.close();
}

async function tryStep(log: LogUnderTest, random: Random): Promise<void> {
  const kind = random.below(10);
  try {
    if (kind < 6) await log.commit(random.pick([10, 3000, 20_000]));
    else if (kind < 7) await log.append(10);
    else if (kind < 8) await log.wal.seal();
    else await log.checkpoint(random.below(log.wal.durableLsn + 1));
  } catch (error) {
    // The failure itself, or the poison it has left, or the end of the process.
    if (!/^(WAL_|IO_|DWB_)/.test((error as { code?: string }).code ?? "")) throw error;
  }
}

function modeOf(random: Random): Mode {
  const mode = random.pick(["off", "buffered", "direct"] as const);
  return {
    direct: random.pick([true, false]),
    ack: mode === "off" ? "wal" : random.pick(["wal", "dwb"]),
    dwb: {
      mode,
      slots: 4,
      slotBytes: 4096,
      onFailure: random.pick(["fail", "degrade"]),
    },
    spareSegments: random.pick([1, 2]),
  };
}
