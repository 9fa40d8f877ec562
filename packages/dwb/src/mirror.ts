import type { Arena, ChecksumRanges, IoBackend, IoFile, Step, WriteStep } from "@stonewal/io";
import { checksumRanges } from "@stonewal/record";
import { type DwbGeometry, SLOT_HEADER_BYTES, SLOTS_START, slotIndex } from "./geometry.js";
import { encodeSlot, sealSlots, viewOf } from "./layout.js";
import type { RingEntry } from "./ring.js";

/** Where a slot begins in the mirror, and how many bytes it stores. */
interface StoredSlot {
  readonly start: number;
  readonly stored: number;
}

/**
 * The ring's slots in memory as they are, or will be, in the file. So consecutive slots that leave no gap are one write, and what is staged
 * is copied once.
 */
export class Mirror {
  readonly #arena: Arena;
  readonly #view: DataView;
  readonly #file: IoFile;
  readonly #id: Uint8Array;
  readonly #geometry: DwbGeometry;
  readonly #checksum: ChecksumRanges;

  constructor(io: IoBackend, file: IoFile, id: Uint8Array, geometry: DwbGeometry) {
    this.#arena = io.arena(geometry.slots * geometry.slotStride);
    this.#view = viewOf(this.#arena.bytes);
    this.#file = file;
    this.#id = id;
    this.#geometry = geometry;
    this.#checksum = io.checksum ?? checksumRanges;
  }

  /** Copies an entry's bytes into its slots. They are sealed by `steps`. */
  put(entry: RingEntry, bytes: Uint8Array): void {
    const { slotBytes } = this.#geometry;
    const { key, target, offset, version, watermark, length, kind, slots: parts } = entry;
    const mirror = this.#arena.bytes;
    for (let part = 0; part < parts; part++) {
      const start = this.#start(entry.ringSequence + part);
      const stored = parts === 1 ? bytes : bytes.subarray(part * slotBytes, (part + 1) * slotBytes);
      encodeSlot(mirror, this.#view, start, this.#id, this.#geometry, {
        ringSequence: entry.ringSequence + part,
        key,
        target,
        offset,
        first: entry.ringSequence,
        version,
        watermark,
        length,
        part,
        parts,
        stored: stored.length,
        kind,
      });
      mirror.set(stored, start + SLOT_HEADER_BYTES);
      // Nothing of the slot's former contents is written again behind the image.
      mirror.fill(0, start + SLOT_HEADER_BYTES + stored.length, start + this.#used(stored.length));
    }
  }

  /** A copy of an entry's stored bytes. */
  storedOf(entry: RingEntry): Uint8Array {
    const stored = new Uint8Array(entry.stored);
    let at = 0;
    for (const part of this.#slotsOf(entry, [])) {
      const from = part.start + SLOT_HEADER_BYTES;
      stored.set(this.#arena.bytes.subarray(from, from + part.stored), at);
      at += part.stored;
    }
    return stored;
  }

  /**
   * Seals entries and gives the steps that make them durable: one write per run of slots without a gap between them, and one sync for all; a
   * single write is made durable by itself.
   */
  steps(entries: readonly RingEntry[]): Step[] {
    const slots: StoredSlot[] = [];
    for (const entry of entries) this.#slotsOf(entry, slots);
    sealSlots(this.#arena.bytes, this.#view, slots, this.#checksum);
    const runs: { start: number; end: number }[] = [];
    for (const { start, stored } of slots) {
      const last = runs.at(-1);
      const end = start + this.#used(stored);
      if (last?.end === start) last.end = end;
      else runs.push({ start, end });
    }
    const writes = runs.map(
      ({ start, end }): WriteStep => ({
        kind: "write",
        file: this.#file,
        region: { arena: this.#arena, start, length: end - start },
        offset: SLOTS_START + start,
        // Safe in place of a sync: no other write of this batch waits for one, and every batch brings its own.
        ...(runs.length === 1 ? { durable: true } : {}),
      }),
    );
    return runs.length === 1 ? writes : [...writes, { kind: "sync", file: this.#file }];
  }

  /** Adds the entry's slots to `slots`, and answers that. */
  #slotsOf(entry: RingEntry, slots: StoredSlot[]): StoredSlot[] {
    const { slotBytes } = this.#geometry;
    for (let part = 0; part < entry.slots; part++) {
      const stored = Math.min(slotBytes, entry.stored - part * slotBytes);
      slots.push({ start: this.#start(entry.ringSequence + part), stored });
    }
    return slots;
  }

  #start(ringSequence: number): number {
    return slotIndex(this.#geometry, ringSequence) * this.#geometry.slotStride;
  }

  /** Bytes of a slot that are written: whole blocks. */
  #used(stored: number): number {
    const { blockBytes } = this.#geometry;
    return Math.ceil((SLOT_HEADER_BYTES + stored) / blockBytes) * blockBytes;
  }
}
