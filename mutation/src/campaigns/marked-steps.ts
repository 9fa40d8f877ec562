import { Random } from "stonewal-campaign";
import { isCrash, LogUnderTest, type Mode } from "./log-under-test.js";

/** Steps that are rare in a log's life, as the disk's trace names them; each is the only step of its kind that protects something. */
const MARKS: readonly RegExp[] = [
  /write \/log\/anchor 0/,
  /write \/log\/anchor 65536/,
  /^(rename|unlink) /,
  /^syncDirectory /,
  /^makeDirectory /,
  /write \/log\/spare-\d+ /,
  /(write|sync) \/log\/dwb/,
  /(write|sync) \/log\/[^ ]+\.wal/,
];

/**
 * Power cuts, and kills, at steps that a random boundary seldom hits. The history of a seed is run once to the end, a step of the kind
 * that the seed picks is chosen in its trace, and then it is run again and cut short there.
 */
export async function crashAtMarkedStep(seed: number): Promise<void> {
  await crashAt(seed, MARKS[seed % MARKS.length] as RegExp, work);
}

/**
 * Power cuts while the anchor is written, in a log that frees what is behind it as it goes: the trim point of the copy that survives decides
 * whether a segment is gone or missing.
 */
export async function crashAtAnchor(seed: number): Promise<void> {
  await crashAt(seed, /(write|sync) \/log\/anchor/, trim);
}

/** Power cuts while records are cut off the end of the log, over several segments. */
export async function crashAtCut(seed: number): Promise<void> {
  await crashAt(seed, /^(rename|unlink|syncDirectory) /, cut);
}

type Script = (log: LogUnderTest, seed: number) => Promise<void>;

async function crashAt(seed: number, mark: RegExp, script: Script): Promise<void> {
  const rehearsal = makeLog(seed);
  await script(rehearsal, seed);
  const random = new Random(seed ^ 0x5eed);
  const boundaries = rehearsal.disk.trace.flatMap((line) => {
    const [, boundary = "", step = ""] = /^(\d+) (.*)$/.exec(line) ?? [];
    return mark.test(step) ? [Number(boundary)] : [];
  });
  if (boundaries.length === 0) return;

  const log = makeLog(seed);
  const boundary = random.pick(boundaries) + random.below(4);
  const killed = random.below(3) === 0;
  if (!killed) log.disk.crashAfter(boundary);
  const ended = script(log, seed).catch((error: unknown) => {
    if (!isCrash(error)) throw error;
  });
  // Its process alone: what it has written is in the page cache, and the power fails later.
  for (let turn = 0; killed && turn < boundary * 2 && log.disk.operations < boundary; turn += 1)
    await new Promise((resolve) => setImmediate(resolve));
  if (killed) log.disk.kill();
  await ended;
  if (!killed) log.disk.crash();
  log.disk.crashAfter(undefined);
  // What recovery did must hold by itself, and so must what is written then.
  for (let life = 0; life < 2; life += 1) {
    await log.verify();
    await log.reopen(randomMode(random));
    await log.commit(100);
    // At the end of the next anchor's writing, or in the middle of it.
    if (random.below(2) === 0) log.disk.crashAfter(1 + random.below(20));
    if (random.below(3) > 0) {
      await log.close().catch((error: unknown) => {
        if (!isCrash(error)) throw error;
      });
    }
    log.disk.crash();
  }
  await log.verify();
  await log.reopen(randomMode(random));
}

function makeLog(seed: number): LogUnderTest {
  const random = new Random(seed);
  return new LogUnderTest(random, { seed, crashPolicy: random.pick(["random", "random", "none", "all"]) });
}

function randomMode(random: Random): Mode {
  const mode = random.pick(["off", "buffered", "direct"] as const);
  return {
    direct: random.pick([true, false]),
    ack: mode === "off" ? "wal" : random.pick(["wal", "dwb"]),
    dwb: { mode, slots: random.pick([2, 4]), slotBytes: 4096 },
    spareSegments: random.pick([1, 2]),
  };
}

async function work(log: LogUnderTest, seed: number): Promise<void> {
  const random = new Random(seed);
  await log.open(randomMode(random));
  for (let step = 0; step < 24; step += 1) {
    const kind = random.below(20);
    if (kind < 9) await log.commit(random.pick([10, 3000, 12_000, 50_000]));
    else if (kind < 11) await log.append(random.pick([10, 3000]));
    else if (kind < 13) await log.wal.seal();
    else if (kind < 16) {
      // With a commit in flight, or without.
      const lsn = random.below(log.wal.durableLsn + 1);
      const flushed = random.below(2) === 0 ? log.flush(await log.append(3000)) : undefined;
      flushed?.catch(() => undefined);
      for (let other = random.below(4); other > 0; other -= 1) await log.pass();
      await log.checkpoint(lsn);
      await flushed;
    } else if (kind < 18) {
      const first = Math.max(log.wal.trimLsn, 0);
      await log.truncateAfter(first + random.below(log.wal.nextLsn - first));
    } else {
      await log.close();
      await log.open(randomMode(random));
    }
  }
  await log.close();
}

async function trim(log: LogUnderTest, seed: number): Promise<void> {
  const random = new Random(seed);
  await log.open(randomMode(random));
  for (let step = 0; step < 8; step += 1) {
    await log.commit(100);
    await log.wal.seal();
    const lsn = log.wal.durableLsn;
    const flushed = step % 2 === 0 ? log.flush(await log.append(3000)) : undefined;
    flushed?.catch(() => undefined);
    for (let other = random.below(4); other > 0; other -= 1) await log.pass();
    await log.checkpoint(lsn);
    await flushed;
  }
}

async function cut(log: LogUnderTest, seed: number): Promise<void> {
  const random = new Random(seed);
  await log.open(randomMode(random));
  for (let step = 0; step < 4; step += 1) {
    for (let segments = 1 + random.below(3); segments > 0; segments -= 1) {
      await log.commit(100);
      await log.wal.seal();
    }
    await log.commit(100);
    await log.truncateAfter(random.below(log.wal.nextLsn));
  }
}
