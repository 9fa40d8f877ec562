import { type DwbGeometry, slotIndex } from "./geometry.js";
import { KIND_VOID } from "./layout.js";
import type { Scan, SlotOnDisk } from "./scan.js";

/** One page or frame as it was staged. */
export class DwbImage {
  readonly key: bigint;
  readonly target: bigint;
  /** Byte offset of the image in its target. */
  readonly offset: number;
  /** What its owner said the version is. Whether it is the expected one is for the owner to judge. */
  readonly version: bigint;
  /** What its owner said when it was staged: everything of its with a number below this one was durable. 0: it said nothing. */
  readonly watermark: bigint;
  /** Length of the whole image, in bytes, trailing zeros included. */
  readonly length: number;
  /** Orders images by age: a greater one was staged later. */
  readonly ringSequence: number;
  /** The bytes that were stored: the image without what was left out of its zeros at the end. */
  readonly stored: Uint8Array;

  constructor(
    about: Pick<DwbImage, "key" | "target" | "offset" | "version" | "watermark" | "length" | "ringSequence">,
    stored: Uint8Array,
  ) {
    this.key = about.key;
    this.target = about.target;
    this.offset = about.offset;
    this.version = about.version;
    this.watermark = about.watermark;
    this.length = about.length;
    this.ringSequence = about.ringSequence;
    this.stored = stored;
  }

  /** The whole image, in new memory. */
  bytes(): Uint8Array {
    const whole = new Uint8Array(this.length);
    whole.set(this.stored);
    return whole;
  }
}

/** What a double-write buffer holds on the disk. Iterates over all images, newest first, older ones of the same key included. */
export class DwbImages implements Iterable<DwbImage> {
  /** The buffer's 16 random bytes; `undefined` where header and slots are all lost. */
  readonly id: Uint8Array | undefined;
  readonly geometry: DwbGeometry | undefined;
  /** Whether the header was intact. Nothing is lost with it: slots say the same. */
  readonly headerIntact: boolean;
  /** Whether the file is a double-write buffer, or empty. What isn't may be somebody's other file: `openDwb` refuses it with `DWB_DAMAGED`. */
  readonly recognised: boolean;
  /** Number of slots; 0 where the geometry is unknown. */
  readonly slots: number;
  /** Indexes of slots whose contents are not intact: torn in a crash, or rotten. */
  readonly damagedSlots: readonly number[];
  /** Indexes of slots that the device could not read. What they hold is unknown. */
  readonly unreadableSlots: readonly number[];
  /** Greatest ring sequence of an intact slot; 0 in an unused buffer. */
  readonly lastRingSequence: number;
  readonly #images: readonly DwbImage[];

  constructor(scan: Scan) {
    this.id = scan.id;
    this.geometry = scan.geometry;
    this.headerIntact = scan.header === "intact";
    this.recognised = scan.recognised;
    this.slots = scan.geometry?.slots ?? 0;
    this.damagedSlots = scan.damagedSlots;
    this.unreadableSlots = scan.unreadableSlots;
    this.lastRingSequence = scan.slots.at(-1)?.ringSequence ?? 0;
    this.#images = scan.geometry === undefined ? [] : assemble(scan.slots, scan.geometry, scan.size);
  }

  /** Images for a place, newest first. */
  at(target: number | bigint, offset: number | bigint): DwbImage[] {
    const wanted = BigInt(target);
    const place = Number(offset);
    return this.#images.filter((image) => image.target === wanted && image.offset === place);
  }

  /** The newest image of a key. */
  newest(key: number | bigint): DwbImage | undefined {
    const wanted = BigInt(key);
    return this.#images.find((image) => image.key === wanted);
  }

  [Symbol.iterator](): Iterator<DwbImage> {
    return this.#images[Symbol.iterator]();
  }
}

/** Images that count, newest first: complete, not void, and not overtaken by the ring. */
function assemble(slots: readonly SlotOnDisk[], geometry: DwbGeometry, fileBytes: number): DwbImage[] {
  const newest = slots.at(-1)?.ringSequence ?? 0;
  const byIndex = new Map(slots.map((slot) => [slotIndex(geometry, slot.ringSequence), slot]));
  const voided = new Map<bigint, number>();
  for (const slot of slots) if (slot.kind === KIND_VOID) voided.set(slot.key, slot.ringSequence);
  const images: DwbImage[] = [];
  for (const slot of slots) {
    if (slot.kind === KIND_VOID || slot.part !== 0) continue;
    if (slot.ringSequence <= (voided.get(slot.key) ?? 0)) continue;
    // A sequence number is given out only when the slot one turn of the ring before it was released. So an image one
    // turn behind the newest one was released, and its place on the disk given away, even where that write never got there.
    // A void slot may have been overwritten by then, so believing the image could bring back what was void.
    if (slot.ringSequence + geometry.slots <= newest) continue;
    // The zeros at an image's end are not stored: by what it states, a few bytes could ask for gigabytes of memory.
    if (slot.length > fileBytes) continue;
    const stored = storedBytes(slot, byIndex, geometry);
    if (stored !== undefined) images.push(new DwbImage(slot, stored));
  }
  return images.reverse();
}

/** The parts of an image put together, or `undefined` if one is missing: an image counts only whole. */
function storedBytes(
  first: SlotOnDisk,
  byIndex: ReadonlyMap<number, SlotOnDisk>,
  geometry: DwbGeometry,
): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (let part = 0; part < first.parts; part++) {
    const slot = byIndex.get(slotIndex(geometry, first.first + part));
    if (slot === undefined || slot.part !== part || !sameImage(first, slot)) return undefined;
    parts.push(slot.bytes);
  }
  return parts.length === 1 ? parts[0] : concatenate(parts);
}

function sameImage(a: SlotOnDisk, b: SlotOnDisk): boolean {
  return (
    a.first === b.first &&
    a.key === b.key &&
    a.target === b.target &&
    a.offset === b.offset &&
    a.version === b.version &&
    a.watermark === b.watermark &&
    a.length === b.length &&
    a.parts === b.parts
  );
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
