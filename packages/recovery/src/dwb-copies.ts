import { DwbError, type DwbImage, type DwbImages, readDwb } from "@stonewal/dwb";
import { type ChecksumRanges, type IoBackend, IoError } from "@stonewal/io";
import {
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FrameUnpacker,
  FrameVerifier,
  paddedFrameBytes,
  remaskFrame,
} from "@stonewal/record";
import { RecoveryError } from "./errors.js";
import { headerOf, misplaced, type SegmentIdentity, unexpected, unpackFrame } from "./frame-scan.js";
import type { Position } from "./model.js";

/** Reads the double-write buffer as it is on the disk, changing nothing; `undefined` if there is none at `path`. */
export async function readCopies(
  io: IoBackend,
  path: string,
  settle: boolean,
): Promise<DwbImages | undefined> {
  try {
    if (settle) {
      const file = await io.open(path, { access: "read" });
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    }
    return await readDwb(io, path, { readOnly: true });
  } catch (error) {
    if (error instanceof IoError && error.code === "IO_NOT_FOUND") return undefined;
    if (error instanceof DwbError && error.code === "DWB_UNSUPPORTED") {
      throw new RecoveryError("WAL_UNSUPPORTED_FORMAT", error.message, { file: path, cause: error });
    }
    throw error;
  }
}

/** A frame in the double-write buffer that may stand in for what its segment is missing. */
export interface FrameCopy {
  readonly header: FrameHeader;
  /** As it belongs on the disk, padding included. */
  readonly bytes: Uint8Array;
}

/**
 * The copies of a frame that would be valid at `position`, newest first: each has passed every check that a frame in
 * its place passes, the chain included. Age decides nothing: a newer copy may be left over from a write that was dropped.
 */
export function* copiesAt(
  images: DwbImages,
  segment: SegmentIdentity,
  position: Position,
  {
    checksum,
    unpacker,
  }: {
    readonly checksum: ChecksumRanges | undefined;
    readonly unpacker: FrameUnpacker | undefined;
  },
): Generator<FrameCopy, void, undefined> {
  const { blockBytes, sequence, segmentBytes } = segment;
  const verifier = new FrameVerifier(blockBytes, checksum);
  for (const image of images.at(sequence, position.offset)) {
    if (position.offset + image.length > segmentBytes) continue;
    const bytes = new Uint8Array(paddedFrameBytes(image.length, blockBytes));
    bytes.set(image.stored);
    const header = headerOf(`the copy of frame ${image.key}`, bytes, 0, segment, position.offset);
    if (header === undefined || unexpected(header, position) !== undefined) continue;
    if (misplaced(header, position, segment) !== undefined) continue;
    const padded = paddedFrameBytes(header.length, blockBytes);
    if (padded > bytes.length) continue;
    if (!verifier.verify(bytes, [{ header, at: 0 }])[0]) continue;
    if (unpacker !== undefined && "code" in unpackFrame("a copy", unpacker, bytes, 0, header)) continue;
    remaskFrame(bytes, 0, header);
    yield { header, bytes: bytes.subarray(0, padded) };
  }
}

/**
 * The frames of this log that the double-write buffer holds, by their headers, newest copies first, whatever they are worth. The watermark is that of the
 * copy where it is higher: it was made after the frame was sealed, and more may have been durable by then.
 */
export function* framesIn(
  images: DwbImages,
  logId: Uint8Array,
): Generator<{ readonly header: FrameHeader; readonly image: DwbImage }, void, undefined> {
  for (const image of images) {
    const name = `the copy of frame ${image.key}`;
    const segment = { logId, sequence: Number(image.target) };
    const header = headerOf(name, headerBytes(image), 0, segment, image.offset);
    if (header === undefined) continue;
    const watermark = Math.max(header.watermark, Math.min(Number(image.watermark), header.frameNumber));
    yield { header: { ...header, watermark }, image };
  }
}

/** Those headers alone. */
export function headersIn(images: DwbImages, logId: Uint8Array): FrameHeader[] {
  return Array.from(framesIn(images, logId), ({ header }) => header);
}

/** Whether the double-write buffer holds a frame of any log. */
export function holdsFrames(images: DwbImages): boolean {
  for (const image of images) {
    const bytes = headerBytes(image);
    const segment = { logId: bytes.subarray(32, 48), sequence: Number(image.target) };
    if (headerOf("a copy", bytes, 0, segment, image.offset) !== undefined) return true;
  }
  return false;
}

/** Zeros at the end of an image are not stored, and a header ends with zeros. */
function headerBytes(image: DwbImage): Uint8Array {
  return image.stored.length < FRAME_HEADER_BYTES ? image.bytes() : image.stored;
}
