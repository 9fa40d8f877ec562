import type { Latencies } from "./latencies.js";

/** What is measured of a side in each round. */
export interface Figures {
  /** Records made durable, or read, per second. */
  perSecond?: number;
  /** Payload bytes made durable, or read, per second. */
  bytesPerSecond?: number;
  /** Microseconds from the call, or from the intended arrival, to the word that it is durable. */
  p50Us?: number;
  p99Us?: number;
  /** Microseconds from a chain's submission to its completion, one trip to the disk: what `p50Us` has beyond it is JavaScript. */
  chainP50Us?: number;
  /** Records that shared a trip to the disk. */
  recordsPerChain?: number;
  /** Bytes that the process gave the disk for each byte of payload, the file system's own journal not among them. */
  writtenPerByte?: number;
  /** Processor time of the whole process, its threads and the kernel's work for it included, in microseconds. */
  cpuUsPerRecord?: number;
  /** Event-loop delay, of a timer due every millisecond, that millisecond included. */
  loopDelayP99Ms?: number;
  /** Of the one thing that was timed. */
  milliseconds?: number;
  /** High-water mark of the process that did it. */
  maxRssMiB?: number;
}

export type Figure = keyof Figures;

/** What one side did in one round. */
export interface Round {
  readonly figures: Figures;
  readonly latencies?: Latencies;
}

/** When a round is over: whichever comes first. */
export interface RoundLimits {
  readonly milliseconds: number;
  /** Of payload. */
  readonly bytes: number;
}

/** Takes part in a case, in turns with others. */
export interface Side {
  readonly name: string;
  round(limits: RoundLimits): Promise<Round>;
}
