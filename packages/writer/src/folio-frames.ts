import { type Arena, FOLIO_BYTES, type IoBackend, type IoFile } from "@stonewal/io";
import { FRAMES_START, type FrameHeader, paddedFrameBytes, readFrameHeader } from "@stonewal/record";
import type { Position } from "@stonewal/recovery";
import type { SealedFrame } from "./frame-assembler.js";

/** A frame as it is to be copied, at the start of its arena: its bytes as they are, or will be, on the disk. */
export type WholeFrame = Pick<
  SealedFrame,
  "frameNumber" | "sequence" | "offset" | "checksum" | "length" | "paddedLength" | "arena"
>;

/**
 * The frames before `end` in a segment that reach into the folio that is written there, oldest first: what a torn write there could take. They must be at home, and nothing on its
 * way. Found from the end backwards, each by the checksum that the one behind it is chained to; a block within a frame never looks like the start of one. It ends at a frame of more than
 * `largestBytes`, and at whatever is not what the chain says.
 */
export async function framesInFolio(
  io: IoBackend,
  file: IoFile,
  blockBytes: number,
  end: Pick<Position, "offset" | "chain">,
  largestBytes: number,
): Promise<WholeFrame[]> {
  const folio = end.offset - (end.offset % FOLIO_BYTES);
  const window = io.arena(FOLIO_BYTES);
  const frames: WholeFrame[] = [];
  let { offset, chain } = end;
  while (offset > folio) {
    const header = await headerBefore(file, window, blockBytes, { offset, chain }, largestBytes);
    if (header === undefined) break;
    const { frameNumber, sequence, length, checksum } = header;
    const paddedLength = paddedFrameBytes(length, blockBytes);
    const arena = io.arena(paddedLength);
    // Recovery has just verified what is there, and whoever puts a copy back verifies that.
    await file.read({ arena, start: 0, length: paddedLength }, header.offset);
    frames.unshift({ frameNumber, sequence, offset: header.offset, checksum, length, paddedLength, arena });
    ({ offset, chain } = header);
  }
  return frames;
}

/** The header of the frame that ends where `end` is, and has the checksum that is chained there. */
async function headerBefore(
  file: IoFile,
  window: Arena,
  blockBytes: number,
  end: Pick<Position, "offset" | "chain">,
  largestBytes: number,
): Promise<FrameHeader | undefined> {
  const lowest = Math.max(FRAMES_START, end.offset - largestBytes);
  for (let to = end.offset; to > lowest; ) {
    const from = Math.max(lowest, to - window.bytes.length);
    await file.read({ arena: window, start: 0, length: to - from }, from);
    for (let at = to - blockBytes; at >= from; at -= blockBytes) {
      const header = readFrameHeader(window.bytes, at - from);
      if (header === undefined) continue;
      const ends = at + paddedFrameBytes(header.length, blockBytes) === end.offset;
      return header.offset === at && ends && header.checksum === end.chain ? header : undefined;
    }
    to = from;
  }
  return undefined;
}
