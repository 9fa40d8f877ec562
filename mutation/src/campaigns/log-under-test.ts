import { strict as assert } from "node:assert";
import type { IoBackend } from "@stonewal/io";
import { SimDisk, type SimDiskOptions } from "@stonewal/io-sim";
import { verifyLog } from "@stonewal/recovery";
import { openLog, type Wal, type WalOptions } from "@stonewal/writer";
import { Ledger, type Random } from "stonewal-campaign";

export const DIRECTORY = "/log";

export type Mode = Omit<WalOptions, "io" | "directory">;

/** Segments and frames small enough that a short history has several. */
const SMALL: Mode = {
  segmentBytes: 262_144,
  frameBytes: 65_536,
  bufferBytes: 262_144,
  spareSegments: 1,
  idleMs: 0,
};

/** A log on a simulated disk, and the ledger of what it was given and what it said. */
export class LogUnderTest {
  readonly disk: SimDisk;
  readonly ledger: Ledger;
  /** Stands between the log and the disk: somebody who watches what is written. */
  watch: (io: IoBackend) => IoBackend = (io) => io;
  protected readonly random: Random;
  #wal: Wal | undefined;
  #mark = 0;

  /** On a disk of its own, or on one `from` which it goes on: a copy, with the ledger of what it holds. */
  constructor(
    random: Random,
    options: SimDiskOptions,
    from?: { readonly disk: SimDisk; readonly ledger: Ledger },
  ) {
    this.random = random;
    this.disk = from?.disk ?? new SimDisk(options);
    this.ledger = from?.ledger ?? new Ledger();
  }

  /** As the disk is, to be restored, or to go on beside it. Nobody has the copy open. */
  copy(seed: number): this {
    const disk = this.disk.clone(seed);
    disk.crash("none");
    const made = this.constructor as new (...given: ConstructorParameters<typeof LogUnderTest>) => this;
    return new made(this.random, {}, { disk, ledger: this.ledger.clone() });
  }

  get wal(): Wal {
    return this.#wal as Wal;
  }

  async open(mode: Mode): Promise<void> {
    this.#wal = await openLog({ io: this.watch(this.disk.mount()), directory: DIRECTORY, ...SMALL, ...mode });
  }

  /** Whatever a power cut leaves is in order: nobody is to be told of damage. */
  async verify(): Promise<void> {
    const io = this.disk.clone().mount();
    const report = await verifyLog({ io, directory: DIRECTORY }).catch((error: unknown) => {
      if ((error as { code?: string }).code === "WAL_NOT_FOUND") return undefined;
      throw error;
    });
    assert.deepEqual(
      report?.corruption ?? [],
      [],
      `an ordinary crash is reported as damage: ${report?.corruption[0]?.message}`,
    );
  }

  /** Opens what a crash or a kill has left, and compares it with the ledger. Answers how many records were there. */
  async reopen(mode: Mode): Promise<number> {
    await this.open(mode);
    const durable = this.disk.paths();
    const back = this.wal.recovery?.removed.filter((name) => durable.includes(`${DIRECTORY}/${name}`)) ?? [];
    assert.deepEqual(back, [], "a file that recovery has removed would be back after a power cut");
    const found: { lsn: number; payload: Uint8Array }[] = [];
    for await (const { lsn, payload } of this.wal.read()) found.push({ lsn, payload });
    this.ledger.settle(found, this.wal.nextLsn);
    return found.length;
  }

  payload(bytes: number): Uint8Array {
    this.#mark += 1;
    const payload = new Uint8Array(Math.max(8, bytes)).fill(1 + this.random.below(255));
    new DataView(payload.buffer).setUint32(0, this.#mark);
    return payload;
  }

  /** Waits for room where there is none. */
  async append(bytes: number): Promise<number> {
    const payload = this.payload(bytes);
    const entries = this.ledger.handOver([payload]);
    for (;;) {
      try {
        const lsn = this.wal.append({ payload });
        this.ledger.given(this.wal.nextLsn);
        return lsn;
      } catch (error) {
        if ((error as { code?: string }).code !== "WAL_BACKPRESSURE") {
          this.ledger.takeBack(entries);
          throw error;
        }
        await this.wal.ready();
      }
    }
  }

  async flush(lsn = this.wal.nextLsn - 1): Promise<void> {
    await this.wal.flushUntil(lsn);
    this.ledger.acknowledge(lsn);
  }

  async commit(bytes: number): Promise<void> {
    await this.flush(await this.append(bytes));
  }

  /** Lets what is in flight go on for a moment: another process does something on the same disk. */
  async pass(): Promise<void> {
    await this.disk.mount().list(DIRECTORY);
  }

  async checkpoint(lsn: number): Promise<void> {
    this.ledger.trimLsn = Math.max(this.ledger.trimLsn, lsn);
    const before = this.#segments();
    const freed = await this.wal.checkpoint(lsn);
    const kept = this.#segments();
    const back = before.slice(0, freed).filter((path) => kept.includes(path));
    assert.deepEqual(back, [], "a segment that a checkpoint has freed would be back after a power cut");
  }

  /** Those that a power cut leaves in any case, oldest first. */
  #segments(): string[] {
    return this.disk.paths().filter((path) => path.endsWith(".wal"));
  }

  async truncateAfter(lsn: number): Promise<void> {
    if (lsn === this.wal.nextLsn - 1) return;
    this.ledger.cutBegins(lsn);
    await this.wal.truncateAfter(lsn);
    this.ledger.cutDone();
  }

  async close(): Promise<void> {
    await this.wal.close();
    this.ledger.acknowledge(this.wal.nextLsn - 1);
  }
}

/** Whether a call failed only because the simulated machine has crashed under it. */
export function isCrash(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as { code?: string }).code === "IO_CLOSED") return true;
  }
  return false;
}
