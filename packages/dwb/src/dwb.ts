import type { IoBackend, IoFile, Step } from "@stonewal/io";
import { countBytes } from "./counters.js";
import { emptySlots } from "./create.js";
import { DwbError } from "./errors.js";
import { type DwbGeometry, maxImageBytes, slotsFor } from "./geometry.js";
import { DwbImage, type DwbImages } from "./images.js";
import { KIND_IMAGE, KIND_VOID } from "./layout.js";
import { Mirror } from "./mirror.js";
import { type DwbTicket, Ring, type RingContents, RingEntry } from "./ring.js";
import { toU64 } from "./u64.js";

/** An image to be protected. Numbers are u64; `offset` at most 2^53 - 1. */
export interface DwbInput {
  /** What `recover` and voids go by: a page number, a frame number. May be used again; the newest counts. */
  readonly key: number | bigint;
  /** Which file it belongs to, as its owner numbers them. */
  readonly target: number | bigint;
  /** Byte offset in the target. */
  readonly offset: number | bigint;
  readonly version: number | bigint;
  /**
   * A number of the owner's own, kept with the image: everything below it was durable when this was staged. It says so still when the copies of that have been
   * overwritten, by this image perhaps. u64; default 0, which says nothing.
   */
  readonly watermark?: number | bigint;
  /** What is stored. Copied before `stage` returns. */
  readonly bytes: Uint8Array;
  /** Length of the whole image in bytes, where it ends with zeros that need not be stored. Default `bytes.length`. */
  readonly length?: number;
}

/** Steps that make durable what was staged, and the way to tell how they went. Exactly one of `done` and `failed` must be called. */
export interface DwbBatch {
  /** To be submitted in this order, at the front of a chain or alone. Empty where nothing was staged. */
  readonly steps: readonly Step[];
  /** All steps have completed: what was staged is durable. */
  done(): void;
  /**
   * A step failed, or was never run: the buffer is poisoned (`DWB_FAILED`). Not for a chain that failed at a later step, behind
   * these (`IoError.step` at or above `steps.length`): then `done()`.
   */
  failed(error: unknown): void;
}

export interface DwbStats {
  /** Written by flushes that completed, headers and padding included. */
  readonly bytesWritten: number;
  /** Flushes that wrote something and completed. */
  readonly flushes: number;
  /** Images and voids made durable. */
  readonly images: number;
  readonly voids: number;
  /** Slots held now: staged, in flight, or waiting for their release. */
  readonly slotsUsed: number;
  readonly slotsFree: number;
}

type State =
  | { readonly name: "open" }
  | { readonly name: "closed" }
  | { readonly name: "failed"; readonly cause: unknown };

/** An open double-write buffer. Made by `openDwb`. */
export class Dwb {
  readonly path: string;
  readonly mode: "buffered" | "direct";
  /** 16 random bytes that name this buffer. */
  readonly id: Uint8Array;
  readonly slots: number;
  readonly slotBytes: number;
  readonly blockBytes: number;
  /** Distance from one slot to the next in the file, in bytes. */
  readonly slotStride: number;
  /** Largest image in bytes, trailing zeros included. */
  readonly maxImageBytes: number;

  readonly #io: IoBackend;
  readonly #file: IoFile;
  readonly #geometry: DwbGeometry;
  readonly #ring: Ring;
  readonly #mirror: Mirror;
  #staged: RingEntry[] = [];
  /** Batches that were taken and not settled. */
  readonly #inFlight = new Set<Settlement>();
  #state: State = { name: "open" };
  #closing: Promise<void> | undefined;
  #hasUnrecovered: boolean;
  #unreadable: readonly number[];
  #bytesWritten = 0;
  #flushes = 0;
  #images = 0;
  #voids = 0;

