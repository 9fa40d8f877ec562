/**
 * The contents of one simulated file: what is on the disk, what was written since and is not yet, and what the page cache still shows
 * although the disk never got it. Kept per sector; the bytes of a sector are never changed in place, so a copy of the whole is shallow.
 */

/** A sector as one write left it, not yet synced. */
export interface SectorVersion {
  readonly bytes: Uint8Array;
  readonly stamp: number;
  /** How many cuts (shrinking truncations) of the file came before it, or with it. */
  readonly cuts: number;
  /** Made by a cut: whoever sees the file cut cannot see an older version of the sector. */
  readonly cut: boolean;
  /** The untorn write that made it: at a crash all of its sectors get as far as this, or none does. */
  readonly untorn: WriteInFlight | undefined;
  /** Written past the page cache: only the device has it. */
  readonly direct: boolean;
}

/** A length that the file had, not yet synced. */
export interface PendingLength {
  readonly length: number;
  readonly stamp: number;
  readonly cuts: number;
}

/** A write that has begun and not completed: at a crash each of its sectors may be anything. */
export interface WriteInFlight {
  readonly offset: number;
  /** `undefined`: zeros. */
  readonly bytes: Uint8Array | undefined;
  readonly length: number;
  /** At a crash it is there whole, or not at all. */
  readonly untorn?: boolean;
  /** Past the page cache. */
  readonly direct?: boolean;
}

/**
 * Who reads: `cache` through the page cache, `device` past it; `stale` gets what each sector held before it was last written.
 */
export type View = "cache" | "device" | "stale";

/** What a running sync is bringing to the disk: a crash may tear it. */
interface WriteBack {
  readonly stamp: number;
  /** Only this range. */
  readonly range: WriteInFlight | undefined;
}

const ZERO_SECTORS = new Map<number, Uint8Array>();

/** One shared sector of zeros per size: a file of zeros takes no memory. */
function zeroSector(sectorBytes: number): Uint8Array {
  let zero = ZERO_SECTORS.get(sectorBytes);
  if (zero === undefined) {
    zero = new Uint8Array(sectorBytes);
    ZERO_SECTORS.set(sectorBytes, zero);
  }
  return zero;
}

export class FileContents {
  readonly kind = "file";
  readonly sectorBytes: number;
  readonly #folioSectors: number;
  readonly #zero: Uint8Array;
  /** What survives a crash. A sector that is not there is zeros. */
  durable = new Map<number, Uint8Array>();
  durableLength = 0;
  /** What the disk had in a sector before what it has now. */
  readonly #previous = new Map<number, Uint8Array>();
  /** Versions since the last sync, oldest first. */
  dirty = new Map<number, SectorVersion[]>();
  pendingLengths: PendingLength[] = [];
  length = 0;
  cuts = 0;
  /** How many of the cuts are on the disk. */
  durableCuts = 0;
  /** Pages that are clean for the kernel and not on the disk, because a sync failed or a write was lost: still served to buffered reads. */
  dropped = new Map<number, Uint8Array>();
  readonly inFlight = new Set<WriteInFlight>();
  readonly unreadable = new Set<number>();
  /** A sync is running. Two never overlap: the kernel tells a write-back error to one of them only. */
  syncing = false;
  writeBack: WriteBack | undefined;
  /** How many write-backs have failed: each open file is told once of each that came after it was opened. */
  writeBackErrors = 0;

  /** `folioBytes`: what the kernel writes back at least, clean neighbours included; 0: only what is dirty. */
  constructor(sectorBytes: number, folioBytes = 0) {
    this.sectorBytes = sectorBytes;
    this.#folioSectors = folioBytes / sectorBytes;
    this.#zero = zeroSector(sectorBytes);
  }

