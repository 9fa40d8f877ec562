import { viewOf } from "./binary.js";
import { MIN_BLOCK_BYTES } from "./constants.js";
import type { FrameHeader } from "./frame-header.js";
import { FRAME_MAGIC_HIGH, FRAME_MAGIC_LOW } from "./magic.js";

/**
 * Frames whose mask has been undone in memory. It is a property of the bytes that a header was read from, and hardly any
 * frame has a mask, so this costs nothing where there is none.
 */
const unmasked = new WeakSet<FrameHeader>();

// Where any block size has its blocks. A frame is searched for at block starts, and a recycled file may have been written
// with larger blocks in its former life than it has now.
const STEP_BYTES = MIN_BLOCK_BYTES;

// Any value but 0 would do for the high half; with all bits set a block of zeros can't answer either.
const MASK_HIGH = 0xffffffff;

/**
 * A value that, xor-ed onto the start of every 4 KiB of the frame but the first, leaves none that starts with the frame
 * magic; 0 where that holds already. With the high half given, each of these places rules out at most one low half, so counting up
 * finds one after at most as many steps as there are places, whatever the payload was made to contain.
 */
export function chooseBoundaryMask(view: DataView, at: number, length: number): bigint {
  const end = at + length;
  let needed = false;
  for (let block = at + STEP_BYTES; block < end; block += STEP_BYTES) {
    if (
      view.getUint32(block, true) === FRAME_MAGIC_LOW &&
      view.getUint32(block + 4, true) === FRAME_MAGIC_HIGH
    ) {
      needed = true;
      break;
    }
  }
  if (!needed) return 0n;
  const ruledOut = new Set<number>();
  for (let block = at + STEP_BYTES; block < end; block += STEP_BYTES) {
    if ((view.getUint32(block + 4, true) ^ MASK_HIGH) >>> 0 === FRAME_MAGIC_HIGH) {
      ruledOut.add((view.getUint32(block, true) ^ FRAME_MAGIC_LOW) >>> 0);
    }
  }
  let low = 0;
  while (ruledOut.has(low)) low++;
  return (BigInt(MASK_HIGH) << 32n) | BigInt(low);
}

/** Xors the mask onto the first 8 bytes of every 4 KiB of the frame but the first: its own inverse. */
export function toggleMask(view: DataView, at: number, length: number, mask: bigint): void {
  const end = Math.min(at + length, view.byteLength - 7);
  for (let block = at + STEP_BYTES; block < end; block += STEP_BYTES) {
    view.setBigUint64(block, view.getBigUint64(block, true) ^ mask, true);
  }
}

/** Has the mask been undone, or is there none? */
export function isUnmasked(header: FrameHeader): boolean {
  return header.boundaryMask === 0n || unmasked.has(header);
}

/** Undoes the mask in memory, once. */
export function unmaskFrame(bytes: Uint8Array, at: number, header: FrameHeader): void {
  if (isUnmasked(header)) return;
  toggleMask(viewOf(bytes), at, header.length, header.boundaryMask);
  unmasked.add(header);
}

/**
 * Puts the bytes of a verified frame back as they are on disk, where it has a boundary mask: call it before the bytes
 * are written anywhere (a repair from the double-write buffer, a copy set aside). Nothing happens where the mask isn't
 * undone. The records can't be read after it, until the frame is verified again.
 */
export function remaskFrame(bytes: Uint8Array, at: number, header: FrameHeader): void {
  if (!unmasked.delete(header)) return;
  toggleMask(viewOf(bytes), at, header.length, header.boundaryMask);
}
