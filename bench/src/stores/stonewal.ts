import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setTimeout as sleep } from "node:timers/promises";
import { type OpenWalOptions, openWal, type ReplayOptions, type Wal, type WalStats } from "stonewal";
import { Latencies } from "../latencies.js";
import type { Figures } from "../round.js";
import type { Store, StoreKind, StoreOptions } from "./store.js";

/** How the log is written, beyond its defaults. */
export type LogMode = Omit<OpenWalOptions, "dir" | "segmentBytes">;

/** What a chain carries on average. */
export interface ChainShape {
  readonly logBytes: number;
  /** 0: there is no double-write buffer. */
  readonly dwbBytes: number;
}

interface FlushMessage {
  readonly directory: string;
  readonly milliseconds: number;
}

/** The log, checkpointed between rounds, so that it writes into recycled segments as a log in steady use does. */
export class StonewalStore implements Store {
  readonly name: string;
  readonly wal: Wal;
  /** Of the last round. */
  shape: ChainShape = { logBytes: 4096, dwbBytes: 0 };
  readonly #segmentBytes: number;
  #segmentStartBytes = 0;
  #before: WalStats;
  #chains = new Latencies();

  private constructor(name: string, wal: Wal, segmentBytes: number) {
    this.name = name;
    this.wal = wal;
    this.#segmentBytes = segmentBytes;
    this.#before = wal.stats();
  }

  /** Resolves when no zeros are being written any more. */
  static async open(
    name: string,
    dir: string,
    { segmentBytes, ...mode }: LogMode & StoreOptions,
  ): Promise<StonewalStore> {
    // No flush but those that are asked for.
    const wal = await openWal({ idleMs: 0, ...mode, segmentBytes, dir });
    const store = new StonewalStore(name, wal, segmentBytes);
    await store.#settled();
    return store;
  }

  commit(payload: Uint8Array): Promise<unknown> {
    return this.wal.commit({ payload });
  }

  async bulk(payloads: () => Uint8Array, count: number): Promise<void> {
    for (let append = 0; append < count; append += 1) this.wal.append({ payload: payloads() });
    await this.wal.sync();
  }

  /** By default as the log is written: past the page cache where that works. */
  async replay(options: Pick<ReplayOptions, "direct"> = {}): Promise<number> {
    let count = 0;
    for await (const { payload } of this.wal.read(options)) if (payload.length > 0) count += 1;
    return count;
  }

  async beginRound(): Promise<void> {
    const { segmentBytesWritten } = this.wal.stats();
    // Half of one is left at least, so that few rounds meet the end of a segment.
    if (segmentBytesWritten - this.#segmentStartBytes > this.#segmentBytes / 2) await this.freshSegment();
    this.#chains = new Latencies();
    this.#before = this.wal.stats();
    subscribe("stonewal:flush", this.#onFlush);
  }

  endRound(): Figures {
    unsubscribe("stonewal:flush", this.#onFlush);
    const [before, after] = [this.#before, this.wal.stats()];
    const since = (
      name: "flushes" | "segmentBytesWritten" | "dwbBytesWritten" | "payloadBytes" | "recordsAppended",
    ) => after[name] - before[name];
    const chains = since("flushes");
    this.shape = {
      logBytes: since("segmentBytesWritten") / chains,
      dwbBytes: since("dwbBytesWritten") / chains,
    };
    return {
      chainP50Us: this.#chains.quantileUs(0.5) ?? 0,
      recordsPerChain: since("recordsAppended") / chains,
      writtenPerByte: (since("segmentBytesWritten") + since("dwbBytesWritten")) / since("payloadBytes"),
    };
  }

  /** The old segment is used again, so that this writes no zeros. */
  async freshSegment(): Promise<void> {
    await this.wal.seal();
    await this.wal.checkpoint(this.wal.durableLsn);
    await this.#settled();
    this.#segmentStartBytes = this.wal.stats().segmentBytesWritten;
  }

  close(): Promise<void> {
    return this.wal.close();
  }

  readonly #onFlush = (message: unknown) => {
    const flush = message as FlushMessage;
    if (flush.directory === this.wal.directory) this.#chains.add(flush.milliseconds);
  };

  /** Resolves when no segment is being prepared in the background. */
  async #settled(): Promise<void> {
    for (let before = -1; before !== this.wal.stats().preparedBytes; ) {
      before = this.wal.stats().preparedBytes;
      if (before % this.#segmentBytes !== 0) before = -1;
      await sleep(30);
    }
  }
}

/** The log in one of its modes. `STONEWAL` is what `openWal({ dir })` gives. */
export function stonewal(name: string, mode: LogMode): StoreKind {
  return { name, open: (directory, options) => StonewalStore.open(name, directory, { ...mode, ...options }) };
}

export const STONEWAL = "stonewal";
export const WITHOUT_DWB = "stonewal, DWB off";
/** Its files are in memory already, as the databases' are. */
export const FROM_CACHE = "stonewal, page cache";
export const ACK_DWB = "stonewal, ack: 'dwb'";
export const IO_PWRITE = "stonewal, io: 'pwrite'";

/** As most people open it; acknowledged by one trip to the disk instead of two; and as those do who need no second copy. */
export const logs: readonly StoreKind[] = [
  stonewal(STONEWAL, {}),
  stonewal(ACK_DWB, { ack: "dwb" }),
  stonewal(WITHOUT_DWB, { dwb: "off" }),
];
