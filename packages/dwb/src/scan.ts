import type { ChecksumRanges } from "@stonewal/io";
import type { DiskReader } from "./device.js";
import {
  type DwbGeometry,
  fileBytes,
  HEADER_BYTES,
  SLOT_HEADER_BYTES,
  SLOTS_START,
  sameGeometry,
  slotIndex,
  slotOffset,
} from "./geometry.js";
import {
  claimedStored,
  type DecodedSlot,
  decodeHeader,
  decodeSlot,
  isEmptySlot,
  looksLikeHeader,
  type SlotHeader,
} from "./layout.js";

/** Every slot of a file, as it is on the disk. */

export interface SlotOnDisk extends SlotHeader {
  /** A copy of the stored bytes. */
  readonly bytes: Uint8Array;
}

export interface Scan {
  readonly size: number;
  /** `made`: nothing in the file contradicts its being one of ours, even where the header is lost. */
  readonly header: "intact" | "damaged" | "unreadable";
  /** The file says that it is a double-write buffer, or holds nothing but zeros behind a lost header. */
  readonly recognised: boolean;
  readonly id: Uint8Array | undefined;
  readonly geometry: DwbGeometry | undefined;
  /** Intact slots in order of their ring sequence. */
  readonly slots: readonly SlotOnDisk[];
  readonly damagedSlots: readonly number[];
  readonly unreadableSlots: readonly number[];
}

type Identity = { readonly id: Uint8Array; readonly geometry: DwbGeometry };

export async function scan(disk: DiskReader, checksum: ChecksumRanges): Promise<Scan> {
  const bytes = await disk.read(0, HEADER_BYTES);
  const unreadable = bytes === "unreadable";
  const named = !unreadable && looksLikeHeader(bytes);
  const stated = unreadable ? undefined : decodeHeader(bytes, checksum);
  const header = unreadable ? "unreadable" : stated === undefined ? "damaged" : "intact";
  const identity = stated ?? (await identityFromSlots(disk, checksum));
  if (identity === undefined) {
    const recognised = named || (await isBlank(disk));
    const none = { id: undefined, geometry: undefined, slots: [], damagedSlots: [], unreadableSlots: [] };
    return { size: disk.size, header, recognised, ...none };
  }
  return {
    size: disk.size,
    header,
    recognised: true,
    ...identity,
    ...(await readSlots(disk, identity, checksum)),
  };
}

async function readSlots(
  disk: DiskReader,
  identity: Identity,
  checksum: ChecksumRanges,
): Promise<Pick<Scan, "slots" | "damagedSlots" | "unreadableSlots">> {
  const { geometry } = identity;
  const slots: SlotOnDisk[] = [];
  const damagedSlots: number[] = [];
  const unreadableSlots: number[] = [];
  for (let index = 0; index < geometry.slots; index++) {
    const at = slotOffset(geometry, index);
    const bytes = at < disk.size ? await readSlot(disk, at, geometry.slotStride) : new Uint8Array();
    if (bytes === "unreadable") {
      unreadableSlots.push(index);
      continue;
    }
    const decoded = decodeSlot(bytes, checksum);
    if (
      decoded !== undefined &&
      belongs(decoded, identity) &&
      slotIndex(geometry, decoded.header.ringSequence) === index
    ) {
      const { header } = decoded;
      slots.push({ ...header, bytes: bytes.slice(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + header.stored) });
    } else if (bytes.length < SLOT_HEADER_BYTES || !isEmptySlot(bytes)) {
      // Torn by a crash while it was written, rotten, or beyond the end of a file that was cut.
      damagedSlots.push(index);
    }
  }
  slots.sort((a, b) => a.ringSequence - b.ringSequence);
  return { slots, damagedSlots, unreadableSlots };
}

/**
 * A slot's header and stored bytes. Where the device cannot read the whole slot, only what is in use is asked for: a bad
 * sector behind the stored bytes takes nothing away.
 */
