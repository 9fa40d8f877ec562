import type { ChecksumRanges } from "@stonewal/io";
import { DwbError } from "./errors.js";
import {
  type DwbGeometry,
  geometryProblem,
  HEADER_BYTES,
  maxImageBytes,
  SLOT_HEADER_BYTES,
  slotsFor,
} from "./geometry.js";

/** Header and slot as bytes: `docs/format.md`, section "Double-write buffer". Every number is little-endian. */

const HEADER_MAGIC = "SWDWBUF1";
const SLOT_MAGIC = "SWDSLOT1";
const VERSION = 1;
const CHECKSUM_AT = 8;
/** The checksum covers everything from here on, so a flipped byte in front of it must break the magic or the checksum itself. */
const CHECKED_FROM = 12;

export const KIND_IMAGE = 1;
export const KIND_VOID = 2;
export type SlotKind = typeof KIND_IMAGE | typeof KIND_VOID;

export interface SlotHeader {
  readonly ringSequence: number;
  readonly key: bigint;
  readonly target: bigint;
  readonly offset: number;
  /** Ring sequence of the image's first part. */
  readonly first: number;
  readonly version: bigint;
  readonly watermark: bigint;
  /** Length of the whole image, in bytes. */
  readonly length: number;
  readonly part: number;
  readonly parts: number;
  /** Bytes stored in this slot. */
  readonly stored: number;
  readonly kind: SlotKind;
}

/** `undefined`: not intact. */
export type Decoded<T> = T | undefined;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function putMagic(bytes: Uint8Array, at: number, magic: string): void {
  for (let i = 0; i < magic.length; i++) bytes[at + i] = magic.charCodeAt(i);
}

function hasMagic(bytes: Uint8Array, magic: string): boolean {
  for (let i = 0; i < magic.length; i++) if (bytes[i] !== magic.charCodeAt(i)) return false;
  return true;
}

