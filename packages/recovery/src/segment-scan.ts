import type { DwbImages } from "@stonewal/dwb";
import type { ChecksumRanges } from "@stonewal/io";
import {
  FRAMES_START,
  type FrameHeader,
  type FrameUnpacker,
  type OpenBody,
  type Preamble,
  paddedFrameBytes,
  preambleTag,
  readOpenBody,
} from "@stonewal/record";
import { understood } from "./directory.js";
import type { DiskFile } from "./disk.js";
import { copiesAt, type FrameCopy } from "./dwb-copies.js";
import { behind, FrameScanner, headerOf, type SegmentIdentity, type Stop } from "./frame-scan.js";
import type { Position } from "./model.js";

export const CHUNK_BYTES = 1 << 20;

/** A frame that the double-write buffer still has and its segment has not. */
export interface Restore {
  readonly path: string;
  readonly header: FrameHeader;
  /** Where it belongs, padding included. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface FrameSums {
  frames: number;
  records: number;
  /** Headers and bodies. */
  bytes: number;
  paddingBytes: number;
}

export interface SegmentScan {
  readonly position: Position;
  readonly stop: Stop;
  readonly sums: Readonly<FrameSums>;
  readonly restores: readonly Restore[];
  readonly lastFrame: FrameHeader | undefined;
  readonly lastOpen: OpenBody | undefined;
}

/** What a scan of one segment needs to know. */
export interface ScanTask {
  readonly file: DiskFile;
  readonly identity: SegmentIdentity;
  readonly start: Position;
  /** The preamble of the segment that follows, which says where this one ends. */
  readonly next: Preamble | undefined;
  readonly dwb: DwbImages | undefined;
  readonly checksum: ChecksumRanges | undefined;
  /** Without, the structure is to do. */
  readonly unpacker: FrameUnpacker | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onFrame: (header: FrameHeader) => void;
}

/**
 * What `file` holds of the segment. Not more of it than there is, whatever its size is stated to be: by that alone, reading would go on
 * for as many blocks as a number can count, and take the memory of a frame as long as a header says.
 */
export function identityOf(preamble: Preamble, file: DiskFile): SegmentIdentity {
  const { logId, sequence, blockBytes, segmentBytes, encryption } = preamble;
  const there = file.size - (file.size % blockBytes);
  const keyId = encryption?.keyId ?? 0;
  return { logId, sequence, blockBytes, segmentBytes: Math.min(segmentBytes, there), keyId };
}

/** Where the first frame of a segment goes. */
export function startOf(preamble: Preamble): Position {
  return {
    offset: FRAMES_START,
    frameNumber: preamble.firstFrameNumber,
    nextLsn: preamble.firstLsn,
    chain: preamble.previousChecksum,
    tag: preambleTag(preamble),
  };
}

/**
 * Scans a segment to the end of what is valid in it. Wherever the next frame is not valid, whatever the reason, the
 * double-write buffer is asked by position; a copy that fits is read in place of the file's bytes from then on.
 */
export async function scanSegment(task: ScanTask): Promise<SegmentScan> {
  const { file, identity, next, dwb, checksum, unpacker, signal } = task;
  const options = { checksum, unpacker, keep: false, chunkBytes: CHUNK_BYTES, ahead: true };
  const scanner = new FrameScanner(file, identity, task.start, options);
  const restores: Restore[] = [];
  const sums: FrameSums = { frames: 0, records: 0, bytes: 0, paddingBytes: 0 };
  let lastFrame: FrameHeader | undefined;
  let lastOpen: OpenBody | undefined;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const chunk = await scanner.next(next?.previousFrameNumber);
      if (chunk !== undefined) {
        for (const { header, at } of chunk.frames) {
          sums.frames++;
          sums.records += header.recordCount;
          sums.bytes += header.length;
          sums.paddingBytes += paddedFrameBytes(header.length, identity.blockBytes) - header.length;
          lastFrame = header;
          if (header.kind === "open") {
            lastOpen = understood(file.path, () => readOpenBody(chunk.bytes, at, header), header.offset);
          }
          task.onFrame(header);
        }
        scanner.release();
        continue;
      }
      const stop = scanner.stop!;
      const { position } = scanner;
      const found = { position, stop, sums, restores, lastFrame, lastOpen };
      if (dwb === undefined || stop.kind === "full" || stop.kind === "limit") return found;
      const copy = await bestCopy(task, dwb, position);
      // A file that ends before the copy's place can't be read there, whatever stands in for it.
      if (copy === undefined || position.offset + copy.bytes.length > file.size) return found;
      // It stands in for the file already, and what keeps the frame from being taken is not in its bytes.
      if (restores.at(-1)?.offset === position.offset) return { ...found, restores: restores.slice(0, -1) };
      const image = { offset: position.offset, bytes: copy.bytes };
      restores.push({ path: file.path, header: copy.header, ...image });
      file.overlay(image);
      scanner.resume();
    }
  } finally {
    await scanner.end();
  }
}

/**
 * The copy that belongs at `position`. One that the frame behind it, or the next segment's preamble, contradicts is left
 * over from a write that was dropped; among the others one that is followed by a frame chained to it goes first.
 */
async function bestCopy(task: ScanTask, dwb: DwbImages, position: Position): Promise<FrameCopy | undefined> {
  let best: FrameCopy | undefined;
  for (const copy of copiesAt(dwb, task.identity, position, task)) {
    const verdict = await followed(task, dwb, copy);
    if (verdict === "yes") return copy;
    if (verdict === "unknown") best ??= copy;
  }
  return best;
}

async function followed(task: ScanTask, dwb: DwbImages, copy: FrameCopy): Promise<"yes" | "no" | "unknown"> {
  const { file, identity, next } = task;
  const { header } = copy;
  if (next !== undefined && next.previousFrameNumber === header.frameNumber) {
    return next.previousChecksum === header.checksum ? "yes" : "no";
  }
  const { blockBytes, segmentBytes } = identity;
  const offset = header.offset + paddedFrameBytes(header.length, blockBytes);
  if (offset >= segmentBytes) return "unknown";
  const arena = file.arena(blockBytes);
  const read = await file.read(arena, offset, blockBytes);
  const bytes = read.unreadable.length > 0 ? new Uint8Array() : arena.bytes.subarray(0, read.length);
  const after = headerOf(file.path, bytes, 0, identity, offset);
  if (after !== undefined && after.frameNumber === header.frameNumber + 1) {
    return after.chain === header.checksum ? "yes" : "no";
  }
  return copiesAt(dwb, identity, behind(header, offset), task).next().done ? "unknown" : "yes";
}
