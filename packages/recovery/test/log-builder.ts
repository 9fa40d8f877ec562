import { type Dwb, openDwb } from "@stonewal/dwb";
import type { IoBackend } from "@stonewal/io";
import type { SimDisk } from "@stonewal/io-sim";
import {
  type Anchor,
  encodeAnchor,
  encodePreamble,
  FRAMES_START,
  FrameBuilder,
  type FrameFields,
  type FrameKind,
  type KeyRing,
  LogCipher,
  NO_TAG,
  type OpenBody,
  type Packing,
  type Preamble,
  preambleTag,
  type RecordInput,
  sealAnchor,
  sealPreamble,
  segmentName,
} from "@stonewal/record";

/** Builds logs byte by byte, as a writer would, and as no writer would. */

export const DIRECTORY = "/log";
export const BLOCK = 4096;

export interface BuiltFrame {
  readonly sequence: number;
  readonly offset: number;
  readonly frameNumber: number;
  readonly firstLsn: number;
  readonly nextLsn: number;
  readonly checksum: bigint;
  readonly tag: Uint8Array;
  readonly length: number;
  /** As on disk, padding included. */
  readonly bytes: Uint8Array;
}

export interface FrameOptions {
  readonly kind?: FrameKind;
  readonly watermark?: number;
  readonly open?: OpenBody;
  readonly time?: number;
  readonly incarnation?: Uint8Array;
  /** Overrides of what follows from the frame before. */
  readonly fields?: Partial<FrameFields>;
  /** Do not put it into the segment: only the double-write buffer has it, or nobody. */
  readonly lost?: boolean;
  /** Overrides of how the log is packed. */
  readonly packing?: Packing;
}

export interface BuiltSegment {
  readonly preamble: Preamble;
  readonly name: string;
  readonly path: string;
  readonly bytes: Uint8Array;
}

export function id(fill: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(16).fill(fill);
}

export function payload(text: string): RecordInput {
  return { payload: new TextEncoder().encode(text) };
}

export class LogBuilder {
  readonly logId: Uint8Array;
  readonly segments: BuiltSegment[] = [];
  readonly frames: BuiltFrame[] = [];
  incarnation = id(0xa1);
  anchor: Anchor | undefined;
  time = 1_000;
  offset = FRAMES_START;
  frameNumber = 1;
  nextLsn: number;
  chain = 0n;
  tag: Uint8Array = NO_TAG;
  keys: KeyRing | undefined;
  packing: Packing = {};
  readonly blockBytes: number;
  readonly #blocks: number;

