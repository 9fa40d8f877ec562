import type { Arena, ChecksumRanges, IoBackend } from "@stonewal/io";
import {
  decodeRecord,
  FRAME_HEADER_BYTES,
  FRAMES_START,
  FrameBuilder,
  type FrameKind,
  MAX_LSN,
  type OpenBody,
  paddedFrameBytes,
  type RecordInput,
  recordBytes,
  validateRecord,
} from "@stonewal/record";
import type { Position } from "@stonewal/recovery";
import { WalError } from "./errors.js";
import type { SegmentStart, Spare } from "./segment-store.js";

/**
 * Blocks at the end of a segment that only open, idle and close frames may use: a log whose disk is full can still be opened and
 * closed, and bear witness of what was durable.
 */
const WITNESS_BLOCKS = 8;

/** The smallest segment that has room for a frame of two blocks, besides preambles and witnesses. */
export function minSegmentBytes(blockBytes: number): number {
  return FRAMES_START + (WITNESS_BLOCKS + 2) * blockBytes;
}

/** A frame that is ready to be written. */
export interface SealedFrame {
  readonly work: "frame";
  readonly kind: FrameKind;
  readonly sequence: number;
  readonly offset: number;
  readonly frameNumber: number;
  /** LSN of the last record up to and including this frame. */
  readonly lastLsn: number;
  readonly records: number;
  readonly arena: Arena;
  /** Header and body, without the padding. */
  readonly length: number;
  readonly paddedLength: number;
  readonly checksum: bigint;
  /** What an open frame states. */
  readonly open: OpenBody | undefined;
}

/** The next segment becomes the active one before any later frame is written. */
export interface Roll {
  readonly work: "roll";
  readonly spare: Spare;
  readonly start: SegmentStart;
}

/** What there is no room for a record without: the buffer is full, or the segment is and the next one isn't there. */
export type Lack = "memory" | "segment";

export interface FrameAssemblerOptions {
  readonly io: IoBackend;
  readonly logId: Uint8Array;
  readonly incarnation: Uint8Array;
  readonly segmentBytes: number;
  readonly blockBytes: number;
  /** A frame is closed when it has grown to this size. */
  readonly frameBytes: number;
  /** Bound on the memory of all frames that are not durable yet. */
  readonly bufferBytes: number;
  /** Takes a segment file that is ready, if there is one. */
  readonly takeSpare: () => Spare | undefined;
  readonly spareReady: () => boolean;
  /** The number of the first frame that isn't known to be durable. */
  readonly watermark: () => number;
  /** What an open frame states at this moment. */
  readonly openBody: () => OpenBody;
  /** Whether segments begin with an open frame, as those of a log that acknowledges by its DWB do. */
  readonly openEverySegment: boolean;
}

/** Where frames go: in the order in which they are built, not in that in which they are written. */
interface Plan {
  sequence: number;
  /** Size of that segment: an older one may have been made with another setting. */
  segmentBytes: number;
  highestSequence: number;
  offset: number;
  frameNumber: number;
  nextLsn: number;
  chain: bigint;
}

/**
 * Turns records into frames with a place: gives LSNs, copies payloads into arenas, seals frames, and decides where segments
 * end. It does no I/O; what it has built waits in a queue, in order. An LSN is given only against memory and space
 * that are there.
 */
export class FrameAssembler {
  readonly #options: FrameAssemblerOptions;
  readonly #builder: FrameBuilder;
  readonly #plan: Plan;
  #queue: (SealedFrame | Roll)[] = [];
  /** Pieces of work that were ever queued. */
  #queued = 0;
  /** Where the frame behind the open frame at the active segment's head goes, if it has one there. */
  #headEnd = FRAMES_START;
  /** The frame that records are being added to. */
  #open: { arena: Arena; offset: number; firstLsn: number } | undefined;
  readonly #freeArenas: Arena[] = [];
  #bufferedBytes = 0;
  /** Bytes of records that the last attempt to append was for, if it was refused for lack of room. */
  #refusedBytes: number | undefined;
  #recordsAppended = 0;
  #payloadBytes = 0;

