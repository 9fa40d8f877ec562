import { strict as assert } from "node:assert";
import type { SimDisk } from "@stonewal/io-sim";
import { openReader, recoverLog } from "@stonewal/recovery";
import { except } from "./errors.js";
import type { Delivered, Ledger } from "./ledger.js";
import { READING } from "./modes.js";
import { Random } from "./random.js";

interface ReadLog {
  readonly records: readonly Delivered[];
  readonly lastLsn: number;
}

/** What a read-only opening delivers; `undefined`: there is no log. */
async function readLog(disk: SimDisk, directory: string): Promise<ReadLog | undefined> {
  const io = disk.mount();
  const reader = await openReader({ io, directory, ...READING }).catch(
    except("WAL_NOT_FOUND", "IO_NOT_FOUND"),
  );
  if (reader === undefined) return undefined;
  const records: Delivered[] = [];
  for await (const { lsn, payload } of reader.replay()) records.push({ lsn, payload });
  const lastLsn = reader.lastLsn();
  await reader.close();
  await io.close();
  return { records, lastLsn };
}

export function assertSameFiles(
  actual: SimDisk,
  expected: ReadonlyMap<string, Uint8Array>,
  what: string,
): void {
  const files = actual.files();
  assert.deepEqual([...files.keys()], [...expected.keys()], `${what}: other files`);
  for (const [path, bytes] of files)
    assert.ok(
      Buffer.compare(bytes, expected.get(path) as Uint8Array) === 0,
      `${what}: ${path} has other bytes`,
    );
}

const rangeOf = (read: ReadLog | undefined) =>
  read && [read.records.length, read.records[0]?.lsn, read.lastLsn];

/**
 * Looks at what recovery does with a disk, on copies of it: reading changes nothing; recovery run twice gives the same bytes; interrupted by a
 * crash or a kill and run again, it comes to the same records.
 */
export async function scrutinise(
  disk: SimDisk,
  directory: string,
  ledger: Ledger,
  seed: number,
): Promise<void> {
  const random = new Random(seed);
  const crashed = disk.clone(seed);
  crashed.crash();
  const before = crashed.files();
  const read = await readLog(crashed, directory);
  assertSameFiles(crashed, before, "opened for reading only");
  if (read !== undefined) ledger.check(read.records, read.lastLsn + 1);
  else assert.equal(ledger.durableLsn, 0, `there is no log, and LSN ${ledger.durableLsn} was acknowledged`);

  const recovered = crashed.clone(seed);
  const recover = (on: SimDisk) =>
    recoverLog({ io: on.mount(), directory, ...READING }).catch(except("IO_NOT_FOUND"));
  const start = recovered.operations;
  const first = await recover(recovered);
  const boundaries = recovered.operations - start;
  const after = recovered.files();
  const second = await recover(recovered);
  assertSameFiles(recovered, after, "recovered for a second time");
  assert.deepEqual(second?.position, first?.position, "a second recovery comes to another end");
  assert.deepEqual(rangeOf(await readLog(recovered, directory)), rangeOf(read), "recovered, and read again");

  const interrupted = crashed.clone(seed);
  for (const how of ["crash", "kill"] as const) {
    interrupted.crashAfter(random.below(boundaries + 1));
    await recover(interrupted).catch(except("IO_CLOSED"));
    interrupted.crashAfter(undefined);
    if (how === "kill") interrupted.kill();
  }
  await recover(interrupted);
  assert.deepEqual(
    rangeOf(await readLog(interrupted, directory)),
    rangeOf(read),
    "recovery was interrupted, and run again",
  );
}
