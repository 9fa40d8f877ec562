import type { Arena, ChecksumRanges, IoBackend } from "@stonewal/io";
import {
  FRAME_HEADER_BYTES,
  FRAMES_START,
  FrameBuilder,
  type FrameKind,
  MAX_LSN,
  MAX_PACKED_BYTES,
  type OpenBody,
  type Packing,
  type Preamble,
  paddedFrameBytes,
  preambleTag,
  RecordError,
  type RecordInput,
  recordBytes,
  validateRecord,
} from "@stonewal/record";
import type { Position } from "@stonewal/recovery";
import { WalError } from "./errors.js";
import type { LogPacking } from "./packing.js";
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
  readonly encrypted: boolean;
  readonly tag: Uint8Array;
}

/** The next segment becomes the active one before any later frame is written. */
export interface Roll {
  readonly work: "roll";
  readonly spare: Spare;
  readonly preamble: Preamble;
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
  readonly packing: LogPacking;
  /** What a spare will state as a segment; see `SegmentStore`. */
  readonly preambleFor: (spare: Spare, start: SegmentStart) => Preamble;
  /** Gives back what memory can be given back at once. */
  readonly reclaim: () => void;
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
  /** Of the frame or preamble before; zeros where that isn't encrypted. */
  tag: Uint8Array;
  /** Of the segment's key; 0: none. */
  keyId: number;
  /** How frames are packed in that segment. */
  packing: Packing | undefined;
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
  /** What the last attempt to append was for, if it was refused for lack of room. */
  #refused: { readonly bytes: number; readonly records: number } | undefined;
  #recordsAppended = 0;
  #payloadBytes = 0;