async function readSlot(disk: DiskReader, at: number, stride: number): Promise<Uint8Array | "unreadable"> {
  const whole = await disk.read(at, stride);
  if (whole !== "unreadable") return whole;
  const head = await disk.read(at, SLOT_HEADER_BYTES);
  if (head === "unreadable") return head;
  const stored = claimedStored(head) ?? 0;
  return disk.read(at, Math.min(SLOT_HEADER_BYTES + stored, stride));
}

function belongs(slot: DecodedSlot, identity: Identity): boolean {
  return sameGeometry(slot.geometry, identity.geometry) && sameBytes(slot.id, identity.id);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The smallest block there can be: every slot of every geometry starts at a multiple of it. */
const SMALLEST_BLOCK = 512;

/**
 * Who this file is, when its header is lost: each slot says the same. A payload may hold bytes that look like a slot (somebody
 * logs a copy of a double-write buffer), so a candidate counts only where its own geometry puts it, in a file of the length
 * that its geometry makes, and outside every other candidate: a real slot never lies within another. The first slot
 * starts at a fixed place that no payload can reach, so where it is intact it decides alone; otherwise the identity with
 * the most slots does.
 */
async function identityFromSlots(disk: DiskReader, checksum: ChecksumRanges): Promise<Identity | undefined> {
  const votes = new Map<string, { readonly identity: Identity; count: number }>();
  const headAt = headReader(disk);
  let at = SLOTS_START;
  while (at + SLOT_HEADER_BYTES <= disk.size) {
    const slot = await candidateAt(disk, at, await headAt(at), checksum);
    if (slot === undefined) {
      at += SMALLEST_BLOCK;
      continue;
    }
    const identity = { id: slot.id, geometry: slot.geometry };
    if (at === SLOTS_START) return identity;
    const name = `${slot.id.join()}/${Object.values(slot.geometry).join()}`;
    const vote = votes.get(name) ?? { identity, count: 0 };
    vote.count++;
    votes.set(name, vote);
    at += slot.geometry.slotStride;
  }
  let best: { readonly identity: Identity; readonly count: number } | undefined;
  for (const vote of votes.values()) if (best === undefined || vote.count > best.count) best = vote;
  return best?.identity;
}

/** What may be a slot's header, at one place behind the other: read many at once, and where the device can't, one by one. */
function headReader(disk: DiskReader): (at: number) => Promise<Uint8Array | "unreadable"> {
  const chunkBytes = 1 << 16;
  let chunk: Uint8Array | "unreadable" | undefined;
  let start = 0;
  return async (at) => {
    if (chunk === undefined || at + SLOT_HEADER_BYTES > start + chunkBytes) {
      start = at;
      const read = await disk.read(at, chunkBytes);
      // A copy: what was read is valid until the next read.
      chunk = read === "unreadable" ? read : read.slice();
    }
    if (chunk === "unreadable") return disk.read(at, SLOT_HEADER_BYTES);
    return chunk.subarray(at - start, at - start + SLOT_HEADER_BYTES);
  };
}

async function candidateAt(
  disk: DiskReader,
  at: number,
  head: Uint8Array | "unreadable",
  checksum: ChecksumRanges,
): Promise<DecodedSlot | undefined> {
  const stored = head === "unreadable" ? undefined : claimedStored(head);
  if (stored === undefined || at + SLOT_HEADER_BYTES + stored > disk.size) return undefined;
  const bytes = await disk.read(at, SLOT_HEADER_BYTES + stored);
  if (bytes === "unreadable") return undefined;
  const slot = decodeSlot(bytes, checksum);
  if (slot === undefined) return undefined;
  const { geometry, header } = slot;
  const placed = slotOffset(geometry, slotIndex(geometry, header.ringSequence)) === at;
  return placed && fileBytes(geometry) === disk.size ? slot : undefined;
}

/** Whether there is nothing but zeros where the slots are. */
async function isBlank(disk: DiskReader): Promise<boolean> {
  const chunk = 1 << 20;
  for (let at = HEADER_BYTES; at < disk.size; at += chunk) {
    const bytes = await disk.read(at, Math.min(chunk, disk.size - at));
    if (bytes === "unreadable" || bytes.some((byte) => byte !== 0)) return false;
  }
  return true;
}
