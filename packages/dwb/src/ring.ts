import { DwbError } from "./errors.js";
import { type DwbGeometry, slotIndex, slotsFor } from "./geometry.js";
import { KIND_IMAGE, type SlotKind } from "./layout.js";

/** What `stage` gives out and `release` takes back. */
export interface DwbTicket {
  /** Of the image's first slot. Orders tickets by age. */
  readonly ringSequence: number;
  /** Number of slots it holds until it is released. */
  readonly slots: number;
  readonly key: bigint;
}

/** What is in one or more consecutive slots. */
export class RingEntry implements DwbTicket {
  readonly ring: Ring;
  readonly ringSequence: number;
  readonly slots: number;
  readonly kind: SlotKind;
  readonly key: bigint;
  readonly target: bigint;
  readonly offset: number;
  readonly version: bigint;
  readonly watermark: bigint;
  /** Of the whole image, in bytes. */
  readonly length: number;
  /** Bytes stored, over all its slots. */
  readonly stored: number;
  /** The stored bytes of an image found in the file; those staged by this process are in the ring's mirror. */
  readonly found: Uint8Array | undefined;
  durable = false;
  released = false;

  constructor(ring: Ring, ringSequence: number, about: RingContents, found?: Uint8Array) {
    this.ring = ring;
    this.ringSequence = ringSequence;
    this.slots = slotsFor(ring.geometry, about.stored);
    this.kind = about.kind;
    this.key = about.key;
    this.target = about.target;
    this.offset = about.offset;
    this.version = about.version;
    this.watermark = about.watermark;
    this.length = about.length;
    this.stored = about.stored;
    this.found = found;
  }
}

export type RingContents = Pick<
  RingEntry,
  "kind" | "key" | "target" | "offset" | "version" | "watermark" | "length" | "stored"
>;

/**
 * Which slot holds what, and which are free. Slots are given out strictly in ring order and freed in ring order: a slot is free when its
 * entry and all older ones are durable and released. So an older copy never outlives a newer one.
 */
export class Ring {
  readonly geometry: DwbGeometry;
  /** The next ring sequence number to be given out. */
  #next = 1;
  /** The oldest one whose slot is not free. */
  #oldest = 1;
  /** Entries that hold slots, oldest first. */
  readonly #held: RingEntry[] = [];
  /** Whose bytes are in a slot, free or not. */
  readonly #bySlot: (RingEntry | undefined)[];
  /** Oldest first. */
  readonly #byKey = new Map<bigint, RingEntry[]>();

  constructor(geometry: DwbGeometry) {
    this.geometry = geometry;
    this.#bySlot = new Array<RingEntry | undefined>(geometry.slots).fill(undefined);
  }

  get freeSlots(): number {
    return this.geometry.slots - (this.#next - this.#oldest);
  }

  /** Starts giving out at `next`, with every slot free. */
  startAt(next: number): void {
    this.#next = next;
    this.#oldest = next;
  }

  /** An image found in the file. Its slots are not held: whoever opened the file has recovered. */
  remember(ringSequence: number, contents: RingContents, stored: Uint8Array): void {
    const entry = new RingEntry(this, ringSequence, contents, stored);
    entry.durable = true;
    entry.released = true;
    this.#index(entry);
  }

  /** Takes the next slots. Throws `DWB_TOO_LARGE` or `DWB_FULL`, and has then taken none. */
  take(contents: RingContents): RingEntry {
    const slots = slotsFor(this.geometry, contents.stored);
    if (slots > this.geometry.slots)
      throw new DwbError(
        "DWB_TOO_LARGE",
        `an image of ${slots} slots does not fit a ring of ${this.geometry.slots}`,
      );
    if (slots > this.freeSlots)
      throw new DwbError(
        "DWB_FULL",
        `${slots} slots needed, ${this.freeSlots} of ${this.geometry.slots} free`,
      );
    const entry = new RingEntry(this, this.#next, contents);
    this.#next += slots;
    this.#held.push(entry);
    this.#index(entry);
    return entry;
  }

  /** To be called when an entry has become durable or was released. */
  freeReleased(): void {
    let count = 0;
    for (const entry of this.#held) {
      if (!entry.durable || !entry.released) break;
      this.#oldest = entry.ringSequence + entry.slots;
      count++;
    }
    if (count > 0) this.#held.splice(0, count);
  }

  /** The newest durable image of a key, unless it is void. */
  newest(key: bigint): RingEntry | undefined {
    const newest = this.#byKey.get(key)?.findLast((entry) => entry.durable);
    return newest?.kind === KIND_IMAGE ? newest : undefined;
  }

  /** Whether a key's newest entry, durable or not, is an image. */
  holds(key: bigint): boolean {
    return this.#byKey.get(key)?.at(-1)?.kind === KIND_IMAGE;
  }

  #index(entry: RingEntry): void {
    for (let part = 0; part < entry.slots; part++) {
      const index = slotIndex(this.geometry, entry.ringSequence + part);
      const overwritten = this.#bySlot[index];
      // An image that lost one of its slots is lost.
      if (overwritten !== undefined) this.#forget(overwritten);
      this.#bySlot[index] = entry;
    }
    const entries = this.#byKey.get(entry.key);
    if (entries === undefined) this.#byKey.set(entry.key, [entry]);
    else entries.push(entry);
  }

  #forget(entry: RingEntry): void {
    const entries = this.#byKey.get(entry.key);
    const at = entries?.indexOf(entry) ?? -1;
    if (entries === undefined || at === -1) return;
    if (entries.length === 1) this.#byKey.delete(entry.key);
    else entries.splice(at, 1);
  }
}
