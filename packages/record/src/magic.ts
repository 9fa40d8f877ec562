import { viewOf } from "./binary.js";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

export const FRAME_MAGIC = ascii("SWFRAME1");
export const PREAMBLE_MAGIC = ascii("SWSEGMT1");
export const ANCHOR_MAGIC = ascii("SWANCHR1");

/** The frame magic as two little-endian u32s. */
export const FRAME_MAGIC_LOW = viewOf(FRAME_MAGIC).getUint32(0, true);
export const FRAME_MAGIC_HIGH = viewOf(FRAME_MAGIC).getUint32(4, true);

export function hasMagic(bytes: Uint8Array, at: number, magic: Uint8Array): boolean {
  for (let i = 0; i < magic.length; i++) if (bytes[at + i] !== magic[i]) return false;
  return true;
}
