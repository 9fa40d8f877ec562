import { strict as assert } from "node:assert";
import type { SimDisk } from "@stonewal/io-sim";
import {
  ANCHOR_NAME,
  type Anchor,
  crc32c,
  decodeAnchor,
  decodePreamble,
  encodeAnchor,
  encodePreamble,
  FRAME_HEADER_BYTES,
  FRAMES_START,
  type FrameHeader,
  type Preamble,
  paddedFrameBytes,
  readFrameHeader,
} from "@stonewal/record";
import { DIRECTORY } from "./log-under-test.js";

/**
 * What someone can do who has the disk, knows the format, and has no key. Checksums are linear, so four bytes that nobody else looks at make
 * them come out as they were: then nothing but a tag can tell.
 */

export const BLOCK = 4096;
const ANCHOR_PATH = `${DIRECTORY}/${ANCHOR_NAME}`;

/** A frame in its segment, as it lies on the disk. */
export interface FoundFrame {
  readonly path: string;
  readonly header: FrameHeader;
  /** A copy, padding included. */
  readonly bytes: Uint8Array;
}

export interface FoundSegment {
  readonly path: string;
  readonly preamble: Preamble;
  readonly frames: readonly FoundFrame[];
}

/** The segments that have their names, oldest first. */
export function segmentsOf(disk: SimDisk): FoundSegment[] {
  return disk
    .paths()
    .filter((path) => path.endsWith(".wal"))
    .map((path) => {
      const content = disk.fileBytes(path);
      const preamble = decodePreamble(content, 0, 0);
      assert.ok(preamble !== undefined, `${path} has no preamble`);
      const frames: FoundFrame[] = [];
      for (let at = FRAMES_START; at < content.length; ) {
        const header = readFrameHeader(content, at);
        if (header === undefined || header.sequence !== preamble.sequence) break;
        const padded = paddedFrameBytes(header.length, BLOCK);
        frames.push({ path, header, bytes: content.slice(at, at + padded) });
        at += padded;
      }
      return { path, preamble, frames };
    });
}

export function putFrame(disk: SimDisk, { path, header, bytes }: FoundFrame): void {
  disk.corrupt(path, header.offset, bytes);
}

export function putPreamble(
  disk: SimDisk,
  { path, preamble }: Pick<FoundSegment, "path" | "preamble">,
): void {
  disk.corrupt(path, 0, encodePreamble(preamble));
}

export function anchorOf(disk: SimDisk): Anchor {
  const anchor = decodeAnchor(disk.fileBytes(ANCHOR_PATH), 0, 0);
  assert.ok(anchor !== undefined, "there is no anchor");
  return anchor;
}

export function putAnchor(disk: SimDisk, anchor: Anchor): void {
  disk.corrupt(ANCHOR_PATH, 0, encodeAnchor(anchor));
}

/** Sets the four bytes at `free` so that the checksum of `bytes[from, to)` is `wanted`. */
function forceChecksum(bytes: Uint8Array, from: number, to: number, free: number, wanted: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const checksumWith = (value: number): number => {
    view.setUint32(free, value, true);
    return crc32c(bytes, from, to);
  };
  const base = checksumWith(0);
  // What each bit changes, brought into echelon form: the highest bit that a row changes, and which bits that takes.
  const rows: { changes: number; bits: number }[] = [];
  const reduced = (changes: number, bits: number): { changes: number; bits: number } => {
    for (const row of rows) {
      const highest = 31 - Math.clz32(row.changes);
      if (((changes >>> highest) & 1) === 1)
        [changes, bits] = [(changes ^ row.changes) >>> 0, (bits ^ row.bits) >>> 0];
    }
    return { changes, bits };
  };
  for (let bit = 0; bit < 32; bit += 1) {
    const row = reduced((checksumWith((1 << bit) >>> 0) ^ base) >>> 0, (1 << bit) >>> 0);
    assert.ok(row.changes !== 0, "four bytes decide over a checksum");
    rows.push(row);
  }
  assert.equal(checksumWith(reduced((base ^ wanted) >>> 0, 0).bits), wanted);
}

/**
 * The frame with its header changed, and its header's checksum as it was: so the next frame follows on it still. The mask, which no tag
 * covers, makes up for it.
 */
export function withHeader(
  frame: FoundFrame,
  change: (view: DataView, bytes: Uint8Array) => void,
): FoundFrame {
  return standingFor(frame, { ...frame, bytes: changedBytes(frame, change) });
}

/** `frame`, with the header's checksum of `original`, in whose place it goes. */
export function standingFor(original: FoundFrame, frame: FoundFrame): FoundFrame {
  assert.equal(frame.header.boundaryMask, 0n, "it has a mask already");
  const bytes = frame.bytes.slice();
  const view = new DataView(bytes.buffer);
  forceChecksum(bytes, 12, FRAME_HEADER_BYTES, 120, original.header.headerChecksum);
  view.setUint32(8, original.header.headerChecksum, true);
  const mask = view.getBigUint64(120, true);
  for (let at = BLOCK; at < frame.header.length; at += BLOCK)
    view.setBigUint64(at, view.getBigUint64(at, true) ^ mask, true);
  return { ...original, bytes };
}

/** The frame with another byte behind its header, in [from, to), and four more that keep the checksum as it was. */
export function withBody(frame: FoundFrame, from: number, to: number): FoundFrame {
  assert.ok(to - from >= 8, "there is nothing to change");
  return {
    ...frame,
    bytes: changedBytes(frame, (_, bytes) => {
      const whole = crc32c(bytes, FRAME_HEADER_BYTES, bytes.length);
      bytes[from] = (bytes[from] as number) ^ 1;
      forceChecksum(bytes, FRAME_HEADER_BYTES, bytes.length, from + 4, whole);
    }),
  };
}

/** The frame changed in any way, with checksums that fit what it is now. What follows does not follow on it any more. */
export function rewritten(
  frame: FoundFrame,
  change: (view: DataView, bytes: Uint8Array) => void,
): FoundFrame {
  const bytes = changedBytes(frame, change);
  const view = new DataView(bytes.buffer);
  const word = new Uint8Array(4);
  new DataView(word.buffer).setUint32(0, crc32c(bytes, FRAME_HEADER_BYTES, bytes.length), true);
  view.setUint32(12, crc32c(word), true);
  view.setUint32(8, crc32c(bytes, 12, FRAME_HEADER_BYTES), true);
  return { ...frame, bytes };
}

function changedBytes(
  frame: FoundFrame,
  change: (view: DataView, bytes: Uint8Array) => void,
): Uint8Array<ArrayBuffer> {
  const bytes = frame.bytes.slice() as Uint8Array<ArrayBuffer>;
  change(new DataView(bytes.buffer), bytes);
  return bytes;
}
