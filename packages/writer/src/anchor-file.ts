import type { Arena, IoBackend, IoFile } from "@stonewal/io";
import { ANCHOR_BYTES, encodeAnchor, PREAMBLE_COPY_OFFSET } from "@stonewal/record";
import type { LogPacking } from "./packing.js";

/** What the anchor states; see docs/format.md. */
export interface AnchorState {
  readonly trimLsn: number;
  /** Every frame with a number below this is durable. */
  readonly watermark: number;
  /** The last durable LSN at that watermark. */
  readonly durableLsn: number;
  /** Sequence of the newest segment that has its name. */
  readonly sequence: number;
}

export interface AnchorFileOptions {
  readonly direct: boolean;
  readonly blockBytes: number;
  readonly packing: LogPacking;
}

/**
 * The log's anchor: two copies in one preallocated file, so that writing it needs no free space and one of them survives
 * whatever a crash does to the other.
 */
export class AnchorFile {
  readonly #io: IoBackend;
  readonly #file: IoFile;
  readonly #logId: Uint8Array;
  readonly #blockBytes: number;
  readonly #packing: LogPacking;
  readonly #arena: Arena;
  #generation: number;
  /** Never lowered: what lies below may have been freed. */
  #trimLsn: number;
  #lastWrite: Promise<void> = Promise.resolve();

  private constructor(
    io: IoBackend,
    file: IoFile,
    logId: Uint8Array,
    { blockBytes, packing }: AnchorFileOptions,
    last: { generation: number; trimLsn: number },
  ) {
    this.#io = io;
    this.#file = file;
    this.#logId = logId;
    this.#blockBytes = blockBytes;
    this.#packing = packing;
    this.#generation = last.generation;
    this.#trimLsn = last.trimLsn;
    this.#arena = io.arena(2 * blockBytes);
  }

  /** Opens the anchor of a log; `last` is what was read of it. */
  static async open(
    io: IoBackend,
    path: string,
    logId: Uint8Array,
    options: AnchorFileOptions & { last: { generation: number; trimLsn: number } },
  ): Promise<AnchorFile> {
    const file = await io.open(path, { access: "write", direct: options.direct });
    return new AnchorFile(io, file, logId, options, options.last);
  }

  /** Makes the file of a new log. Its name is durable once the caller has synced the directory. */
  static async create(
    io: IoBackend,
    path: string,
    logId: Uint8Array,
    options: AnchorFileOptions,
  ): Promise<AnchorFile> {
    const file = await io.open(path, { access: "create", direct: options.direct });
    const anchor = new AnchorFile(io, file, logId, options, { generation: 0, trimLsn: 0 });
    await file.writeZeros(0, ANCHOR_BYTES);
    return anchor;
  }

  /**
   * Resolves when both copies are durable. Writes go one after the other, each with what `state` says when its turn has come,
   * and never with a lower trim point than before.
   */
  write(state: () => AnchorState): Promise<void> {
    const written = this.#lastWrite.then(() => this.#write(state()));
    this.#lastWrite = written.catch(() => undefined);
    return written;
  }

  async #write(state: AnchorState): Promise<void> {
    this.#generation += 1;
    this.#trimLsn = Math.max(this.#trimLsn, state.trimLsn);
    const { watermark, durableLsn, sequence } = state;
    const stated = this.#packing.anchor({
      logId: this.#logId,
      generation: this.#generation,
      time: this.#io.clock.now(),
      trimPoint: this.#trimLsn,
      watermark,
      durableLsn,
      sequence,
    });
    const encoded = encodeAnchor(stated);
    for (const copy of [0, 1]) {
      const from = copy * PREAMBLE_COPY_OFFSET;
      this.#arena.bytes.set(encoded.subarray(from, from + this.#blockBytes), copy * this.#blockBytes);
    }
    const region = (copy: number) => ({
      arena: this.#arena,
      start: copy * this.#blockBytes,
      length: this.#blockBytes,
    });
    // The first copy is durable before the second is touched: a crash can hurt only one.
    await this.#io.submit([
      { kind: "write", file: this.#file, region: region(0), offset: 0, durable: true },
      { kind: "write", file: this.#file, region: region(1), offset: PREAMBLE_COPY_OFFSET, durable: true },
    ]);
  }

  async close(): Promise<void> {
    await this.#lastWrite;
    await this.#file.close();
  }
}
