import type { IoBackend } from "@stonewal/io";
import { SimDisk, type SimDiskOptions } from "@stonewal/io-sim";
import { openLog, type Wal, type WalOptions } from "@stonewal/writer";
import { History, Random, randomMode } from "./history.js";
import { Ledger } from "./ledger.js";

const DIRECTORY = "/log";

export interface CampaignOptions {
  /** Stands between the log and the disk: a mutant of the back end. */
  readonly wrap?: (io: IoBackend) => IoBackend;
  /** Instead of what the seed picks. */
  readonly mode?: Partial<WalOptions>;
  readonly disk?: SimDiskOptions;
  readonly lives?: number;
  readonly truncate?: boolean;
}

async function recovered(wal: Wal): Promise<{ lsn: number; payload: Uint8Array }[]> {
  const records: { lsn: number; payload: Uint8Array }[] = [];
  for await (const record of wal.read()) records.push({ lsn: record.lsn, payload: record.payload });
  return records;
}

/** The machine crashed under the call: everything else is a failure of the log. */
function isCrash(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as { code?: string }).code === "IO_CLOSED") return true;
  }
  return false;
}

/**
 * One history of one seed: several lives of a log, each ended by a power cut at a random boundary (inside recovery too),
 * each checked against the ledger. Rejects if anything acknowledged is lost, anything is delivered that was never
 * attempted, or an ordinary crash keeps the log from being opened.
 */
export async function runHistory(
  seed: number,
  options: CampaignOptions = {},
): Promise<{ crashes: number; records: number; untornWrites: number }> {
  const { wrap = (io) => io, lives = 4, truncate = true } = options;
  const random = new Random(seed);
  const crashPolicy = random.pick(["random", "random", "random", "none", "all"] as const);
  const disk = new SimDisk({ seed, crashPolicy, ...options.disk });
  const ledger = new Ledger();
  const history = new History(random, ledger, { truncate });
  let records = 0;
  for (let life = 0; life < lives; life += 1) {
    const mode = { ...randomMode(random), ...options.mode };
    const io = wrap(disk.mount());
    // Early lives often die within the opening: that is where recovery is.
    disk.crashAfter(random.below(random.pick([60, 400, 1500])) + 1);
    try {
      await history.run(io, DIRECTORY, mode, 10 + random.below(60));
      disk.crash();
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
    disk.crashAfter(undefined);

    const survivor = wrap(disk.mount());
    const wal = await openLog({ io: survivor, directory: DIRECTORY, ...mode });
    const found = await recovered(wal);
    ledger.settle(found, wal.nextLsn);
    records += found.length;
    if (random.below(2) === 0) await wal.close();
    disk.crash();
  }
  if (disk.violations.length > 0) throw disk.violations[0] as Error;
  const untornWrites = disk.trace.filter((line) => line.endsWith(" untorn")).length;
  return { crashes: disk.crashes, records, untornWrites };
}

/** The first of `seeds` whose history fails, with its error. */
export async function firstFailure(
  seeds: Iterable<number>,
  options: CampaignOptions = {},
): Promise<{ seed: number; error: unknown } | undefined> {
  for (const seed of seeds) {
    try {
      await runHistory(seed, options);
    } catch (error) {
      return { seed, error };
    }
  }
  return undefined;
}