  copy(): FileContents {
    const copy = new FileContents(this.sectorBytes, this.#folioSectors * this.sectorBytes);
    copy.durable = new Map(this.durable);
    copy.durableLength = this.durableLength;
    copy.dirty = new Map([...this.dirty].map(([sector, versions]) => [sector, [...versions]]));
    copy.pendingLengths = [...this.pendingLengths];
    copy.length = this.length;
    copy.cuts = this.cuts;
    copy.durableCuts = this.durableCuts;
    copy.dropped = new Map(this.dropped);
    for (const write of this.inFlight) copy.inFlight.add(write);
    for (const sector of this.unreadable) copy.unreadable.add(sector);
    for (const [sector, bytes] of this.#previous) copy.#previous.set(sector, bytes);
    // Not `syncing`: nobody is there who would end it.
    copy.writeBack = this.writeBack;
    return copy;
  }

  /** A sector as a read sees it. */
  sector(sector: number, view: View): Uint8Array {
    if (view === "stale") return this.#staleSector(sector);
    return (
      (view === "cache" ? this.dropped.get(sector) : undefined) ??
      this.dirty.get(sector)?.at(-1)?.bytes ??
      this.#durableSector(sector)
    );
  }

  #durableSector(sector: number): Uint8Array {
    return this.durable.get(sector) ?? this.#zero;
  }

  #staleSector(sector: number): Uint8Array {
    const versions = this.dirty.get(sector);
    if (versions === undefined) return this.#previous.get(sector) ?? this.#durableSector(sector);
    return versions.at(-2)?.bytes ?? this.#durableSector(sector);
  }

  /** Copies [offset, offset + into.length) as far as the file goes; the number of bytes. */
  read(into: Uint8Array, offset: number, view: View): number {
    const end = Math.min(this.length, offset + into.length);
    for (let at = offset; at < end; ) {
      const sector = Math.floor(at / this.sectorBytes);
      const from = at - sector * this.sectorBytes;
      const count = Math.min(this.sectorBytes - from, end - at);
      into.set(this.sector(sector, view).subarray(from, from + count), at - offset);
      at += count;
    }
    return Math.max(0, end - offset);
  }

  /** First unreadable sector in a range that the device would have to be asked for. */
  unreadableIn(offset: number, length: number): number | undefined {
    for (const sector of this.unreadable) {
      const at = sector * this.sectorBytes;
      if (
        at < offset + length &&
        at + this.sectorBytes > offset &&
        at < this.length &&
        !this.dirty.has(sector)
      )
        return at;
    }
    return undefined;
  }

  /** What a sector would be with a write applied to it. */
  patched(sector: number, write: WriteInFlight): Uint8Array {
    const start = sector * this.sectorBytes;
    const from = Math.max(start, write.offset);
    const to = Math.min(start + this.sectorBytes, write.offset + write.length);
    const source = write.bytes?.subarray(from - write.offset, to - write.offset);
    if (to - from === this.sectorBytes) return source ?? this.#zero;
    const bytes = this.sector(sector, write.direct === true ? "device" : "cache").slice();
    if (source === undefined) bytes.fill(0, from - start, to - start);
    else bytes.set(source, from - start);
    return bytes;
  }

  sectorsOf(write: WriteInFlight): number[] {
    if (write.length === 0) return [];
    const first = Math.floor(write.offset / this.sectorBytes);
    const last = Math.floor((write.offset + write.length - 1) / this.sectorBytes);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  }

