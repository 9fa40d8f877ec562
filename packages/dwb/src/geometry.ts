import { DwbError } from "./errors.js";

/** Where slot 0 starts: the header has a folio to itself. */
export const SLOTS_START = 65536;
export const HEADER_BYTES = 128;
export const SLOT_HEADER_BYTES = 128;

const MAX_SLOTS = 65536;
/** Of all slots together: the ring is mirrored in memory, so its size is bounded. */
const MAX_RING_BYTES = 2 ** 31;

export interface DwbGeometry {
  /** Number of slots in the ring. */
  readonly slots: number;
  /** Payload of one slot, in bytes; a multiple of `blockBytes`. */
  readonly slotBytes: number;
  /** What is written is rounded up to this; at least the physical block, and the alignment where `direct`. */
  readonly blockBytes: number;
  /** Distance from one slot's start to the next, in bytes; a multiple of `blockBytes`. */
  readonly slotStride: number;
}

/** Throws `DWB_ARGUMENT` where a value is out of bounds. */
export function makeGeometry(
  slots: number,
  slotBytes: number,
  blockBytes: number,
  slotAlignment: number,
): DwbGeometry {
  if (!Number.isInteger(slotAlignment) || slotAlignment < blockBytes || slotAlignment % blockBytes !== 0) {
    const problem = `slotAlignment must be a positive multiple of blockBytes (${blockBytes}), not ${slotAlignment}`;
    throw new DwbError("DWB_ARGUMENT", problem);
  }
  const slotStride = Math.ceil((SLOT_HEADER_BYTES + slotBytes) / slotAlignment) * slotAlignment;
  const problem = geometryProblem({ slots, slotBytes, blockBytes, slotStride });
  if (problem !== undefined) throw new DwbError("DWB_ARGUMENT", problem);
  return { slots, slotBytes, blockBytes, slotStride };
}

/** What is wrong with a geometry, from a caller or from a file. */
export function geometryProblem(geometry: DwbGeometry): string | undefined {
  const { slots, slotBytes, blockBytes, slotStride } = geometry;
  if (
    !Number.isInteger(blockBytes) ||
    blockBytes < 512 ||
    blockBytes > 65536 ||
    blockBytes & (blockBytes - 1)
  )
    return `blockBytes must be a power of two from 512 to 65536, not ${blockBytes}`;
  if (!Number.isInteger(slotBytes) || slotBytes < blockBytes || slotBytes % blockBytes !== 0)
    return `slotBytes must be a positive multiple of blockBytes (${blockBytes}), not ${slotBytes}`;
  if (!Number.isInteger(slots) || slots < 1 || slots > MAX_SLOTS)
    return `slots must be an integer from 1 to ${MAX_SLOTS}, not ${slots}`;
  if (slotStride < SLOT_HEADER_BYTES + slotBytes || slotStride % blockBytes !== 0)
    return `a stride of ${slotStride} is no multiple of blockBytes ${blockBytes} with room for slotBytes ${slotBytes}`;
  if (slots * slotStride > MAX_RING_BYTES)
    return `slots and slotBytes make a ring of ${slots * slotStride} bytes, more than ${MAX_RING_BYTES}`;
  return undefined;
}

export function sameGeometry(a: DwbGeometry, b: DwbGeometry): boolean {
  return (
    a.slots === b.slots &&
    a.slotBytes === b.slotBytes &&
    a.blockBytes === b.blockBytes &&
    a.slotStride === b.slotStride
  );
}

export function fileBytes(geometry: DwbGeometry): number {
  return SLOTS_START + geometry.slots * geometry.slotStride;
}

/** Slot index of a ring sequence number; these count from 1. */
export function slotIndex(geometry: DwbGeometry, ringSequence: number): number {
  return (ringSequence - 1) % geometry.slots;
}

export function slotOffset(geometry: DwbGeometry, index: number): number {
  return SLOTS_START + index * geometry.slotStride;
}

/** Slots that an image with `storedBytes` bytes to store takes. */
export function slotsFor(geometry: DwbGeometry, storedBytes: number): number {
  return Math.max(1, Math.ceil(storedBytes / geometry.slotBytes));
}

/** The largest image, in bytes, trailing zeros included. A bound, so that a length in a file cannot ask for more memory than the file has. */
export function maxImageBytes(geometry: DwbGeometry): number {
  return Math.min(geometry.slots * geometry.slotBytes, 0xffffffff);
}