  /** @internal */
  constructor(
    io: IoBackend,
    file: IoFile,
    mode: "buffered" | "direct",
    id: Uint8Array,
    geometry: DwbGeometry,
    found: DwbImages,
    next: number,
  ) {
    this.#io = io;
    this.#file = file;
    this.#geometry = geometry;
    this.#ring = new Ring(geometry);
    this.#mirror = new Mirror(io, file, id, geometry);
    this.path = file.path;
    this.mode = mode;
    this.id = id;
    this.slots = geometry.slots;
    this.slotBytes = geometry.slotBytes;
    this.blockBytes = geometry.blockBytes;
    this.slotStride = geometry.slotStride;
    this.maxImageBytes = maxImageBytes(geometry);
    const oldestFirst = [...found].reverse();
    for (const image of oldestFirst)
      this.#ring.remember(
        image.ringSequence,
        {
          kind: KIND_IMAGE,
          key: image.key,
          target: image.target,
          offset: image.offset,
          version: image.version,
          watermark: image.watermark,
          length: image.length,
          stored: image.stored.length,
        },
        image.stored,
      );
    this.#ring.startAt(next);
    this.#hasUnrecovered = oldestFirst.length > 0;
    this.#unreadable = found.unreadableSlots;
  }

  get stats(): DwbStats {
    return {
      bytesWritten: this.#bytesWritten,
      flushes: this.#flushes,
      images: this.#images,
      voids: this.#voids,
      slotsUsed: this.slots - this.#ring.freeSlots,
      slotsFree: this.#ring.freeSlots,
    };
  }

  /** The failure that poisoned the buffer, if one did. */
  get failure(): unknown {
    return this.#state.name === "failed" ? this.#state.cause : undefined;
  }

  /** The file held images when it was opened, and `releaseRecovered()` has not been called since. */
  get hasUnrecovered(): boolean {
    return this.#hasUnrecovered;
  }

  /**
   * States that nothing the file held when it was opened is needed any more to put a torn page right: every page that was torn has been put
   * back and its home is synced. The images stay there to be recovered until their slots are used again. Idempotent.
   */
  releaseRecovered(): void {
    this.#hasUnrecovered = false;
  }

  /**
   * Writes slots anew that could not be read when the file was opened, which mends most bad blocks. Left alone, whoever reads the
   * file next can't tell whether they hold something that is needed. For after `releaseRecovered`, before anything is staged.
   * Resolves when it is done; rejects with an `IoError` where the device can't write them either.
   */
  async mendUnreadable(): Promise<void> {
    this.#assertOpen();
    const indexes = this.#unreadable;
    this.#unreadable = [];
    if (indexes.length > 0) await emptySlots(this.#io, this.path, this.#geometry, indexes);
  }

  /** Slots that an image with `storedBytes` to store takes. */
  slotsFor(storedBytes: number): number {
    return slotsFor(this.#geometry, storedBytes);
  }

  /**
   * Whether an image with `storedBytes` to store can be staged: now, later (when earlier tickets are released), or never.
   * `length`: of the whole image, where it is more.
   */
  fits(storedBytes: number, length = storedBytes): "now" | "later" | "never" {
    const slots = this.slotsFor(storedBytes);
    if (slots > this.slots || length > this.maxImageBytes) return "never";
    return slots > this.#ring.freeSlots || this.#hasUnrecovered ? "later" : "now";
  }

  /**
   * Copies an image into the next slots. It is durable once a `flush`, or the steps of a `takeSteps`, have completed: only then may its home be
   * written. Throws, and has then staged nothing: `DWB_FULL`, `DWB_TOO_LARGE`, `DWB_UNRECOVERED`, `DWB_ARGUMENT`, `DWB_CLOSED`, `DWB_FAILED`.
   */
  stage(image: DwbInput): DwbTicket {
    const { bytes, length = bytes.length } = image;
    if (!Number.isSafeInteger(length) || length < 1 || length < bytes.length)
      throw new DwbError(
        "DWB_ARGUMENT",
        `length must be at least the ${bytes.length} bytes given, and 1; not ${length}`,
      );
    const offset = toU64(image.offset, "offset");
    if (offset > BigInt(Number.MAX_SAFE_INTEGER))
      throw new DwbError("DWB_ARGUMENT", `offset must be at most 2^53 - 1, not ${offset}`);
    if (length > this.maxImageBytes)
      throw new DwbError(
        "DWB_TOO_LARGE",
        `an image of ${length} bytes; this buffer takes up to ${this.maxImageBytes}`,
      );
    const contents: RingContents = {
      kind: KIND_IMAGE,
      key: toU64(image.key, "key"),
      target: toU64(image.target, "target"),
      offset: Number(offset),
      version: toU64(image.version, "version"),
      watermark: toU64(image.watermark ?? 0, "watermark"),
      length,
      stored: bytes.length,
    };
    return this.#take(contents, bytes);
  }

  /**
   * Takes a slot that says: every older copy of this key is void. To be durable before the key's home is written unprotected, or an older image could
   * replace, after a crash, what was acknowledged since. Release it when that home is synced. Throws as `stage` does.
   */
  stageVoid(key: number | bigint): DwbTicket {
    const contents: RingContents = {
      kind: KIND_VOID,
      key: toU64(key, "key"),
      target: 0n,
      offset: 0,
      version: 0n,
      watermark: 0n,
      length: 0,
      stored: 0,
    };
    return this.#take(contents, new Uint8Array());
  }

  /**
   * The steps that make everything staged so far durable: for a caller that puts them at the front of its own chain. Until the batch is settled its slots
   * are in flight. Throws `DWB_CLOSED`, `DWB_FAILED`.
   */
  takeSteps(): DwbBatch {
    this.#assertOpen();
    return this.#takeBatch();
  }

  /**
   * Resolves when everything staged before the call is durable, batches of `takeSteps` included. Nothing staged: nothing is
   * written. Concurrent calls are fine. Rejects with `DWB_FAILED`, `DWB_CLOSED`.
   */
  async flush(): Promise<void> {
    this.#assertOpen();
    await this.#flush();
  }

  /** Stages an image and flushes it. Rejects as `stage` and `flush` do. */
  async write(image: DwbInput): Promise<DwbTicket> {
    const ticket = this.stage(image);
    await this.flush();
    return ticket;
  }

  /**
   * States that the home location of a ticket's image is synced. Its slots are free once all older tickets are released too, and their
   * own writes have completed. The image stays to be recovered until then, and after, until its slots are used again. Idempotent; throws
   * `DWB_ARGUMENT` for a ticket of another buffer.
   */
  release(ticket: DwbTicket): void {
    if (!(ticket instanceof RingEntry) || ticket.ring !== this.#ring)
      throw new DwbError("DWB_ARGUMENT", "the ticket is not one of this buffer");
    ticket.released = true;
    this.#ring.freeReleased();
  }

  /** The newest durable image of a key: of this process or found when the file was opened. `undefined` where there is none, or it is void. */
  recover(key: number | bigint): DwbImage | undefined {
    const entry = this.#ring.newest(toU64(key, "key"));
    return entry && new DwbImage(entry, entry.found?.slice() ?? this.#mirror.storedOf(entry));
  }

  /**
   * Whether an image of this key is in the buffer, or will be with the next flush, that no void follows: then the key's home may be written
   * unprotected only once a `stageVoid` of it is durable.
   */
  holds(key: number | bigint): boolean {
    return this.#ring.holds(toU64(key, "key"));
  }

  /** Flushes what is staged, waits for batches in flight, and closes the file, also where that fails. Idempotent. Rejects with `DWB_FAILED`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const flushed = this.#state.name === "open" ? this.#flush() : Promise.allSettled(this.#settlements());
    if (this.#state.name === "open") this.#state = { name: "closed" };
    try {
      await flushed;
    } finally {
      await this.#file.close();
    }
  }

  #assertOpen(): void {
    if (this.#state.name === "failed") throw this.#failedError(this.#state.cause);
    if (this.#state.name === "closed") throw new DwbError("DWB_CLOSED", `${this.path} is closed`);
  }

  #failedError(cause: unknown): DwbError {
    return new DwbError(
      "DWB_FAILED",
      `the double-write buffer ${this.path} failed and protects nothing any more`,
      cause,
    );
  }

  #take(contents: RingContents, bytes: Uint8Array): RingEntry {
    this.#assertOpen();
    if (this.#hasUnrecovered)
      throw new DwbError(
        "DWB_UNRECOVERED",
        `${this.path} holds images of an earlier life; recover, then call releaseRecovered()`,
      );
    const entry = this.#ring.take(contents);
    this.#mirror.put(entry, bytes);
    this.#staged.push(entry);
    return entry;
  }

  async #flush(): Promise<void> {
    const batch = this.#takeBatch();
    if (batch.steps.length > 0) this.#io.submit(batch.steps).then(batch.done, batch.failed);
    // All of them, not only this one: what was staged before may be in a batch that was taken earlier.
    await Promise.all(this.#settlements());
  }

  #settlements(): Promise<void>[] {
    return Array.from(this.#inFlight, (batch) => batch.wait());
  }

  #takeBatch(): DwbBatch {
    const entries = this.#staged;
    this.#staged = [];
    if (entries.length === 0) return { steps: [], done: () => undefined, failed: () => undefined };
    const steps = this.#mirror.steps(entries);
    const settlement = new Settlement();
    this.#inFlight.add(settlement);
    return {
      steps,
      done: () => {
        if (!this.#inFlight.delete(settlement)) return;
        this.#completed(entries, steps);
        settlement.resolve();
      },
      failed: (error) => {
        if (this.#state.name !== "failed") this.#state = { name: "failed", cause: error };
        if (this.#inFlight.delete(settlement)) settlement.reject(this.#failedError(this.#state.cause));
      },
    };
  }

  #completed(entries: readonly RingEntry[], steps: readonly Step[]): void {
    for (const entry of entries) {
      entry.durable = true;
      if (entry.kind === KIND_VOID) this.#voids++;
      else this.#images++;
    }
    let written = 0;
    for (const step of steps) if (step.kind === "write") written += step.region.length;
    this.#bytesWritten += written;
    this.#flushes++;
    countBytes(written);
    this.#ring.freeReleased();
  }
}

/** What becomes of a batch, for those who ask: mostly nobody does. */
class Settlement {
  readonly #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  wait(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  resolve(): void {
    for (const { resolve } of this.#waiting) resolve();
  }

  reject(error: Error): void {
    for (const { reject } of this.#waiting) reject(error);
  }
}
