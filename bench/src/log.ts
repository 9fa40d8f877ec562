import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setTimeout as sleep } from "node:timers/promises";
import { type BackendName, openWal, type Wal } from "stonewal";
import { type LogSettings, PAYLOAD_BYTES, type Workload } from "./cases.js";
import { type ChainShape, durations, type Round, type RoundLimits } from "./round.js";

const SEGMENT_BYTES = 64 * 1024 * 1024;
/** A round stays below half a segment, and begins in a new one where less is left. */
export const ROUND_BYTES = SEGMENT_BYTES / 4;

interface FlushMessage {
  readonly directory: string;
  readonly bytes: number;
  readonly records: number;
  readonly milliseconds: number;
}

/** A log on one back end, that rounds are run on. */
export class MeasuredLog {
  readonly #wal: Wal;
  readonly #payload = Buffer.alloc(PAYLOAD_BYTES, "stonewal");
  #bytesInSegment = 0;

  private constructor(wal: Wal) {
    this.#wal = wal;
  }

  /** Rejects with `IO_UNSUPPORTED` where the back end can't be had. Resolves when no zeros are being written any more. */
  static async open(dir: string, io: BackendName, { direct, dwb }: LogSettings): Promise<MeasuredLog> {
    const wal = await openWal({
      dir,
      io,
      direct,
      dwb: dwb ? (direct ? "direct" : "buffered") : "off",
      segmentBytes: SEGMENT_BYTES,
      // No flush but those that are asked for.
      idleMs: 0,
    });
    const log = new MeasuredLog(wal);
    await log.#settled();
    return log;
  }

  async round(workload: Workload, limits: RoundLimits): Promise<Round & { readonly shape: ChainShape }> {
    if (this.#bytesInSegment + limits.bytes > SEGMENT_BYTES / 2) await this.#freshSegment();
    const latency = durations();
    const chain = durations();
    let [records, chains, bytes] = [0, 0, 0];
    // Decided once per chain and for all committers: else the last chain would carry only some of them.
    let over = false;
    const onFlush = (message: unknown) => {
      const flush = message as FlushMessage;
      if (flush.directory !== this.#wal.directory) return;
      chain.add(flush.milliseconds);
      records += flush.records;
      bytes += flush.bytes;
      chains += 1;
      over = performance.now() - start >= limits.milliseconds || bytes >= limits.bytes;
    };
    const dwbBefore = this.#wal.stats().dwbBytesWritten;
    const start = performance.now();
    subscribe("stonewal:flush", onFlush);
    const committer = async () => {
      for (let now = start; !over; ) {
        await this.#commit(workload.appends);
        const done = performance.now();
        latency.add(done - now);
        now = done;
      }
    };
    try {
      await Promise.all(Array.from({ length: workload.committers }, committer));
    } finally {
      unsubscribe("stonewal:flush", onFlush);
    }
    const milliseconds = performance.now() - start;
    this.#bytesInSegment += bytes;
    const dwbBytes = this.#wal.stats().dwbBytesWritten - dwbBefore;
    return {
      records,
      milliseconds,
      latency: latency.histogram,
      chain: chain.histogram,
      shape: { records: records / chains, logBytes: bytes / chains, dwbBytes: dwbBytes / chains },
    };
  }

  close(): Promise<void> {
    return this.#wal.close();
  }

  async #commit(appends: number): Promise<void> {
    if (appends === 1) {
      await this.#wal.commit({ payload: this.#payload });
      return;
    }
    for (let count = 0; count < appends; count += 1) this.#wal.append({ payload: this.#payload });
    await this.#wal.sync();
  }

  /** The old segment is used again, so that this writes no zeros. */
  async #freshSegment(): Promise<void> {
    await this.#wal.seal();
    await this.#wal.checkpoint(this.#wal.durableLsn);
    await this.#settled();
    this.#bytesInSegment = 0;
  }

  /** Resolves when no segment is being prepared in the background. */
  async #settled(): Promise<void> {
    for (let before = -1; before !== this.#wal.stats().preparedBytes; ) {
      before = this.#wal.stats().preparedBytes;
      if (before % SEGMENT_BYTES !== 0) before = -1;
      await sleep(30);
    }
  }
}
