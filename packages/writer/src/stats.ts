import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import type { UntornLimits } from "@stonewal/io";

/** Whether new commits get a second copy: `off` was chosen, `degraded` means the DWB failed and the log goes on without. */
export type Protection = "off" | "protecting" | "degraded";

/** A distribution of durations in microseconds, or of counts. */
export interface Distribution {
  readonly count: number;
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface WalStats {
  /** Records given an LSN since the log was opened. */
  readonly recordsAppended: number;
  readonly payloadBytes: number;
  /** Frames written, empty ones included. */
  readonly frames: number;
  /** Chains completed: each is one commit of everything in it. */
  readonly flushes: number;
  /** Bytes of frames written to segments, padding included. */
  readonly segmentBytesWritten: number;
  /** Bytes written to the double-write buffer since the log was opened. */
  readonly dwbBytesWritten: number;
  /** Bytes of zeros written to prepare segments ahead of need. */
  readonly preparedBytes: number;
  readonly protection: Protection;
  /** What acknowledges commits at this moment; `wal` where the DWB that was to do it has been given up. */
  readonly ack: "wal" | "dwb";
  /** With `ack: "dwb"`: frames that are durable in the DWB and not yet in the log's own files. */
  readonly framesOnlyInDwb: number;
  /** With `ack: "dwb"`: chains that brought such frames home. */
  readonly homeChains: number;
  /** Frames that have (had) a copy in the DWB. */
  readonly protectedFrames: number;
  /** Frames written while a DWB was in use, but too large for it. */
  readonly unprotectedFrames: number;
  /** Frames written while a DWB was in use, without a copy in it, because the device promises not to tear them (`dwb: "auto"`). */
  readonly untornFrames: number;
  /**
   * With `dwb: "auto"`: the writes that the device promises not to tear. Undefined without `auto`, and where nothing is promised:
   * then every frame is copied.
   */
  readonly untornWriteBytes: UntornLimits | undefined;
  readonly segmentsActivated: number;
  readonly segmentsRecycled: number;
  readonly segmentsRemoved: number;
  readonly checkpoints: number;
  /** Bytes of memory held by records that are not yet durable, and its bound. */
  readonly bufferedBytes: number;
  readonly bufferLimitBytes: number;
  /** From the submission of a chain to its completion, in microseconds. */
  readonly flushMicroseconds: Distribution;
  /** Records per chain. */
  readonly recordsPerFlush: Distribution;
}

const EMPTY: Distribution = { count: 0, min: 0, mean: 0, p50: 0, p99: 0, p999: 0, max: 0 };

function distribution(histogram: RecordableHistogram): Distribution {
  if (histogram.count === 0) return EMPTY;
  return {
    count: histogram.count,
    min: histogram.min,
    mean: histogram.mean,
    p50: histogram.percentile(50),
    p99: histogram.percentile(99),
    p999: histogram.percentile(99.9),
    max: histogram.max,
  };
}

/** The counters behind `WalStats`. */
export class Counters {
  frames = 0;
  flushes = 0;
  segmentBytesWritten = 0;
  preparedBytes = 0;
  protectedFrames = 0;
  unprotectedFrames = 0;
  untornFrames = 0;
  homeChains = 0;
  segmentsActivated = 0;
  segmentsRecycled = 0;
  segmentsRemoved = 0;
  checkpoints = 0;
  readonly #flushMicroseconds = createHistogram();
  readonly #recordsPerFlush = createHistogram();

  flushed(milliseconds: number, records: number): void {
    this.flushes += 1;
    this.#flushMicroseconds.record(Math.max(1, Math.round(milliseconds * 1000)));
    if (records > 0) this.#recordsPerFlush.record(records);
  }

  snapshot(
    now: Pick<
      WalStats,
      | "recordsAppended"
      | "payloadBytes"
      | "dwbBytesWritten"
      | "protection"
      | "ack"
      | "framesOnlyInDwb"
      | "untornWriteBytes"
      | "bufferedBytes"
      | "bufferLimitBytes"
    >,
  ): WalStats {
    return {
      frames: this.frames,
      flushes: this.flushes,
      segmentBytesWritten: this.segmentBytesWritten,
      preparedBytes: this.preparedBytes,
      protectedFrames: this.protectedFrames,
      unprotectedFrames: this.unprotectedFrames,
      untornFrames: this.untornFrames,
      homeChains: this.homeChains,
      segmentsActivated: this.segmentsActivated,
      segmentsRecycled: this.segmentsRecycled,
      segmentsRemoved: this.segmentsRemoved,
      checkpoints: this.checkpoints,
      flushMicroseconds: distribution(this.#flushMicroseconds),
      recordsPerFlush: distribution(this.#recordsPerFlush),
      ...now,
    };
  }
}
