/**
 * Header and slots written from the words of docs/format.md alone, without the code under test: what other languages' readers and
 * writers go by.
 */

/** CRC-32/ISCSI, bit by bit. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

export interface PageGeometry {
  slots: number;
  payload: number;
  stride: number;
  block: number;
}

export const PAGE_GEOMETRY: PageGeometry = { slots: 4, payload: 1024, stride: 1536, block: 512 };

function fields(
  length: number,
  magic: string,
  write: (view: DataView, bytes: Uint8Array) => void,
): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(new TextEncoder().encode(magic));
  const view = new DataView(bytes.buffer);
  view.setUint32(12, 1, true);
  write(view, bytes);
  view.setUint32(8, crc32c(bytes.subarray(12)), true);
  return bytes;
}

export function pageHeader(id: Uint8Array, geometry = PAGE_GEOMETRY): Uint8Array {
  return fields(128, "SWDWBUF1", (view, bytes) => {
    bytes.set(id, 16);
    view.setUint32(32, geometry.slots, true);
    view.setUint32(36, geometry.payload, true);
    view.setUint32(40, geometry.stride, true);
    view.setUint32(44, geometry.block, true);
  });
}

export interface PageSlot {
  ring: number;
  key: number;
  target?: number;
  offset?: number;
  first?: number;
  version?: number;
  length?: number;
  part?: number;
  parts?: number;
  kind?: number;
  watermark?: number;
  /** Overrides, to make slots that nobody should write: byte offset and u32 value. */
  patch?: readonly (readonly [number, number])[];
}

export function pageSlot(
  id: Uint8Array,
  slot: PageSlot,
  stored: Uint8Array,
  geometry = PAGE_GEOMETRY,
): Uint8Array {
  return fields(128 + stored.length, "SWDSLOT1", (view, bytes) => {
    const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
    const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
    bytes.set(id, 16);
    u64(32, slot.ring);
    u64(40, slot.key);
    u64(48, slot.target ?? 1);
    u64(56, slot.offset ?? 0);
    u64(64, slot.first ?? slot.ring);
    u64(72, slot.version ?? 1);
    u32(80, slot.length ?? stored.length);
    u32(84, slot.part ?? 0);
    u32(88, slot.parts ?? 1);
    u32(92, stored.length);
    u32(96, slot.kind ?? 1);
    u32(100, geometry.slots);
    u32(104, geometry.stride);
    u32(108, geometry.payload);
    u32(112, geometry.block);
    u64(120, slot.watermark ?? 0);
    bytes.set(stored, 128);
    for (const [at, value] of slot.patch ?? []) u32(at, value);
  });
}

/** A whole file, with slots where they are put, whatever they say. */
export function pageFile(
  header: Uint8Array | undefined,
  slots: readonly (readonly [number, Uint8Array])[],
): Uint8Array {
  const bytes = new Uint8Array(65536 + PAGE_GEOMETRY.slots * PAGE_GEOMETRY.stride);
  if (header !== undefined) bytes.set(header);
  for (const [index, slot] of slots) bytes.set(slot, 65536 + index * PAGE_GEOMETRY.stride);
  return bytes;
}