function checksumOf(checksum: ChecksumRanges, bytes: Uint8Array, end: number): number {
  const out = new Uint32Array(1);
  checksum(bytes, Uint32Array.of(CHECKED_FROM, end - CHECKED_FROM), 1, out);
  return out[0]!;
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** A u64 that this implementation must be able to count with; beyond 2^53 - 1 it is refused. */
function safe(value: bigint): number | undefined {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

export function encodeHeader(
  bytes: Uint8Array,
  id: Uint8Array,
  geometry: DwbGeometry,
  checksum: ChecksumRanges,
): void {
  const view = viewOf(bytes);
  bytes.fill(0, 0, HEADER_BYTES);
  putMagic(bytes, 0, HEADER_MAGIC);
  view.setUint32(12, VERSION, true);
  bytes.set(id, 16);
  view.setUint32(32, geometry.slots, true);
  view.setUint32(36, geometry.slotBytes, true);
  view.setUint32(40, geometry.slotStride, true);
  view.setUint32(44, geometry.blockBytes, true);
  view.setUint32(CHECKSUM_AT, checksumOf(checksum, bytes, HEADER_BYTES), true);
}

export function looksLikeHeader(bytes: Uint8Array): boolean {
  return hasMagic(bytes, HEADER_MAGIC);
}

/** Throws `DWB_UNSUPPORTED` for an intact header that this code does not understand. */
export function decodeHeader(
  bytes: Uint8Array,
  checksum: ChecksumRanges,
): Decoded<{ readonly id: Uint8Array; readonly geometry: DwbGeometry }> {
  if (bytes.length < HEADER_BYTES || !hasMagic(bytes, HEADER_MAGIC)) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(CHECKSUM_AT, true) !== checksumOf(checksum, bytes, HEADER_BYTES)) return undefined;
  const version = view.getUint32(12, true);
  if (version !== VERSION)
    throw new DwbError("DWB_UNSUPPORTED", `double-write buffer of version ${version}; this code knows 1`);
  if (!isZero(bytes, 48, HEADER_BYTES))
    throw new DwbError(
      "DWB_UNSUPPORTED",
      "double-write buffer header uses fields that this code does not know",
    );
  const geometry: DwbGeometry = {
    slots: view.getUint32(32, true),
    slotBytes: view.getUint32(36, true),
    slotStride: view.getUint32(40, true),
    blockBytes: view.getUint32(44, true),
  };
  const problem = geometryProblem(geometry);
  if (problem !== undefined)
    throw new DwbError("DWB_UNSUPPORTED", `double-write buffer geometry: ${problem}`);
  return { id: bytes.slice(16, 32), geometry };
}

/** Writes a slot's header at `at`, without its checksum: that is computed for all slots of a flush in one call. */
export function encodeSlot(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  id: Uint8Array,
  geometry: DwbGeometry,
  slot: SlotHeader,
): void {
  bytes.fill(0, at, at + SLOT_HEADER_BYTES);
  putMagic(bytes, at, SLOT_MAGIC);
  view.setUint32(at + 12, VERSION, true);
  bytes.set(id, at + 16);
  view.setBigUint64(at + 32, BigInt(slot.ringSequence), true);
  view.setBigUint64(at + 40, slot.key, true);
  view.setBigUint64(at + 48, slot.target, true);
  view.setBigUint64(at + 56, BigInt(slot.offset), true);
  view.setBigUint64(at + 64, BigInt(slot.first), true);
  view.setBigUint64(at + 72, slot.version, true);
  view.setUint32(at + 80, slot.length, true);
  view.setUint32(at + 84, slot.part, true);
  view.setUint32(at + 88, slot.parts, true);
  view.setUint32(at + 92, slot.stored, true);
  view.setUint32(at + 96, slot.kind, true);
  view.setUint32(at + 100, geometry.slots, true);
  view.setUint32(at + 104, geometry.slotStride, true);
  view.setUint32(at + 108, geometry.slotBytes, true);
  view.setUint32(at + 112, geometry.blockBytes, true);
  view.setBigUint64(at + 120, slot.watermark, true);
}

/** Computes and stores the checksums of slots in one call. `slots` are (start in `bytes`, stored bytes). */
export function sealSlots(
  bytes: Uint8Array,
  view: DataView,
  slots: readonly { readonly start: number; readonly stored: number }[],
  checksum: ChecksumRanges,
): void {
  const ranges = new Uint32Array(2 * slots.length);
  const out = new Uint32Array(slots.length);
  for (const [i, { start, stored }] of slots.entries()) {
    ranges[2 * i] = start + CHECKED_FROM;
    ranges[2 * i + 1] = SLOT_HEADER_BYTES - CHECKED_FROM + stored;
  }
  checksum(bytes, ranges, slots.length, out);
  for (const [i, { start }] of slots.entries()) view.setUint32(start + CHECKSUM_AT, out[i]!, true);
}

export interface DecodedSlot {
  readonly id: Uint8Array;
  readonly geometry: DwbGeometry;
  readonly header: SlotHeader;
}

/** Bytes that a slot's header claims to be stored behind it, whether true or not; `undefined` where there is no slot header at all. */
export function claimedStored(bytes: Uint8Array): number | undefined {
  return bytes.length >= SLOT_HEADER_BYTES && hasMagic(bytes, SLOT_MAGIC)
    ? viewOf(bytes).getUint32(92, true)
    : undefined;
}

export function isEmptySlot(bytes: Uint8Array): boolean {
  return isZero(bytes, 0, Math.min(bytes.length, SLOT_HEADER_BYTES));
}

/**
 * A slot from its bytes (header and at least what it stores), or `undefined` if it is not intact: torn, rotten, or not a slot.
 * Nothing is read, and nothing allocated, by what an unchecked length says. Throws `DWB_UNSUPPORTED` for an intact slot of another version.
 */
export function decodeSlot(bytes: Uint8Array, checksum: ChecksumRanges): Decoded<DecodedSlot> {
  const stored = claimedStored(bytes);
  if (stored === undefined || stored > bytes.length - SLOT_HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(CHECKSUM_AT, true) !== checksumOf(checksum, bytes, SLOT_HEADER_BYTES + stored))
    return undefined;
  const version = view.getUint32(12, true);
  if (version !== VERSION)
    throw new DwbError("DWB_UNSUPPORTED", `slot of version ${version}; this code knows 1`);
  const kind = view.getUint32(96, true);
  if ((kind !== KIND_IMAGE && kind !== KIND_VOID) || view.getUint32(116, true) !== 0)
    throw new DwbError(
      "DWB_UNSUPPORTED",
      `slot of kind ${kind}, or with fields that this code does not know`,
    );
  const geometry: DwbGeometry = {
    slots: view.getUint32(100, true),
    slotStride: view.getUint32(104, true),
    slotBytes: view.getUint32(108, true),
    blockBytes: view.getUint32(112, true),
  };
  if (geometryProblem(geometry) !== undefined) return undefined;
  const ringSequence = safe(view.getBigUint64(32, true));
  const offset = safe(view.getBigUint64(56, true));
  const first = safe(view.getBigUint64(64, true));
  if (ringSequence === undefined || offset === undefined || first === undefined) return undefined;
  const header: SlotHeader = {
    ringSequence,
    key: view.getBigUint64(40, true),
    target: view.getBigUint64(48, true),
    offset,
    first,
    version: view.getBigUint64(72, true),
    length: view.getUint32(80, true),
    part: view.getUint32(84, true),
    parts: view.getUint32(88, true),
    stored,
    kind,
    watermark: view.getBigUint64(120, true),
  };
  return isConsistent(header, geometry) ? { id: bytes.slice(16, 32), geometry, header } : undefined;
}

/** Facts that a slot states about itself and that must agree, checksum or not. */
function isConsistent(header: SlotHeader, geometry: DwbGeometry): boolean {
  const { ringSequence, first, part, parts, stored, length, kind } = header;
  if (first < 1 || ringSequence !== first + part || part >= parts || parts > geometry.slots) return false;
  if (kind === KIND_VOID) return parts === 1 && stored === 0 && length === 0;
  if (length < 1 || length > maxImageBytes(geometry)) return false;
  // Every part but the last is full; and the parts stored cannot be more than the image has.
  const storedInAll = part * geometry.slotBytes + stored;
  if (stored > geometry.slotBytes || storedInAll > length) return false;
  return part < parts - 1 ? stored === geometry.slotBytes : slotsFor(geometry, storedInAll) === parts;
}
