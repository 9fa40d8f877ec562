import { readDwb } from "@stonewal/dwb";
import type { IoBackend } from "@stonewal/io";

/** One frame's copy in the double-write buffer; of a frame that is larger than the buffer its header alone. */
export interface DwbSlot {
  /** Index of its first slot. */
  readonly slot: number;
  readonly slots: number;
  readonly ringSequence: number;
  readonly frameNumber: number;
  /** Sequence of the segment it belongs to, and its offset there. */
  readonly sequence: number;
  readonly offset: number;
  readonly bytes: number;
  /** When the copy was made, every frame with a number below this one was durable. */
  readonly watermark: number;
}

export interface DwbSlots {
  readonly slotBytes: number;
  readonly slotStride: number;
  readonly damagedSlots: readonly number[];
  readonly unreadableSlots: readonly number[];
  /** Newest first. */
  readonly images: readonly DwbSlot[];
}

/** What lies in the slots of the double-write buffer at `path`; `undefined` where there is none that can be read. Changes nothing. */
export async function dwbSlots(io: IoBackend, path: string): Promise<DwbSlots | undefined> {
  const found = await readDwb(io, path, { readOnly: true });
  if (found?.geometry === undefined) return undefined;
  const { slots, slotBytes, slotStride } = found.geometry;
  const { damagedSlots, unreadableSlots } = found;
  const images = [...found].map((image) => ({
    slot: (image.ringSequence - 1) % slots,
    slots: Math.max(1, Math.ceil(image.stored.length / slotBytes)),
    ringSequence: image.ringSequence,
    frameNumber: Number(image.key),
    sequence: Number(image.target),
    offset: image.offset,
    bytes: image.length,
    watermark: Number(image.watermark),
  }));
  return { slotBytes, slotStride, damagedSlots, unreadableSlots, images };
}
