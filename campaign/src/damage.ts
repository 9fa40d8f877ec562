import { strict as assert } from "node:assert";
import type { SimDisk } from "@stonewal/io-sim";
import { openReader, salvage } from "@stonewal/recovery";
import { openLog, type Wal, type WalOptions } from "@stonewal/writer";
import { codeOf, isTyped } from "./errors.js";
import type { Delivered, Ledger } from "./ledger.js";
import { runOn } from "./machine-time.js";
import { READING } from "./modes.js";
import { Random } from "./random.js";
import { assertSameFiles } from "./scrutiny.js";
import type { Tally } from "./tally.js";

const BLOCK = 4096;

type DamageKind = "a flipped byte" | "zeros" | "garbage" | "unreadable" | "cut short" | "missing";

interface Damage {
  readonly path: string;
  readonly offset: number;
  readonly kind: DamageKind;
}

export interface DamageSetting {
  readonly directory: string;
  readonly options: Omit<WalOptions, "io" | "directory">;
  readonly ledger: Ledger;
  readonly seed: number;
  readonly tally: Tally;
}

/**
 * Damages one block of a log that nobody has open and on which every record has a witness behind it, in a copy: then everything is
 * there, or there is an error that says what it is, and nothing has been changed. Never is a record missing in silence.
 */
export async function damageCopies(disk: SimDisk, setting: DamageSetting): Promise<void> {
  const damaged = disk.clone(setting.seed);
  const damage = await runOn(damaged, inflict(damaged, setting));
  if (damage === undefined) return;
  const { path, kind, offset } = damage;
  const what = path.slice(setting.directory.length + 1).replace(/^\d+-\d+\./, "segment.");
  try {
    const outcome = await runOn(damaged, openDamaged(damaged, setting));
    setting.tally.add(`${kind} in ${what}: ${outcome}`);
    // A buffer without its header in which there is nothing else to know it by is left alone: it may be somebody's other file.
    const unknown = what === "dwb" && outcome === "DWB_DAMAGED";
    if (outcome !== "kept" && !unknown && costsNothing(damage, what))
      throw new Error(`the log is refused (${outcome}), and this costs no record`);
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`${kind} in ${path} at ${offset} (damage ${setting.seed}): ${message}`, { cause: error });
  }
}

/** One copy of two, or a buffer that is not needed: a log that is otherwise intact opens. */
function costsNothing({ kind }: Damage, what: string): boolean {
  const block = kind === "a flipped byte" || kind === "zeros" || kind === "garbage";
  return block && (what === "dwb" || what === "anchor");
}

async function inflict(disk: SimDisk, { directory, seed }: DamageSetting): Promise<Damage | undefined> {
  const random = new Random(seed);
  const paths = disk.paths().filter((path) => /\.wal$|\/anchor$|\/dwb$/.test(path));
  const path = random.pick(paths);
  const bytes = disk.fileBytes(path);
  const used: number[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK)
    if (bytes.subarray(at, at + BLOCK).some((byte) => byte !== 0)) used.push(at);
  if (used.length === 0) return undefined;
  const block = random.pick(used);
  const kind = random.pick<DamageKind>([
    "a flipped byte",
    "a flipped byte",
    "zeros",
    "garbage",
    "unreadable",
    "cut short",
    "missing",
  ]);
  const offset = kind === "a flipped byte" ? block + random.below(BLOCK) : block;
  if (kind === "a flipped byte")
    disk.corrupt(path, offset, Uint8Array.of((bytes[offset] as number) ^ (1 << random.below(8))));
  else if (kind === "zeros") disk.corrupt(path, offset, new Uint8Array(BLOCK));
  else if (kind === "garbage")
    disk.corrupt(
      path,
      offset,
      Uint8Array.from({ length: BLOCK }, () => random.below(256)),
    );
  else if (kind === "unreadable") disk.makeUnreadable(path, offset, BLOCK);
  else if (kind === "cut short") disk.truncateFile(path, offset);
  else {
    const io = disk.mount();
    await io.unlink(path);
    await io.syncDirectory(directory);
    await io.close();
  }
  return { path, offset, kind };
}

/** `kept`, or the code of the refusal. */
async function openDamaged(disk: SimDisk, { directory, options, ledger }: DamageSetting): Promise<string> {
  const before = disk.files();
  await readDamaged(disk, directory, ledger);
  assertSameFiles(disk, before, "opened for reading only");
  const open = () => openLog({ io: disk.mount(), directory, ...options });
  let wal: Wal;
  const records: Delivered[] = [];
  try {
    wal = await open();
    for await (const record of wal.read()) records.push({ lsn: record.lsn, payload: record.payload });
  } catch (error) {
    if (!isTyped(error)) throw error;
    const code = codeOf(error) as string;
    // Recovery's verdict. What fails behind it, as a buffer that can't be used, comes after its repairs.
    if (code.startsWith("WAL_")) assertSameFiles(disk, before, `refused (${code})`);
    await salvageDamaged(disk, directory, ledger);
    return code;
  }
  ledger.check(records, wal.nextLsn);
  assert.equal(wal.nextLsn - 1, ledger.lastLsn, "records are missing, and nothing says so");
  await wal.commit({ payload: Uint8Array.of(1, 2, 3) });
  disk.crash();
  const again = await open();
  assert.equal(again.nextLsn - 2, ledger.lastLsn, "opened and written to, it is not there the next time");
  disk.crash();
  return "kept";
}

/** What precedes the damage can be read, and its end is an error. */
async function readDamaged(disk: SimDisk, directory: string, ledger: Ledger): Promise<void> {
  const io = disk.mount();
  let last = ledger.trimLsn;
  try {
    const reader = await openReader({ io, directory, damaged: "prefix", ...READING });
    for await (const record of reader.replay()) {
      assert.ok(
        ledger.wasAttempted(record),
        `a reader of a damaged log was given an LSN ${record.lsn} that nobody wrote`,
      );
      last = record.lsn;
    }
  } catch (error) {
    if (!isTyped(error)) throw error;
    return;
  } finally {
    await io.close();
  }
  assert.ok(last >= ledger.lastLsn, `a reader got to LSN ${last} of ${ledger.lastLsn}, and nothing says why`);
}

/** Nothing comes out of the ruins that nobody wrote. */
async function salvageDamaged(disk: SimDisk, directory: string, ledger: Ledger): Promise<void> {
  const io = disk.mount();
  try {
    for await (const { record, originalLsn } of salvage({ io, directory, ...READING })) {
      const delivered = { lsn: originalLsn, payload: record.payload };
      assert.ok(ledger.wasAttempted(delivered), `salvage delivers an LSN ${originalLsn} that nobody wrote`);
    }
  } catch (error) {
    if (!isTyped(error)) throw error;
  } finally {
    await io.close();
  }
}