  /** A write has completed: its bytes are readable, and volatile. */
  apply(write: WriteInFlight, stamp: number): void {
    for (const sector of this.sectorsOf(write))
      this.#push(sector, {
        bytes: this.patched(sector, write),
        stamp,
        cut: false,
        untorn: write.untorn === true ? write : undefined,
        direct: write.direct === true,
      });
    this.#reach(write, stamp);
  }

  /** A write has completed, and the device has lost it: only the page cache has the bytes, if it was buffered. */
  applyLost(write: WriteInFlight, stamp: number): void {
    for (const sector of this.sectorsOf(write))
      if (write.direct === true) this.dropped.delete(sector);
      else this.dropped.set(sector, this.patched(sector, write));
    this.#reach(write, stamp);
  }

  #reach(write: WriteInFlight, stamp: number): void {
    const end = write.offset + write.length;
    if (end > this.length) this.setLength(end, stamp);
  }

  setLength(length: number, stamp: number): void {
    if (length < this.length) this.#cut(length, stamp);
    this.length = length;
    this.pendingLengths.push({ length, stamp, cuts: this.cuts });
  }

  /** What lay beyond a cut reads as zeros when the file grows again. */
  #cut(length: number, stamp: number): void {
    this.cuts++;
    const first = Math.floor(length / this.sectorBytes);
    const beyond = new Set([...this.durable.keys(), ...this.dirty.keys(), ...this.dropped.keys()]);
    for (const sector of [...beyond].sort((a, b) => a - b)) {
      if (sector < first) continue;
      const kept = Math.max(0, length - sector * this.sectorBytes);
      const bytes = this.#zero.slice();
      bytes.set(this.sector(sector, "cache").subarray(0, kept));
      this.#push(sector, { bytes, stamp, cut: true, untorn: undefined, direct: false });
    }
  }

  #push(sector: number, made: Omit<SectorVersion, "cuts">): void {
    const version = { ...made, cuts: this.cuts };
    const versions = this.dirty.get(sector);
    if (versions === undefined) this.dirty.set(sector, [version]);
    else versions.push(version);
    this.dropped.delete(sector);
    // The device maps a bad sector to a good one when it is written.
    this.unreadable.delete(sector);
  }

  /** A running sync is writing the sector: not one of an untorn write, of which the device has promised that it can't be torn. */
  isBeingSynced(sector: number): boolean {
    if (this.writeBack === undefined) return false;
    const { stamp, range } = this.writeBack;
    if (range !== undefined && !this.#covers(range, sector)) return false;
    const versions = this.dirty.get(sector) ?? [];
    return (
      versions.some((version) => version.stamp <= stamp && !version.cut) &&
      versions.every(({ untorn }) => untorn === undefined)
    );
  }

  #covers({ offset, length }: WriteInFlight, sector: number): boolean {
    const start = sector * this.sectorBytes;
    return start < offset + length && start + this.sectorBytes > offset;
  }

  /** The sectors of the folio of a sector. */
  folioOf(sector: number): { readonly first: number; readonly end: number } {
    if (this.#folioSectors === 0) return { first: sector, end: sector + 1 };
    const first = sector - (sector % this.#folioSectors);
    return { first, end: first + this.#folioSectors };
  }

  /** Pages around a written-back one that the cache holds and the disk doesn't: the kernel writes the folio as the cache has it. */
  #settleNeighbours(sector: number): void {
    if (this.dropped.size === 0) return;
    const { first, end } = this.folioOf(sector);
    for (let neighbour = first; neighbour < end; neighbour++) {
      const bytes = this.dropped.get(neighbour);
      if (neighbour === sector || bytes === undefined || this.dirty.has(neighbour)) continue;
      this.putDurable(neighbour, bytes);
      this.dropped.delete(neighbour);
    }
  }

  /** A durable write has completed: its sectors are on the disk, and the length too where it had to grow for them. */
  makeDurable(write: WriteInFlight): void {
    if (write.offset + write.length > this.durableLength) this.#syncLength(Number.POSITIVE_INFINITY);
    for (const sector of this.sectorsOf(write)) this.#settle(sector, Number.POSITIVE_INFINITY);
  }

  /** A sync has completed: every version up to `stamp` is on the disk. */
  sync(stamp: number): void {
    this.#syncLength(stamp);
    for (const sector of [...this.dirty.keys()]) this.#settle(sector, stamp);
  }

  #settle(sector: number, stamp: number): void {
    const versions = this.dirty.get(sector);
    const newest = versions?.findLast((version) => version.stamp <= stamp);
    if (versions === undefined || newest === undefined) return;
    this.putDurable(sector, newest.bytes);
    if (!newest.direct) this.#settleNeighbours(sector);
    const later = versions.filter((version) => version.stamp > stamp);
    if (later.length === 0) this.dirty.delete(sector);
    else this.dirty.set(sector, later);
  }

  #syncLength(stamp: number): void {
    const newest = this.pendingLengths.findLast((pending) => pending.stamp <= stamp);
    if (newest === undefined) return;
    this.durableLength = newest.length;
    this.durableCuts = newest.cuts;
    this.pendingLengths = this.pendingLengths.filter((pending) => pending.stamp > stamp);
    // A cut is one with its length: what was cut off cannot come back.
    for (const [sector, versions] of [...this.dirty]) {
      const cut = versions.findLast((version) => version.cut && version.cuts <= newest.cuts);
      if (cut !== undefined) this.#settle(sector, cut.stamp);
    }
  }

  /**
   * A sync has failed, and the disk keeps what it had, or `reached`. The pages are clean for the kernel and go on being read from its cache. What
   * was written past the cache is `kept` by the device, which may yet bring it to the disk, or it is gone.
   */
  dropDirty(
    stamp: number,
    reached: (sector: number) => boolean,
    kept: () => boolean,
    range?: WriteInFlight,
  ): void {
    const concerned = range && new Set(this.sectorsOf(range));
    const together = new Map<WriteInFlight, boolean>();
    for (const [sector, versions] of [...this.dirty].sort(([a], [b]) => a - b)) {
      const newest = versions.findLast((version) => version.stamp <= stamp);
      if (newest === undefined || concerned?.has(sector) === false) continue;
      const later = versions.filter((version) => version.stamp > stamp);
      const { untorn } = newest;
      const arrived = (untorn === undefined ? undefined : together.get(untorn)) ?? reached(sector);
      if (untorn !== undefined) together.set(untorn, arrived);
      if (arrived) this.putDurable(sector, newest.bytes);
      else if (newest.direct && untorn === undefined && kept()) continue;
      else if (!newest.direct && later.length === 0) this.dropped.set(sector, newest.bytes);
      if (later.length === 0) this.dirty.delete(sector);
      else this.dirty.set(sector, later);
    }
  }

  /** Only clean pages go. */
  dropCache(): void {
    this.dropped.clear();
  }

  putDurable(sector: number, bytes: Uint8Array): void {
    const before = this.#durableSector(sector);
    if (bytes === before) return;
    this.#previous.set(sector, before);
    if (bytes === this.#zero) this.durable.delete(sector);
    else this.durable.set(sector, bytes);
  }

  /** What is on the disk is all there is: the state after a crash. */
  forgetVolatile(): void {
    this.dirty.clear();
    this.dropped.clear();
    this.inFlight.clear();
    this.pendingLengths = [];
    this.cuts = 0;
    this.durableCuts = 0;
    this.length = this.durableLength;
    this.syncing = false;
    this.writeBack = undefined;
    this.zeroBeyondLength();
  }

  durableBytes(): Uint8Array {
    const bytes = new Uint8Array(this.durableLength);
    for (const [sector, contents] of this.durable) {
      const at = sector * this.sectorBytes;
      if (at < bytes.length) bytes.set(contents.subarray(0, bytes.length - at), at);
    }
    return bytes;
  }

  /** What lies beyond the length is not part of the file. */
  zeroBeyondLength(): void {
    const whole = Math.floor(this.length / this.sectorBytes);
    for (const [sector, bytes] of [...this.durable]) {
      if (sector < whole) continue;
      const tail = this.#zero.slice();
      tail.set(bytes.subarray(0, Math.max(0, this.length - sector * this.sectorBytes)));
      this.durable.set(sector, tail);
    }
  }
}