  constructor(
    options: {
      logId?: Uint8Array;
      blocks?: number;
      startLsn?: number;
      recycled?: boolean;
      blockBytes?: number;
      /** Encrypted with the ring's current key. */
      keys?: KeyRing;
      packing?: Packing;
    } = {},
  ) {
    this.logId = options.logId ?? id(0x11);
    this.blockBytes = options.blockBytes ?? BLOCK;
    this.#blocks = options.blocks ?? 24;
    this.nextLsn = options.startLsn ?? 1;
    this.packing = options.packing ?? {};
    this.encrypt(options.keys);
    this.#segment({
      sequence: 1,
      previousSequence: 0,
      previousFrameNumber: 0,
      previousChecksum: 0n,
      previousEnd: 0,
      recycled: options.recycled ?? false,
    });
    this.setAnchor();
  }

  get current(): BuiltSegment {
    return this.segments.at(-1)!;
  }

  get segmentBytes(): number {
    return FRAMES_START + this.#blocks * this.blockBytes;
  }

  /** From the next segment on, with the ring's current key. */
  encrypt(keys: KeyRing | undefined): void {
    this.keys = keys;
    const { logId, incarnation } = this;
    const cipher = keys && new LogCipher(keys, { keyId: keys.current, logId, incarnation });
    this.packing = { ...this.packing, cipher };
  }

  /** What is written from now on is another opening's. */
  reopen(incarnation: Uint8Array<ArrayBuffer>): void {
    this.incarnation = incarnation;
    this.encrypt(this.keys);
  }

  #segment(
    fields: Pick<
      Preamble,
      | "sequence"
      | "previousSequence"
      | "previousFrameNumber"
      | "previousChecksum"
      | "previousEnd"
      | "recycled"
    >,
  ): void {
    const stated: Preamble = {
      logId: this.logId,
      firstLsn: this.nextLsn,
      firstFrameNumber: this.frameNumber,
      segmentBytes: this.segmentBytes,
      blockBytes: this.blockBytes,
      previousLsn: this.nextLsn - 1,
      time: this.time,
      incarnation: this.incarnation,
      ...fields,
    };
    const { cipher } = this.packing;
    const preamble = cipher === undefined ? stated : sealPreamble(stated, cipher, this.tag);
    this.tag = preambleTag(preamble);
    const bytes = new Uint8Array(this.segmentBytes);
    bytes.set(encodePreamble(preamble));
    const name = segmentName(preamble.sequence, preamble.firstLsn);
    this.segments.push({ preamble, name, path: `${DIRECTORY}/${name}`, bytes });
    this.offset = FRAMES_START;
  }

  /** A frame at the end of the log. */
  frame(records: readonly (RecordInput | string)[], options: FrameOptions = {}): BuiltFrame {
    const kind = options.kind ?? (records.length > 0 ? "data" : "idle");
    const builder = new FrameBuilder(this.blockBytes);
    const scratch = new Uint8Array(this.segmentBytes);
    builder.begin(scratch, 0, scratch.length, options.packing ?? this.packing);
    for (const record of records) builder.append(typeof record === "string" ? payload(record) : record);
    const fields: FrameFields = {
      kind,
      logId: this.logId,
      incarnation: options.incarnation ?? this.incarnation,
      sequence: this.current.preamble.sequence,
      offset: this.offset,
      frameNumber: this.frameNumber,
      firstLsn: this.nextLsn,
      watermark: options.watermark ?? this.frameNumber,
      time: options.time ?? this.time++,
      chain: this.chain,
      previousTag: this.tag,
      ...(options.open === undefined ? {} : { open: options.open }),
      ...options.fields,
    };
    const sealed = builder.seal(fields);
    const frame: BuiltFrame = {
      sequence: fields.sequence,
      offset: fields.offset,
      frameNumber: fields.frameNumber,
      firstLsn: fields.firstLsn,
      nextLsn: fields.firstLsn + records.length,
      checksum: sealed.checksum,
      tag: sealed.tag,
      length: sealed.length,
      bytes: scratch.slice(0, sealed.paddedLength),
    };
    if (!options.lost) this.current.bytes.set(frame.bytes, frame.offset);
    this.frames.push(frame);
    this.offset = frame.offset + frame.bytes.length;
    this.frameNumber = frame.frameNumber + 1;
    this.nextLsn = frame.nextLsn;
    this.chain = sealed.checksum;
    this.tag = sealed.tag;
    return frame;
  }

  open(ack: OpenBody["ack"] = "wal", dwbId = new Uint8Array(16)): BuiltFrame {
    return this.frame([], { kind: "open", open: { dwbId, ack } });
  }

  /** The segment is full, or sealed: the log goes on in a new one. */
  roll(options: { recycled?: boolean; fill?: (bytes: Uint8Array) => void } = {}): void {
    this.#segment({
      sequence: this.current.preamble.sequence + 1,
      previousSequence: this.current.preamble.sequence,
      previousFrameNumber: this.frameNumber - 1,
      previousChecksum: this.chain,
      previousEnd: this.offset,
      recycled: options.recycled ?? false,
    });
    options.fill?.(this.current.bytes);
  }

  /** `truncateAfter(lsn)`: the log goes on in a new segment behind the frame that holds `lsn`. */
  cut(lsn: number): void {
    const frame = this.frames.findLast((candidate) => candidate.firstLsn <= lsn && candidate.nextLsn > lsn)!;
    this.nextLsn = lsn + 1;
    this.chain = frame.checksum;
    this.tag = frame.tag;
    this.#segment({
      sequence: this.current.preamble.sequence + 1,
      previousSequence: frame.sequence,
      previousFrameNumber: frame.frameNumber,
      previousChecksum: frame.checksum,
      previousEnd: frame.offset + frame.bytes.length,
      recycled: false,
    });
  }

  setAnchor(fields: Partial<Anchor> = {}): void {
    const anchor = {
      logId: this.logId,
      generation: (this.anchor?.generation ?? 0) + 1,
      trimPoint: this.anchor?.trimPoint ?? 0,
      watermark: this.frameNumber,
      durableLsn: this.nextLsn - 1,
      time: this.time++,
      sequence: this.current.preamble.sequence,
      ...fields,
    };
    const { cipher } = this.packing;
    this.anchor = cipher === undefined ? anchor : sealAnchor(anchor, cipher, this.incarnation);
  }

  close(): void {
    const { frameNumber } = this;
    this.frame([], { kind: "close", watermark: frameNumber });
    this.frame([], { kind: "close", watermark: frameNumber });
    this.setAnchor();
  }

  plant(disk: SimDisk, options: { anchor?: boolean } = {}): void {
    for (const segment of this.segments) disk.plant(segment.path, segment.bytes);
    if (options.anchor !== false) disk.plant(`${DIRECTORY}/anchor`, encodeAnchor(this.anchor!));
  }
}

/** Puts copies of frames into a double-write buffer, one after another. */
export async function protect(
  io: IoBackend,
  frames: readonly BuiltFrame[],
  options: { path?: string; directory?: string; slots?: number; slotBytes?: number; watermark?: number } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { slots = 8, slotBytes = 16384, watermark = 0 } = options;
  const path = options.path ?? `${DIRECTORY}/dwb`;
  const dwb: Dwb = await openDwb({ io, path, mode: "buffered", slots, slotBytes, blockBytes: BLOCK });
  if (dwb.hasUnrecovered) dwb.releaseRecovered();
  for (const frame of frames) {
    const ticket = dwb.stage({
      key: frame.frameNumber,
      target: frame.sequence,
      offset: frame.offset,
      version: frame.checksum,
      watermark,
      bytes: frame.bytes.subarray(0, frame.length),
      length: frame.bytes.length,
    });
    const batch = dwb.takeSteps();
    await io.submit(batch.steps);
    batch.done();
    dwb.release(ticket);
  }
  const dwbId = new Uint8Array(dwb.id);
  await dwb.close();
  await io.syncDirectory(options.directory ?? DIRECTORY);
  return dwbId;
}
