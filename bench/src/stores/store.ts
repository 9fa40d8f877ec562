import type { Figures } from "../round.js";

/** Something that records can be kept in, used as its own users would so that an acknowledged one survives a power cut. */
export interface Store {
  readonly name: string;
  /** Makes one more record durable: when it returns, or when its promise resolves. */
  commit(payload: Uint8Array): Promise<unknown> | undefined;
  /** Makes `count` records durable together. */
  bulk(payloads: () => Uint8Array, count: number): Promise<unknown> | undefined;
  /** Reads every record, in order. Answers how many there were. */
  replay?(): Promise<number> | number;
  /** Has everything ready that a round doesn't count. */
  beginRound?(): Promise<void>;
  /** What only the store itself knows of the round. */
  endRound?(): Figures;
  close(): Promise<void>;
}

export interface StoreOptions {
  readonly segmentBytes: number;
}

export interface StoreKind {
  readonly name: string;
  /** Makes a store in a directory of its own, which is there and empty. Rejects where that can't be had here. */
  open(directory: string, options: StoreOptions): Promise<Store>;
}
