import type { ChecksumRanges } from "@stonewal/io";
import { type FrameHeader, FrameVerifier, firstNonZero, paddedFrameBytes } from "@stonewal/record";
import { type DiskFile, overlaps } from "./disk.js";
import { headerOf, type SegmentIdentity } from "./frame-scan.js";

/** Everything behind the last valid frame of a segment, without judging what it means. */
export interface Tail {
  /** Offset behind the last valid frame. */
  readonly offset: number;
  /** Frames of this segment there, by their headers, in order of their offsets. */
  readonly headers: readonly FrameHeader[];
  /** [from, to), multiples of the block size: blocks that are not zero. */
  readonly nonZero: readonly (readonly [number, number])[];
  readonly unreadable: readonly (readonly [number, number])[];
}

const CHUNK_BYTES = 1 << 20;

/** Looks at the start of every block from `offset` to the end of the segment. */
export async function readTail(file: DiskFile, segment: SegmentIdentity, offset: number): Promise<Tail> {
  const { blockBytes, segmentBytes } = segment;
  const headers: FrameHeader[] = [];
  const nonZero: [number, number][] = [];
  const unreadable: (readonly [number, number])[] = [];
  const arena = file.arena(Math.max(blockBytes, Math.min(CHUNK_BYTES, segmentBytes - offset)));
  for (let base = offset; base < segmentBytes; base += arena.bytes.length) {
    const read = await file.read(arena, base, Math.min(arena.bytes.length, segmentBytes - base));
    unreadable.push(...read.unreadable);
    const bytes = arena.bytes.subarray(0, read.length);
    let at = firstNonZero(bytes);
    while (at !== -1) {
      const block = at - (at % blockBytes);
      append(nonZero, base + block, base + block + blockBytes);
      if (!overlaps(read.unreadable, base + block, base + block + blockBytes)) {
        const header = headerOf(file.path, bytes, block, segment, base + block);
        if (header !== undefined) headers.push(header);
      }
      at = firstNonZero(bytes, block + blockBytes);
    }
  }
  return { offset, headers, nonZero, unreadable };
}

function append(ranges: [number, number][], from: number, to: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && last[1] === from) last[1] = to;
  else ranges.push([from, to]);
}

/** The frames among `headers` that are intact in themselves. */
export async function intactFrames(
  file: DiskFile,
  segment: SegmentIdentity,
  headers: Iterable<FrameHeader>,
  checksum: ChecksumRanges | undefined,
): Promise<FrameHeader[]> {
  const verifier = new FrameVerifier(segment.blockBytes, checksum);
  const intact: FrameHeader[] = [];
  for (const header of headers) {
    const padded = paddedFrameBytes(header.length, segment.blockBytes);
    if (header.offset + padded > segment.segmentBytes) continue;
    const arena = file.arena(padded);
    const read = await file.read(arena, header.offset, padded);
    if (read.length < padded) continue;
    if (verifier.verify(arena.bytes, [{ header, at: 0 }])[0]) intact.push(header);
  }
  return intact;
}
