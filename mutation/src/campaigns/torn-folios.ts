import { strict as assert } from "node:assert";
import type { SimDisk } from "@stonewal/io-sim";
import { type Ledger, Random } from "stonewal-campaign";
import { LogUnderTest, type Mode } from "./log-under-test.js";

interface Moment {
  readonly disk: SimDisk;
  readonly ledger: Ledger;
}

const SEGMENT_BYTES = 1 << 20;
const WITHOUT_COPIES: Mode = { direct: true, segmentBytes: SEGMENT_BYTES, dwb: "off" };

/**
 * A kernel that writes a buffered log back by the folio, and power cuts that tear what was acknowledged long ago. In a ring with room for half a ring of new
 * frames beside those of a folio everything is put back; in a smaller one what is lost is told of.
 */
export async function tearFolios(seed: number): Promise<void> {
  const random = new Random(seed);
  const roomy = random.below(2) === 0;
  let log = new LogUnderTest(random, { seed, folioBytes: 65_536, sectorBytes: 4096 });
  for (let life = 0; life < 2; life += 1) {
    // One that is written direct, without copies, is torn by nothing; until it is opened as the others are.
    const mode = life === 0 && random.below(2) === 0 ? WITHOUT_COPIES : modeOf(random, roomy);
    const moments = await live(log, random, mode, roomy);
    const left: LogUnderTest[] = [];
    for (const moment of moments) {
      const again = new LogUnderTest(random, {}, moment);
      if (await survives(again, mode, roomy)) left.push(again);
    }
    // Early in a life the folio has frames of the one before.
    if (left.length === 0) return;
    log = random.pick(left);
    log.disk.crash();
  }
}

/** Opens the log and commits; answers what a power cut would find at some of the moments. */
async function live(log: LogUnderTest, random: Random, mode: Mode, roomy: boolean): Promise<Moment[]> {
  const { disk, ledger } = log;
  const moments: Moment[] = [];
  const slow = {
    operation: "write",
    path: /\.wal$/,
    effect: "slow",
    times: Number.POSITIVE_INFINITY,
  } as const;
  let opening = true;
  const unwatch = disk.atEveryBoundary(() => {
    // Opening reads more than it writes, and a cut in between finds what the last one found.
    const writes = / (write|written|sync|synced) /.test(disk.trace.at(-1) as string);
    if (writes && random.below(opening ? 2 : 4) === 0)
      moments.push({ disk: disk.clone(random.below(2 ** 30)), ledger: ledger.clone() });
  });
  await log.reopen(mode);
  opening = false;
  // So that the ring is full while frames are on their way home.
  const lagging = roomy ? disk.fail(slow) : undefined;
  for (let steps = roomy ? 30 : 8; steps > 0; steps -= 1) {
    if (roomy) await log.commit(13_000);
    else if (random.below(2) === 0) await log.commit(10);
    else await commitTwo(log);
  }
  unwatch();
  lagging?.cancel();
  return moments;
}

/** Two frames that are sealed together, and have no room beside each other in the smaller ring. */
async function commitTwo(log: LogUnderTest): Promise<void> {
  const first = log.flush(await log.append(35_000));
  const second = log.flush(await log.append(35_000));
  await first;
  await second;
}

async function survives(log: LogUnderTest, mode: Mode, roomy: boolean): Promise<boolean> {
  log.disk.crash();
  try {
    await log.reopen(mode);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== "WAL_CORRUPT") throw error;
    assert.ok(!roomy, "a torn folio has taken what there is room for a copy of");
    return false;
  }
}

function modeOf(random: Random, roomy: boolean): Mode {
  const mode = random.pick(["buffered", "direct"] as const);
  return {
    direct: false,
    segmentBytes: SEGMENT_BYTES,
    ack: roomy ? "dwb" : random.pick(["wal", "dwb"]),
    // Of frames of 16 KiB a folio has up to four, open frames besides, and half of the ring goes home at once.
    dwb: { mode, ...(roomy ? { slots: 16, slotBytes: 16_384 } : { slots: 8, slotBytes: 8192 }) },
  };
}
