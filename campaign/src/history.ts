import type { IoBackend } from "@stonewal/io";
import { openLog, type Wal, type WalOptions } from "@stonewal/writer";
import type { Ledger } from "./ledger.js";

/** Numbers from a seed (mulberry32): a history is the same whenever its seed is. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

/** How a log is opened in a history: every mode, sizes small enough that segments roll and frames outgrow slots and ring. */
export function randomMode(random: Random): Omit<WalOptions, "io" | "directory"> {
  const direct = random.pick([true, false]);
  const mode = random.pick(["off", "buffered", "direct"] as const);
  return {
    direct,
    ack: mode === "off" ? "wal" : random.pick(["wal", "dwb"] as const),
    dwb: {
      mode,
      slots: random.pick([2, 4, 8]),
      slotBytes: random.pick([4096, 8192]),
    },
    segmentBytes: random.pick([262_144, 327_680]),
    frameBytes: 65_536,
    bufferBytes: 262_144,
    spareSegments: random.pick([1, 2]),
    idleMs: 0,
  };
}

function randomPayload(random: Random, mark: number): Uint8Array {
  const kind = random.below(20);
  const length =
    kind < 12
      ? random.below(120)
      : kind < 17
        ? random.below(5000)
        : kind < 19
          ? random.below(20_000)
          : random.below(60_000);
  const payload = new Uint8Array(Math.max(8, length)).fill(mark & 0xff);
  new DataView(payload.buffer).setUint32(0, mark);
  return payload;
}

/**
 * Works on a log, telling the ledger of every attempt and every acknowledgement, until `steps` are done or the disk
 * stops answering. Resolves when it has; a failure that isn't the disk's is thrown.
 */
export class History {
  readonly #random: Random;
  readonly #ledger: Ledger;
  #mark = 0;
  /** What the crash campaign may leave out, to see that it is noticed. */
  readonly options: { truncate: boolean };

  constructor(random: Random, ledger: Ledger, options = { truncate: true }) {
    this.#random = random;
    this.#ledger = ledger;
    this.options = options;
  }

  async run(
    io: IoBackend,
    directory: string,
    mode: Omit<WalOptions, "io" | "directory">,
    steps: number,
  ): Promise<void> {
    const wal = await openLog({ io, directory, ...mode });
    const pending: Promise<unknown>[] = [];
    for (let step = 0; step < steps; step += 1) {
      await this.#step(wal, pending);
    }
    await Promise.all(pending);
    if (this.#random.below(3) > 0) {
      await wal.close();
      this.#ledger.acknowledge(wal.nextLsn - 1);
    }
  }

  async #step(wal: Wal, pending: Promise<unknown>[]): Promise<void> {
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 45) {
      await this.#withRoom(wal, () => this.#commit(wal, pending));
    } else if (kind < 60) {
      await this.#withRoom(wal, () => this.#append(wal));
    } else if (kind < 68) {
      await this.#withRoom(wal, () => this.#appendBatch(wal));
    } else if (kind < 84) {
      const lsn = wal.nextLsn - 1;
      await wal.flushUntil(lsn);
      this.#ledger.acknowledge(lsn);
    } else if (kind < 90) {
      await Promise.all(pending.splice(0));
    } else if (kind < 95) {
      const lsn = random.below(wal.durableLsn + 1);
      this.#ledger.trimLsn = Math.max(this.#ledger.trimLsn, lsn);
      await wal.checkpoint(lsn);
    } else if (kind < 97) {
      await wal.seal();
    } else if (this.options.truncate) {
      await this.#truncate(wal, pending);
    }
  }

  /** Runs `append`, waiting for room as often as it takes. */
  async #withRoom(wal: Wal, append: () => void): Promise<void> {
    for (;;) {
      try {
        append();
        return;
      } catch (error) {
        if ((error as { code?: string }).code !== "WAL_BACKPRESSURE") throw error;
        await wal.ready();
      }
    }
  }

  #payload(): Uint8Array {
    this.#mark += 1;
    return randomPayload(this.#random, this.#mark);
  }

  #append(wal: Wal): number {
    const payload = this.#payload();
    const lsn = wal.append({ payload });
    this.#ledger.attempt(lsn, { payload, batch: 0 });
    return lsn;
  }

  #commit(wal: Wal, pending: Promise<unknown>[]): void {
    const lsn = this.#append(wal);
    const durable = wal.flushUntil(lsn).then(() => this.#ledger.acknowledge(lsn));
    durable.catch(() => undefined);
    pending.push(durable);
  }

  #appendBatch(wal: Wal): void {
    const payloads = Array.from({ length: 2 + this.#random.below(6) }, () =>
      this.#payload().subarray(0, 9000),
    );
    const range = wal.appendBatch(payloads.map((payload) => ({ payload })));
    this.#ledger.batches += 1;
    payloads.forEach((payload, index) => {
      this.#ledger.attempt(range.firstLsn + index, { payload, batch: this.#ledger.batches });
    });
  }

  async #truncate(wal: Wal, pending: Promise<unknown>[]): Promise<void> {
    await Promise.all(pending.splice(0));
    const first = Math.max(wal.trimLsn, this.#ledger.startLsn - 1);
    const lsn = first + this.#random.below(wal.nextLsn - first);
    if (lsn === wal.nextLsn - 1) return;
    this.#ledger.cutBegins(lsn);
    await wal.truncateAfter(lsn);
    this.#ledger.cutDone();
  }
}