  constructor(
    options: FrameAssemblerOptions,
    position: Position,
    active: { sequence: number; segmentBytes: number; highestSequence: number },
  ) {
    this.#options = options;
    this.#builder = new FrameBuilder(options.blockBytes, options.io.checksum as ChecksumRanges | undefined);
    this.#plan = {
      ...active,
      offset: position.offset,
      frameNumber: position.frameNumber,
      nextLsn: position.nextLsn,
      chain: position.chain,
    };
  }

  get nextLsn(): number {
    return this.#plan.nextLsn;
  }

  /** The number the next frame will have. */
  get nextFrame(): number {
    return this.#plan.frameNumber + (this.#open === undefined ? 0 : 1);
  }

  /** Nothing has been planned in the active segment, but for the open frame at its head. */
  get atHead(): boolean {
    return this.#open === undefined && this.#plan.offset <= this.#headEnd;
  }

  get highestSequence(): number {
    return this.#plan.highestSequence;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** First LSN of the frame being filled, if there is one. */
  get openFirstLsn(): number | undefined {
    return this.#open?.firstLsn;
  }

  get hasQueued(): boolean {
    return this.#queue.length > 0;
  }

  /** How many pieces of work have ever been queued, and how many of them are done. */
  get work(): { queued: number; done: number } {
    return { queued: this.#queued, done: this.#queued - this.#queue.length };
  }

  #enqueue(work: SealedFrame | Roll): void {
    this.#queue.push(work);
    this.#queued += 1;
  }

  /** Records given an LSN since the log was opened. */
  get recordsAppended(): number {
    return this.#recordsAppended;
  }

  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  /** What the last attempt to append would lack now, if it was refused: not always what it lacked then. */
  get lacks(): Lack | undefined {
    const bytes = this.#refusedBytes;
    if (bytes === undefined || (this.#open !== undefined && this.#builder.fits(bytes))) return undefined;
    return this.#lack(this.#need(bytes));
  }

  /** The largest payload a record can have, in bytes. */
  get maxPayloadBytes(): number {
    return this.#maxBodyBytes() - recordBytes(0);
  }

  append(record: RecordInput): number {
    validateRecord(record);
    this.#reserve(recordBytes(record.payload.byteLength), 1);
    this.#builder.append(record);
    return this.#appended(1, record.payload.byteLength);
  }

  appendEncoded(encoded: Uint8Array): number {
    this.#reserve(encoded.byteLength, 1);
    this.#builder.appendEncoded(encoded);
    const { byteLength } = decodeRecord(encoded).payload;
    return this.#appended(1, byteLength);
  }

  /** All in one frame, so that they come back together or not at all. */
  appendBatch(records: readonly RecordInput[]): { firstLsn: number; lastLsn: number } {
    let bytes = 0;
    let payloadBytes = 0;
    for (const record of records) {
      validateRecord(record);
      payloadBytes += record.payload.byteLength;
      bytes += recordBytes(record.payload.byteLength);
    }
    this.#reserve(bytes, records.length);
    for (const record of records) this.#builder.append(record);
    const firstLsn = this.#appended(records.length, payloadBytes);
    return { firstLsn, lastLsn: firstLsn + records.length - 1 };
  }

  /** Gives LSNs to records that have been copied. Answers the first. */
  #appended(count: number, payloadBytes: number): number {
    const lsn = this.#plan.nextLsn;
    this.#plan.nextLsn += count;
    this.#recordsAppended += count;
    this.#payloadBytes += payloadBytes;
    return lsn;
  }

  /** Makes sure that the open frame has room for `bytes` of records. Throws with nothing changed. */
  #reserve(bytes: number, count: number): void {
    if (this.#plan.nextLsn > MAX_LSN - count + 1) {
      throw new WalError("WAL_LSN_EXHAUSTED", `no LSN is left after ${this.#plan.nextLsn - 1}`);
    }
    this.#refusedBytes = undefined;
    if (this.#open !== undefined && this.#builder.fits(bytes)) return;
    if (bytes > this.#maxBodyBytes()) {
      const { segmentBytes, bufferBytes } = this.#options;
      throw new WalError(
        "WAL_RECORD_TOO_LARGE",
        `${bytes} bytes of records don't fit in a frame: segments of ${segmentBytes} bytes and a buffer of ` +
          `${bufferBytes} bytes allow ${this.#maxBodyBytes()}`,
      );
    }
    const need = this.#need(bytes);
    const lacks = this.#lack(need);
    const spare = lacks === undefined && need.rolls ? this.#options.takeSpare() : undefined;
    if (lacks !== undefined) {
      this.#refusedBytes = bytes;
      throw new WalError(
        "WAL_BACKPRESSURE",
        lacks === "memory"
          ? `${this.#bufferedBytes} bytes wait to become durable`
          : "the next segment is still being prepared",
      );
    }
    this.sealOpen();
    if (spare !== undefined) this.#roll(spare);
    this.#begin(need.arenaBytes, need.capacity);
  }

  /** What a new frame for `bytes` of records takes: behind the one being filled, or in the next segment. */
  #need(bytes: number): { rolls: boolean; capacity: number; arenaBytes: number } {
    const { blockBytes, frameBytes } = this.#options;
    const needed = paddedFrameBytes(FRAME_HEADER_BYTES + bytes, blockBytes);
    const sealedEnd =
      this.#open === undefined ? this.#plan.offset : this.#open.offset + this.#builder.paddedLength;
    const roomHere = this.#plan.segmentBytes - WITNESS_BLOCKS * blockBytes - sealedEnd;
    const rolls = needed > roomHere;
    const capacity = Math.min(Math.max(frameBytes, needed), rolls ? this.#dataBytesPerSegment() : roomHere);
    return { rolls, capacity, arenaBytes: Math.max(frameBytes, capacity) };
  }

  #lack(need: { rolls: boolean; arenaBytes: number }): Lack | undefined {
    // One frame is always allowed, or a record larger than the bound's rest would wait for ever.
    const { bufferBytes, spareReady } = this.#options;
    if (this.#bufferedBytes > 0 && this.#bufferedBytes + need.arenaBytes > bufferBytes) return "memory";
    return need.rolls && !spareReady() ? "segment" : undefined;
  }

  #dataBytesPerSegment(): number {
    const { segmentBytes, blockBytes, openEverySegment } = this.#options;
    const witnesses = WITNESS_BLOCKS + (openEverySegment ? 1 : 0);
    return segmentBytes - FRAMES_START - witnesses * blockBytes;
  }

  #maxBodyBytes(): number {
    return Math.min(this.#dataBytesPerSegment(), this.#options.bufferBytes) - FRAME_HEADER_BYTES;
  }

  #begin(arenaBytes: number, capacity: number): void {
    const standard = arenaBytes === this.#options.frameBytes;
    const arena = (standard ? this.#freeArenas.pop() : undefined) ?? this.#options.io.arena(arenaBytes);
    this.#bufferedBytes += arena.bytes.byteLength;
    this.#open = { arena, offset: this.#plan.offset, firstLsn: this.#plan.nextLsn };
    this.#builder.begin(arena.bytes, 0, capacity);
  }

  #roll(spare: Spare): void {
    const plan = this.#plan;
    const sequence = plan.highestSequence + 1;
    this.#enqueue({
      work: "roll",
      spare,
      start: {
        sequence,
        firstLsn: plan.nextLsn,
        firstFrameNumber: plan.frameNumber,
        previousSequence: plan.sequence,
        previousFrameNumber: plan.frameNumber - 1,
        previousLsn: plan.nextLsn - 1,
        previousChecksum: plan.chain,
        previousEnd: plan.offset,
      },
    });
    plan.sequence = sequence;
    plan.segmentBytes = this.#options.segmentBytes;
    plan.highestSequence = sequence;
    plan.offset = FRAMES_START;
    this.#headEnd = FRAMES_START;
    // Were the one that names the DWB in an earlier segment only, a checkpoint could free it.
    if (!this.#options.openEverySegment) return;
    this.#sealEmpty("open");
    this.#headEnd = plan.offset;
  }

  /** Closes the frame being filled and queues it. */
  sealOpen(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    if (this.#builder.recordCount === 0) {
      // The record that opened this frame was refused while it was being added.
      this.#returnArena(open.arena);
      return;
    }
    this.#seal("data", open.arena, open.firstLsn, undefined);
  }

  #seal(kind: FrameKind, arena: Arena, firstLsn: number, open: OpenBody | undefined): void {
    const { logId, incarnation, io, watermark } = this.#options;
    const plan = this.#plan;
    const records = this.#builder.recordCount;
    const sealed = this.#builder.seal({
      kind,
      logId,
      incarnation,
      sequence: plan.sequence,
      offset: plan.offset,
      frameNumber: plan.frameNumber,
      firstLsn,
      watermark: watermark(),
      time: io.clock.now(),
      chain: plan.chain,
      ...(open === undefined ? {} : { open }),
    });
    this.#enqueue({
      work: "frame",
      kind,
      sequence: plan.sequence,
      offset: plan.offset,
      frameNumber: plan.frameNumber,
      lastLsn: firstLsn + records - 1,
      records,
      arena,
      open,
      ...sealed,
    });
    plan.offset += sealed.paddedLength;
    plan.frameNumber += 1;
    plan.chain = sealed.checksum;
  }

  /**
   * Queues an empty frame behind everything appended so far. False where there is no room for it, in this segment or a next one.
   */
  witness(kind: "open" | "idle" | "close"): boolean {
    const { blockBytes, takeSpare, openEverySegment } = this.#options;
    this.sealOpen();
    if (this.#plan.offset + blockBytes > this.#plan.segmentBytes) {
      const spare = takeSpare();
      if (spare === undefined) return false;
      this.#roll(spare);
      if (kind === "open" && openEverySegment) return true;
    }
    this.#sealEmpty(kind);
    return true;
  }

  #sealEmpty(kind: "open" | "idle" | "close"): void {
    const { blockBytes, io, openBody } = this.#options;
    const arena = io.arena(blockBytes);
    this.#bufferedBytes += blockBytes;
    this.#builder.begin(arena.bytes, 0, blockBytes);
    this.#seal(kind, arena, this.#plan.nextLsn, kind === "open" ? openBody() : undefined);
  }

  /** Queues the step to the next segment behind everything appended so far. */
  roll(spare: Spare): void {
    this.sealOpen();
    this.#roll(spare);
  }

  /** Goes on at a place that a cut has made; nothing may be queued. */
  restart(position: Position, sequence: number): void {
    const plan = this.#plan;
    plan.sequence = sequence;
    plan.segmentBytes = this.#options.segmentBytes;
    plan.highestSequence = Math.max(plan.highestSequence, sequence);
    plan.offset = position.offset;
    plan.frameNumber = position.frameNumber;
    plan.nextLsn = position.nextLsn;
    plan.chain = position.chain;
    this.#headEnd = FRAMES_START;
  }

  /** The next piece of work, which stays queued until `shift`. */
  peek(index = 0): SealedFrame | Roll | undefined {
    return this.#queue[index];
  }

  /** Takes the first `count` pieces of work off the queue: they are done. The memory of frames is given back by `release`. */
  shift(count: number): void {
    this.#queue.splice(0, count);
  }

  /** The frame's memory is not needed any more. */
  release(frame: SealedFrame): void {
    this.#returnArena(frame.arena);
  }

  #returnArena(arena: Arena): void {
    this.#bufferedBytes -= arena.bytes.byteLength;
    const { frameBytes, bufferBytes } = this.#options;
    const spareMemory = (this.#freeArenas.length + 1) * frameBytes <= bufferBytes;
    if (arena.bytes.byteLength === frameBytes && spareMemory) this.#freeArenas.push(arena);
  }
}
