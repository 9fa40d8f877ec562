import { strict as assert } from "node:assert";
import { KeyRing } from "@stonewal/record";
import {
  type EncryptionOptions,
  openReader,
  RecoveryError,
  type RecoveryErrorCode,
  type Tip,
} from "@stonewal/recovery";
import { Random } from "stonewal-campaign";
import { DIRECTORY, LogUnderTest, type Mode } from "./log-under-test.js";
import { keyRing, SecretLog } from "./secrets.js";

/**
 * Calls that have to be refused: without the keys, or with what shows that the log is an older copy. Each by its own code, whether the log is
 * opened for writing or for reading, and with nothing changed; and with the right keys, and what it does hold, it opens.
 */
export async function refuseWrongCalls(seed: number): Promise<void> {
  const random = new Random(seed);
  if (seed % 2 === 1) await withoutTheKeys(random, seed);
  else await olderCopies(random, seed);
}

const DWB_OFF: Mode = { dwb: { mode: "off" } };
const key = (fill: number) => new Uint8Array(32).fill(fill);

interface Call {
  readonly encryption?: EncryptionOptions;
  readonly atLeast?: Tip;
}

/** `undefined`: it opens. */
async function codeOf(opening: Promise<unknown>): Promise<RecoveryErrorCode | undefined> {
  try {
    await opening;
    return undefined;
  } catch (error) {
    if (!(error instanceof RecoveryError)) throw error;
    return error.code;
  }
}

async function refused(log: LogUnderTest, call: Call, code: RecoveryErrorCode, what: string): Promise<void> {
  const before = log.disk.files();
  const reading = async () => {
    const reader = await openReader({ io: log.disk.clone().mount(), directory: DIRECTORY, ...call });
    for await (const _ of reader.replay());
  };
  assert.equal(await codeOf(reading()), code, `${what}, read`);
  const copy = log.copy(1);
  assert.equal(await codeOf(copy.open({ ...DWB_OFF, ...call })), code, `${what}, opened for writing`);
  const after = copy.disk.files();
  for (const [path, bytes] of before)
    assert.ok(
      Buffer.compare(bytes, after.get(path) ?? new Uint8Array()) === 0,
      `${what}: ${path} was changed`,
    );
}

async function withoutTheKeys(random: Random, seed: number): Promise<void> {
  const log = new SecretLog(random, { seed, crashPolicy: "none" });
  const keys = keyRing(1);
  await log.open({ ...DWB_OFF, encryption: { keys } });
  await log.commit(10);
  await keys.use(2);
  await log.wal.rotateKey();
  for (let commits = 1 + random.below(3); commits > 0; commits -= 1) await log.commit(10);
  // Behind the last commit of one that wasn't closed there is nothing: what can't be decrypted may look like an end.
  if (random.below(2) === 0) await log.close();
  log.disk.crash();
  await refused(log, {}, "WAL_KEY_MISSING", "an encrypted log without keys");
  const rings: readonly (readonly [string, RecoveryErrorCode, KeyRing])[] = [
    ["without the older key", "WAL_KEY_MISSING", new KeyRing({ current: 2, keys: { 2: key(0x42) } })],
    ["without the newer key", "WAL_KEY_MISSING", new KeyRing({ current: 1, keys: { 1: key(0x41) } })],
    ["with wrong keys", "WAL_KEY_WRONG", new KeyRing({ current: 1, keys: { 1: key(0x51), 2: key(0x52) } })],
    [
      "with one wrong key",
      "WAL_KEY_WRONG",
      new KeyRing({ current: 2, keys: { 1: key(0x41), 2: key(0x52) } }),
    ],
    [
      "with a provider that is away",
      "WAL_KEY_MISSING",
      new KeyRing({ current: 2, keys: { 2: key(0x42) }, provider: () => Promise.reject(new Error("away")) }),
    ],
  ];
  for (const [what, code, wrong] of rings) await refused(log, { encryption: { keys: wrong } }, code, what);
  await log.reopen({ ...DWB_OFF, encryption: { keys: keyRing(2) } });

  const clear = new LogUnderTest(random, { seed, crashPolicy: "none" });
  await clear.open(DWB_OFF);
  await clear.commit(10);
  await clear.close();
  clear.disk.crash();
  await refused(clear, { encryption: { keys } }, "WAL_NOT_ENCRYPTED", "a log in the clear, with keys");
}

async function olderCopies(random: Random, seed: number): Promise<void> {
  const mode: Mode = random.below(4) > 0 ? { ...DWB_OFF, encryption: { keys: keyRing(1) } } : DWB_OFF;
  const call: Call = mode.encryption === undefined ? {} : { encryption: mode.encryption };
  const log = new SecretLog(random, { seed, crashPolicy: "none" });
  await log.open(mode);
  for (let commits = random.below(4); commits > 0; commits -= 1) await log.commit(10);
  await log.close();
  log.disk.crash();
  const older = log.copy(seed + 1);
  await log.reopen(mode);
  const commits = 1 + random.below(3);
  for (let n = 0; n < commits; n += 1) await log.commit(10);
  const atLeast = log.wal.tip;
  if (random.below(2) === 0) await log.commit(10);
  await log.close();
  log.disk.crash();
  await refused(older, { ...call, atLeast }, "WAL_ROLLED_BACK", "an older copy");
  await refused(
    new SecretLog(random, { seed }),
    { ...call, atLeast },
    "WAL_ROLLED_BACK",
    "nothing in the place of a log",
  );
  // As long as the original by now, and of another history; in the clear nothing tells.
  await older.reopen(mode);
  for (let n = 0; n <= commits; n += 1) await older.commit(10);
  await older.close();
  older.disk.crash();
  if (mode.encryption !== undefined)
    await refused(older, { ...call, atLeast }, "WAL_ROLLED_BACK", "an older copy that went on by itself");
  await log.reopen({ ...mode, atLeast });
}
