import { strict as assert } from "node:assert";
import { KeyRing } from "@stonewal/record";
import { Random } from "stonewal-campaign";
import { CipherUses } from "./cipher-uses.js";
import { isCrash, LogUnderTest, type Mode } from "./log-under-test.js";
import { MARKER, WrittenBytes } from "./written-bytes.js";

/**
 * Lives of an encrypted log: each ends in a crash, so that LSNs and frame numbers are given again; its key is changed; an older copy is put in its
 * place, and goes on beside what came of the original. No derived key meets a nonce twice in all of that, nothing in the clear is written
 * anywhere, and every frame has the key that it should.
 */
export async function keepSecrets(seed: number): Promise<void> {
  const ciphers = new CipherUses();
  ciphers.begin();
  try {
    await manyLives(seed, ciphers);
  } finally {
    ciphers.end();
  }
  assert.ok(ciphers.count > 20, "hardly anything was encrypted");
}

export const keyRing = (current: number): KeyRing =>
  new KeyRing({ current, keys: new Map([1, 2, 3].map((id) => [id, new Uint8Array(32).fill(0x40 + id)])) });

/** A log whose payloads are secret; some of them can be compressed, and some can't. */
export class SecretLog extends LogUnderTest {
  override payload(bytes: number): Uint8Array {
    const payload = super.payload(Math.max(bytes, MARKER.length + 8));
    if (this.random.below(2) === 0)
      for (let at = 4; at < payload.length; at += 1) payload[at] = this.random.below(256);
    for (let at = 4; at + MARKER.length <= payload.length; at += 512) payload.set(MARKER, at);
    return payload;
  }
}

function modeOf(random: Random, keys: KeyRing): Mode {
  const dwb = random.pick(["off", "buffered", "direct"] as const);
  const compression = random.pick([undefined, "deflate-raw", "brotli"] as const);
  return {
    direct: random.pick([true, false]),
    ack: dwb === "off" ? "wal" : random.pick(["wal", "dwb"]),
    dwb: { mode: dwb, slots: random.pick([2, 8]), slotBytes: 8192 },
    encryption: { keys, routing: random.pick(["encrypted", "readable"]) },
    ...(compression === undefined ? {} : { compression }),
  };
}

async function manyLives(seed: number, ciphers: CipherUses): Promise<void> {
  const random = new Random(seed);
  let log = new SecretLog(random, { seed, crashPolicy: random.pick(["random", "all", "none"]) });
  const written = new WrittenBytes(ciphers);
  let older = log.copy(seed);
  for (let life = 0; life < 5; life += 1) {
    const keys = keyRing(1 + random.below(3));
    log.watch = (io) => written.watch(io);
    written.expect(keys.current, { opening: true });
    await log.reopen(modeOf(random, keys));
    try {
      for (let steps = 4 + random.below(6); steps > 0; steps -= 1) await step(log, keys, written, random);
      // In flight when the power goes: some of it is on the disk, and its LSNs will be given again.
      log.disk.crashAfter(1 + random.below(6));
      await log.append(random.pick([10, 20_000]));
      await log.commit(10);
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
    log.disk.crashAfter(undefined);
    log.disk.crash();
    assert.equal(ciphers.reused[0], undefined, "a derived key has met a nonce twice");
    assert.ok(written.violations.length === 0, written.violations[0]);
    // The ledger goes by what is there: an older copy has that of its own time.
    if (random.below(3) === 0) older = log.copy(seed * 100 + life);
    if (random.below(3) === 0) log = older.copy(seed * 100 + 50 + life);
  }
}

async function step(log: SecretLog, keys: KeyRing, written: WrittenBytes, random: Random): Promise<void> {
  const kind = random.below(14);
  if (kind < 4) await log.commit(random.pick([10, 300, 3000, 9000, 40_000]));
  else if (kind < 6) await log.append(random.pick([10, 3000, 12_000]));
  else if (kind < 7) log.wal.syncNow();
  else if (kind < 8) await log.wal.seal();
  else if (kind < 9) await log.checkpoint(random.below(log.wal.durableLsn + 1));
  else if (kind < 11) {
    const first = log.wal.trimLsn;
    await log.truncateAfter(first + random.below(log.wal.nextLsn - first));
  } else {
    written.expectAnyKey();
    await keys.use(1 + random.below(3));
    // An append may have to begin the next segment, and does so with the new key.
    if (random.below(2) === 0) for (let frames = 3; frames > 0; frames -= 1) await log.append(40_000);
    await log.wal.rotateKey();
    assert.equal(log.wal.keyId, keys.current, "the key has been changed, and the log goes on with another");
    written.expect(keys.current, { opening: false });
    await log.commit(10);
  }
}
