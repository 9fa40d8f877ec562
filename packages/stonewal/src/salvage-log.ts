import { resolve, sep } from "node:path";
import { type IoBackend, IoError } from "@stonewal/io";
import { LOCK_NAME, parseSegmentName } from "@stonewal/record";
import { type EncryptionOptions, type SalvagedRecord, type SalvageReport, salvage } from "@stonewal/recovery";
import { openLog, type Wal, WalError } from "@stonewal/writer";
import { withBackend } from "./backends.js";
import { checkDirectory } from "./open-wal.js";
import type { LogDirectory } from "./reading.js";

export interface SalvageLogOptions extends LogDirectory {
  /** Directory of the new log, which must be missing or empty. Without it nothing is written: the answer is what would be found. */
  readonly to?: string | undefined;
}

/** Records that follow on each other in the damaged log and in the new one. */
export interface SalvagedRange {
  readonly records: number;
  /** The LSN that the first of them had. */
  readonly originalFirstLsn: number;
  /** The LSN that the first of them has in the new log. */
  readonly firstLsn: number;
}

export interface SalvageLogReport extends SalvageReport {
  /** Where the records are now. LSNs have no gaps, so behind a missing record they are lower than they were. */
  readonly ranges: readonly SalvagedRange[];
}

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
/** Memory of records that are not written yet, whatever the writer would take: that has to have room for the largest record. */
const UNWRITTEN_BYTES = 16 * 1024 * 1024;

/**
 * Copies every intact record of a damaged log, in order, into a new log, and says what is missing. The damaged log is only read. With keys
 * the new log is encrypted, with the ring's current one.
 * Resolves when everything copied is durable.
 *
 * Rejects with `WAL_ARGUMENT` where `to` is not empty or lies within `dir`, `WAL_LOCKED` where a writer has the damaged log open,
 * and recovery's and the writer's own codes. What has been copied by then stays in `to`.
 */
export async function salvageLog(options: SalvageLogOptions): Promise<SalvageLogReport> {
  checkDirectory(options?.dir);
  const dir = resolve(options.dir);
  const { to, dwbPath, encryption } = options;
  return withBackend(options.io, dir, async (io) => {
    if (await isLocked(io, dir)) throw new WalError("WAL_LOCKED", `a writer has ${dir} open`);
    const target =
      to === undefined
        ? undefined
        : new SalvageTarget(io, dir, to, await largestSegment(io, dir), encryption);
    await target?.check();
    const found = salvage({ io, directory: dir, dwbPath, encryption });
    const ranges = new Ranges();
    try {
      for await (const salvaged of found) {
        const lsn = await target?.add(salvaged);
        ranges.add(salvaged.originalLsn, lsn);
      }
    } finally {
      await target?.close();
    }
    return { ...found.report(), ranges: ranges.list };
  });
}

async function isLocked(io: IoBackend, dir: string): Promise<boolean> {
  return io.isLocked(`${dir}/${LOCK_NAME}`).catch((error: unknown) => {
    if (error instanceof IoError && error.code === "IO_NOT_FOUND") return false;
    throw error;
  });
}

/** A record fits into a segment of the size that it came from. */
async function largestSegment(io: IoBackend, dir: string): Promise<number> {
  let largest = DEFAULT_SEGMENT_BYTES;
  for (const name of await io.list(dir)) {
    if (parseSegmentName(name) === undefined) continue;
    const file = await io.open(`${dir}/${name}`, { access: "read" });
    try {
      largest = Math.max(largest, await file.size());
    } finally {
      await file.close();
    }
  }
  return largest;
}

/** The new log: made when the first record is known, for its LSN is where the new log begins. */
class SalvageTarget {
  readonly #io: IoBackend;
  readonly #from: string;
  readonly #to: string;
  readonly #segmentBytes: number;
  readonly #encryption: EncryptionOptions | undefined;
  #wal: Wal | undefined;
  #unwritten = 0;

  constructor(
    io: IoBackend,
    from: string,
    to: string,
    segmentBytes: number,
    encryption: EncryptionOptions | undefined,
  ) {
    checkDirectory(to);
    this.#io = io;
    this.#from = resolve(from);
    this.#to = resolve(to);
    this.#segmentBytes = segmentBytes;
    this.#encryption = encryption;
  }

  async check(): Promise<void> {
    if (`${this.#to}${sep}`.startsWith(`${this.#from}${sep}`)) {
      throw new WalError("WAL_ARGUMENT", `${this.#to} lies within the damaged log, which stays as it is`);
    }
    const names = await this.#io.list(this.#to).catch((error: unknown) => {
      if (error instanceof IoError && error.code === "IO_NOT_FOUND") return [];
      throw error;
    });
    if (names.length > 0) {
      throw new WalError("WAL_ARGUMENT", `${this.#to} is not empty; a salvage makes a log of its own`);
    }
  }

  /** Resolves to the record's new LSN, before it is durable. */
  async add({ record, originalLsn }: SalvagedRecord): Promise<number> {
    this.#wal ??= await this.#create(originalLsn);
    const wal = this.#wal;
    this.#unwritten += record.encoded.length;
    if (this.#unwritten > UNWRITTEN_BYTES) {
      await wal.sync();
      this.#unwritten = record.encoded.length;
    }
    for (;;) {
      try {
        return wal.appendEncoded(record.encoded);
      } catch (error) {
        if (!(error instanceof WalError) || error.code !== "WAL_BACKPRESSURE") throw error;
        await wal.ready();
      }
    }
  }

  #create(startLsn: number): Promise<Wal> {
    return openLog({
      io: this.#io,
      directory: this.#to,
      startLsn,
      segmentBytes: this.#segmentBytes,
      bufferBytes: this.#segmentBytes,
      encryption: this.#encryption,
    });
  }

  async close(): Promise<void> {
    await this.#wal?.close();
  }
}

class Ranges {
  readonly list: SalvagedRange[] = [];
  #count = 0;

  /** `lsn` is the new one; where nothing is written, the one it would get. */
  add(originalLsn: number, lsn: number | undefined): void {
    const last = this.list.at(-1);
    const newLsn = lsn ?? (this.list[0]?.firstLsn ?? originalLsn) + this.#count;
    this.#count += 1;
    if (last !== undefined && originalLsn === last.originalFirstLsn + last.records) {
      this.list[this.list.length - 1] = { ...last, records: last.records + 1 };
    } else {
      this.list.push({ records: 1, originalFirstLsn: originalLsn, firstLsn: newLsn });
    }
  }
}
