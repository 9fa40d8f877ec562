import { copyBytes, getCount, viewOf } from "./binary.js";
import {
  FRAME_HEADER_BYTES,
  FRAMES_START,
  ID_BYTES,
  MIN_BLOCK_BYTES,
  OPEN_BODY_BYTES,
  RECORD_HEADER_BYTES,
} from "./constants.js";
import { crc32c } from "./crc32c.js";
import { RecordError } from "./errors.js";
import { FRAME_MAGIC, hasMagic } from "./magic.js";
import { NO_TAG, type PackedBody, packedFits, readPackedFields } from "./packed-body.js";

/** What a frame is for: records, or bearing witness at an open, when the log falls quiet, or at a clean close. */
export type FrameKind = "data" | "open" | "idle" | "close";

/** Kinds by their number on disk, from 1. */
export const FRAME_KINDS: readonly FrameKind[] = ["data", "open", "idle", "close"];

/** A frame's header, its own checksum verified. It belongs to the bytes it was read from: read it again with them. */
export interface FrameHeader {
  readonly kind: FrameKind;
  /** Bytes of header and body, without the padding to the end of the block; a multiple of 8. */
  readonly length: number;
  /** 0 but for a data frame. */
  readonly recordCount: number;
  /** 16 bytes, a copy. */
  readonly logId: Uint8Array;
  /** Of the writer: 16 bytes, a copy. */
  readonly incarnation: Uint8Array;
  /** Of the segment it was written to, from 1. */
  readonly sequence: number;
  /** Its own file offset in that segment, in bytes. */
  readonly offset: number;
  /** From 1. */
  readonly frameNumber: number;
  /** Of its first record, or, without records, of the next record to come. */
  readonly firstLsn: number;
  /** `firstLsn + recordCount`: what the next frame begins with. */
  readonly nextLsn: number;
  /** Every frame with a number below this one was durable when this frame was built. At most `frameNumber`. */
  readonly watermark: number;
  /** When it was sealed, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** The `checksum` of the frame before. */
  readonly chain: bigint;
  /** What the next frame's `chain` must be: the header checksum in the low 32 bits, the body checksum in the high. */
  readonly checksum: bigint;
  readonly headerChecksum: number;
  readonly bodyChecksum: number;
  /** 0 for nearly every frame; see docs/format.md. */
  readonly boundaryMask: bigint;
  /** How the records are compressed or encrypted; `undefined` where they are stored as they are. */
  readonly packed: PackedBody | undefined;
}

/** A frame's checksum as the next frame's chain field states it. */
export function frameChecksum(headerChecksum: number, bodyChecksum: number): bigint {
  return (BigInt(bodyChecksum) << 32n) | BigInt(headerChecksum);
}

/** 16 bytes: what the next frame states as the tag before it. Zeros for a frame that isn't encrypted. */
export function frameTag(header: FrameHeader): Uint8Array {
  return header.packed?.tag ?? NO_TAG;
}

/** Bytes that a frame of this length takes: to the end of its last block. `blockBytes` is a power of two. */
export function paddedFrameBytes(length: number, blockBytes: number): number {
  return Math.ceil(length / blockBytes) * blockBytes;
}

/**
 * The frame header at `at`, or `undefined` where there is none: no magic, a wrong checksum, or fields that can't be (a
 * length shorter than the header, more records than fit, a watermark above the frame number). The body isn't looked at,
 * only the header's bytes have to be there. Whether it is the frame that belongs here is the caller's to compare.
 *
 * @throws RecordError `UNSUPPORTED_FORMAT` when the checksum is right, but kind, flags or reserved bytes are unknown, or
 * a count is above 2^53 − 1.
 */
export function readFrameHeader(bytes: Uint8Array, at: number): FrameHeader | undefined {
  if (!(at >= 0 && at + FRAME_HEADER_BYTES <= bytes.length) || !hasMagic(bytes, at, FRAME_MAGIC))
    return undefined;
  const view = viewOf(bytes);
  const headerChecksum = view.getUint32(at + 8, true);
  if (crc32c(bytes, at + 12, at + FRAME_HEADER_BYTES) !== headerChecksum) return undefined;

  const kind = FRAME_KINDS[view.getUint16(at + 24, true) - 1];
  if (kind === undefined) throw unsupported(`frame kind ${view.getUint16(at + 24, true)}`);
  const packed = readPackedFields(bytes, view, at);
  const bodyChecksum = view.getUint32(at + 12, true);
  const recordCount = view.getUint32(at + 20, true);
  const firstLsn = getCount(view, at + 88, "a frame's first LSN");
  const header: FrameHeader = {
    kind,
    length: view.getUint32(at + 16, true),
    recordCount,
    logId: copyBytes(bytes, at + 32, at + 32 + ID_BYTES),
    incarnation: copyBytes(bytes, at + 48, at + 48 + ID_BYTES),
    sequence: getCount(view, at + 64, "a frame's segment sequence"),
    offset: getCount(view, at + 72, "a frame's file offset"),
    frameNumber: getCount(view, at + 80, "a frame number"),
    firstLsn,
    nextLsn: firstLsn + recordCount,
    watermark: getCount(view, at + 96, "a frame's watermark"),
    time: getCount(view, at + 104, "a frame's time"),
    chain: view.getBigUint64(at + 112, true),
    checksum: frameChecksum(headerChecksum, bodyChecksum),
    headerChecksum,
    bodyChecksum,
    boundaryMask: view.getBigUint64(at + 120, true),
    packed,
  };
  if (!Number.isSafeInteger(header.nextLsn)) throw unsupported("a frame whose last LSN is above 2^53 - 2");
  return canBe(header) ? header : undefined;
}

function canBe(header: FrameHeader): boolean {
  const { kind, length, recordCount, packed } = header;
  const bodyBytes = length - FRAME_HEADER_BYTES;
  const clearBytes = kind === "open" ? OPEN_BODY_BYTES : 0;
  const bodyFits =
    packed !== undefined
      ? packedFits(packed, { length, recordCount, clearBytes })
      : kind === "data"
        ? length % 8 === 0 && recordCount * RECORD_HEADER_BYTES <= bodyBytes
        : bodyBytes === clearBytes;
  return (
    (kind === "data") === recordCount >= 1 &&
    bodyFits &&
    header.sequence >= 1 &&
    header.frameNumber >= 1 &&
    header.firstLsn >= 1 &&
    header.watermark <= header.frameNumber &&
    header.offset >= FRAMES_START &&
    header.offset % MIN_BLOCK_BYTES === 0
  );
}

function unsupported(what: string): RecordError {
  return new RecordError("UNSUPPORTED_FORMAT", `${what} is unknown to this version`);
}