  constructor(
    options: FrameAssemblerOptions,
    position: Position,
    active: { preamble: Preamble; highestSequence: number },
  ) {
    this.#options = options;
    const { sequence, segmentBytes, encryption } = active.preamble;
    const keyId = encryption?.keyId ?? 0;
    this.#builder = new FrameBuilder(options.blockBytes, options.io.checksum as ChecksumRanges | undefined);
    this.#plan = {
      sequence,
      segmentBytes,
      highestSequence: active.highestSequence,
      offset: position.offset,
      frameNumber: position.frameNumber,
      nextLsn: position.nextLsn,
      chain: position.chain,
      tag: position.tag,
      keyId,
      // With another key than the current one nothing is written any more: the log rolls first.
      packing: keyId === options.packing.keyId ? options.packing.framesWith(keyId) : undefined,
    };
  }

  /** The active segment has another key than the current one, or none where there is one: the log must roll before anything is written. */
  get keyIsOld(): boolean {
    return this.#plan.keyId !== this.#options.packing.keyId;
  }

  get nextLsn(): number {
    return this.#plan.nextLsn;
  }

  /** Where the next frame goes, and what it is chained to. */
  get end(): Pick<Position, "offset" | "chain"> {
    const { offset, chain } = this.#plan;
    return { offset, chain };
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
    if (this.#refused === undefined) return undefined;
    const { bytes, records } = this.#refused;
    if (this.#open !== undefined && this.#builder.fits(bytes, records)) return undefined;
    return this.#lack(this.#need(bytes + records * this.#options.packing.routingBytes));
  }

  /** Whether the record would come behind a step to another segment. */
  rollsBefore(record: RecordInput): boolean {
    const bytes = validateRecord(record);
    if (this.#queue.some(({ work }) => work === "roll")) return true;
    if (this.#open !== undefined && this.#builder.fits(bytes, 1)) return false;
    const body = bytes + this.#options.packing.routingBytes;
    return body <= this.#maxBodyBytes() && this.#need(body).rolls;
  }

  /** The largest payload a record can have, in bytes. */
  get maxPayloadBytes(): number {
    return this.#maxBodyBytes() - this.#options.packing.routingBytes - recordBytes(0);
  }

  append(record: RecordInput): number {
    this.#reserve(validateRecord(record), 1);
    return this.#appended(1, this.#builder.append(record));
  }

  appendEncoded(encoded: Uint8Array): number {
    if (!(encoded instanceof Uint8Array)) {
      throw new RecordError("RECORD_ARGUMENT", "an encoded record must be a Uint8Array");
    }
    this.#reserve(encoded.byteLength, 1);
    return this.#appended(1, this.#builder.appendEncoded(encoded));
  }

  /** All in one frame, so that they come back together or not at all. */
  appendBatch(records: readonly RecordInput[]): { firstLsn: number; lastLsn: number } {
    // As it is now: reading a record may change the array.
    const batch = [...records];
    let bytes = 0;
    for (const record of batch) bytes += validateRecord(record);
    this.#reserve(bytes, batch.length);
    const firstLsn = this.#appended(batch.length, this.#builder.appendAll(batch));
    return { firstLsn, lastLsn: firstLsn + batch.length - 1 };
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
    this.#refused = undefined;
    if (this.#open !== undefined && this.#builder.fits(bytes, count)) return;
    const body = bytes + count * this.#options.packing.routingBytes;
    if (body > this.#maxBodyBytes()) {
      const { segmentBytes, bufferBytes } = this.#options;
      throw new WalError(
        "WAL_RECORD_TOO_LARGE",
        `${bytes} bytes of records don't fit in a frame: segments of ${segmentBytes} bytes and a buffer of ` +
          `${bufferBytes} bytes allow ${this.#maxBodyBytes()}`,
      );
    }
    const need = this.#need(body);
    if (this.#lack(need) === "memory") this.#options.reclaim();
    const lacks = this.#lack(need);
    const spare = lacks === undefined && need.rolls ? this.#options.takeSpare() : undefined;
    if (lacks !== undefined) {
      this.#refused = { bytes, records: count };
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
    const bytes = Math.min(this.#dataBytesPerSegment(), this.#options.bufferBytes) - FRAME_HEADER_BYTES;
    return this.#plan.packing === undefined ? bytes : Math.min(bytes, MAX_PACKED_BYTES);
  }

  #begin(arenaBytes: number, capacity: number): void {
    const standard = arenaBytes === this.#options.frameBytes;
    const arena = (standard ? this.#freeArenas.pop() : undefined) ?? this.#options.io.arena(arenaBytes);
    this.#bufferedBytes += arena.bytes.byteLength;
    this.#open = { arena, offset: this.#plan.offset, firstLsn: this.#plan.nextLsn };
    this.#builder.begin(arena.bytes, 0, capacity, this.#packing());
  }

  #roll(spare: Spare): void {
    const plan = this.#plan;
    const preamble = this.#options.preambleFor(spare, {
      sequence: plan.highestSequence + 1,
      firstLsn: plan.nextLsn,
      firstFrameNumber: plan.frameNumber,
      previousSequence: plan.sequence,
      previousFrameNumber: plan.frameNumber - 1,
      previousLsn: plan.nextLsn - 1,
      previousChecksum: plan.chain,
      previousEnd: plan.offset,
      previousTag: plan.tag,
    });
    this.#enqueue({ work: "roll", spare, preamble });
    this.#enter(preamble);
    plan.offset = FRAMES_START;
    plan.tag = preambleTag(preamble);
    this.#headEnd = FRAMES_START;
    // Were the one that names the DWB in an earlier segment only, a checkpoint could free it.
    if (!this.#options.openEverySegment) return;
    this.#sealEmpty("open");
    this.#headEnd = plan.offset;
  }

  /** How the next frame is packed. Nothing that isn't encrypted with its segment's key can come into it, whatever is wrong. */
  #packing(): Packing | undefined {
    const { packing, keyId, sequence } = this.#plan;
    if ((packing?.cipher?.keyId ?? 0) === keyId) return packing;
    throw new Error(`segment ${sequence} is written with key ${keyId}, and that is not at hand`);
  }

  /** What comes next goes into another segment. */
  #enter({ sequence, segmentBytes, encryption }: Preamble): void {
    const plan = this.#plan;
    const keyId = encryption?.keyId ?? 0;
    plan.sequence = sequence;
    plan.segmentBytes = segmentBytes;
    plan.highestSequence = Math.max(plan.highestSequence, sequence);
    plan.packing = this.#options.packing.framesWith(keyId);
    plan.keyId = keyId;
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
      previousTag: plan.tag,
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
      encrypted: plan.keyId > 0,
      ...sealed,
    });
    plan.offset += sealed.paddedLength;
    plan.frameNumber += 1;
    plan.chain = sealed.checksum;
    plan.tag = sealed.tag;
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
    this.#builder.begin(arena.bytes, 0, blockBytes, this.#packing());
    this.#seal(kind, arena, this.#plan.nextLsn, kind === "open" ? openBody() : undefined);
  }

  /** Queues the step to the next segment behind everything appended so far. */
  roll(spare: Spare): void {
    this.sealOpen();
    this.#roll(spare);
  }

  /** Goes on at a place that a cut has made; nothing may be queued. */
  restart(position: Position, preamble: Preamble): void {
    const plan = this.#plan;
    this.#enter(preamble);
    plan.offset = position.offset;
    plan.frameNumber = position.frameNumber;
    plan.nextLsn = position.nextLsn;
    plan.chain = position.chain;
    this.#headEnd = FRAMES_START;
    plan.tag = position.tag;
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
