import {
  FRAME_HEADER_BYTES,
  type FrameUnpacker,
  FrameVerifier,
  paddedFrameBytes,
  RecordError,
  readFrameHeader,
} from "@stonewal/record";
import type { DiskFile } from "./disk.js";
import type { SegmentIdentity } from "./frame-scan.js";

/**
 * Whether what lies where a frame is missing is another frame of an encrypted log, authentic from its first byte to its last: then it was moved
 * there, and not damaged. Says which; `undefined` for anything else. For what is told about damage only: it doesn't decide whether there is any.
 */
export async function isElsewhere(
  disk: DiskFile,
  { blockBytes, segmentBytes, keyId }: SegmentIdentity,
  offset: number,
  unpacker: FrameUnpacker | undefined,
): Promise<string | undefined> {
  if (unpacker === undefined || keyId === 0 || offset + blockBytes > segmentBytes) return undefined;
  const first = disk.arena(blockBytes);
  const { length } = await disk.read(first, offset, blockBytes);
  try {
    const header = length < FRAME_HEADER_BYTES ? undefined : readFrameHeader(first.bytes, 0);
    if (header?.packed?.encrypted !== true) return undefined;
    const padded = paddedFrameBytes(header.length, blockBytes);
    if (offset + padded > segmentBytes) return undefined;
    const whole = disk.arena(padded);
    if ((await disk.read(whole, offset, padded)).length < padded) return undefined;
    if (!new FrameVerifier(blockBytes).verify(whole.bytes, [{ header, at: 0 }])[0]) return undefined;
    unpacker.unpack(whole.bytes, 0, header);
    return `an authentic frame lies there that is another's: frame ${header.frameNumber}, of segment ${header.sequence} at ${header.offset}`;
  } catch (error) {
    if (error instanceof RecordError) return undefined;
    throw error;
  }
}
