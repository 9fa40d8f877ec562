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
  readonly #zero: Uint8Array;
  /** What survives a crash. A sector that is not there is zeros. */
  durable = new Map<number, Uint8Array>();
  durableLength = 0;
  /** Versions since the last sync, oldest first. */
  dirty = new Map<number, SectorVersion[]>();
  pendingLengths: PendingLength[] = [];
  length = 0;
  cuts = 0;
  /** How many of the cuts are on the disk. */
  durableCuts = 0;
  /** Pages that a failed sync has dropped: clean for the kernel, still served to buffered reads, never on the disk. */
  dropped = new Map<number, Uint8Array>();
  readonly inFlight = new Set<WriteInFlight>();
  readonly unreadable = new Set<number>();
  /** A sync is running. Two never overlap: the kernel tells a write-back error to one of them only. */
  syncing = false;
  /** How many write-backs have failed: each open file is told once of each that came after it was opened. */
  writeBackErrors = 0;

  constructor(sectorBytes: number) {
    this.sectorBytes = sectorBytes;
    this.#zero = zeroSector(sectorBytes);
  }

  copy(): FileContents {
    const copy = new FileContents(this.sectorBytes);
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
    return copy;
  }

  /** A sector as a read sees it: a buffered read is answered from the page cache, a direct one is not. */
  sector(sector: number, cached: boolean): Uint8Array {
    return (
      this.dirty.get(sector)?.at(-1)?.bytes ??
      (cached ? this.dropped.get(sector) : undefined) ??
      this.durable.get(sector) ??
      this.#zero
    );
  }

  /** Copies [offset, offset + into.length) as far as the file goes; the number of bytes. */
  read(into: Uint8Array, offset: number, cached: boolean): number {
    const end = Math.min(this.length, offset + into.length);
    for (let at = offset; at < end; ) {
      const sector = Math.floor(at / this.sectorBytes);
      const from = at - sector * this.sectorBytes;
      const count = Math.min(this.sectorBytes - from, end - at);
      into.set(this.sector(sector, cached).subarray(from, from + count), at - offset);
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
    const bytes = this.sector(sector, true).slice();
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
      this.#push(
        sector,
        this.patched(sector, write),
        stamp,
        false,
        write.untorn === true ? write : undefined,
      );
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
      bytes.set(this.sector(sector, true).subarray(0, kept));
      this.#push(sector, bytes, stamp, true);
    }
  }

  #push(sector: number, bytes: Uint8Array, stamp: number, cut: boolean, untorn?: WriteInFlight): void {
    const version = { bytes, stamp, cut, cuts: this.cuts, untorn };
    const versions = this.dirty.get(sector);
    if (versions === undefined) this.dirty.set(sector, [version]);
    else versions.push(version);
    this.dropped.delete(sector);
    // The device maps a bad sector to a good one when it is written.
    this.unreadable.delete(sector);
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

  /** A sync has failed: the pages are clean for the kernel and go on being read from its cache, and the disk keeps what it had, or `reached`. */
  dropDirty(stamp: number, reached: (sector: number) => boolean, range?: WriteInFlight): void {
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
      else this.dropped.set(sector, newest.bytes);
      if (later.length === 0) this.dirty.delete(sector);
      else this.dirty.set(sector, later);
    }
  }

  /** Only clean pages go. */
  dropCache(): void {
    this.dropped.clear();
  }

  putDurable(sector: number, bytes: Uint8Array): void {
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
    this.#zeroBeyondLength();
  }

  durableBytes(): Uint8Array {
    const bytes = new Uint8Array(this.durableLength);
    for (const [sector, contents] of this.durable) {
      const at = sector * this.sectorBytes;
      if (at < bytes.length) bytes.set(contents.subarray(0, bytes.length - at), at);
    }
    return bytes;
  }

  /** Damage: changes bytes wherever they are, on the disk and in the cache. */
  damage(offset: number, damage: Uint8Array): void {
    const write = { offset, bytes: damage, length: damage.length };
    for (const sector of this.sectorsOf(write)) {
      const patch = (bytes: Uint8Array): Uint8Array => {
        const copy = bytes.slice();
        for (let i = 0; i < this.sectorBytes; i++) {
          const at = sector * this.sectorBytes + i - offset;
          if (at >= 0 && at < damage.length) copy[i] = damage[at]!;
        }
        return copy;
      };
      this.durable.set(sector, patch(this.durable.get(sector) ?? this.#zero));
      const dropped = this.dropped.get(sector);
      if (dropped !== undefined) this.dropped.set(sector, patch(dropped));
      const versions = this.dirty.get(sector);
      if (versions !== undefined)
        this.dirty.set(
          sector,
          versions.map((version) => ({ ...version, bytes: patch(version.bytes) })),
        );
    }
  }

  /** Damage: the file is shorter, on the disk and in the cache, and nothing says so. */
  damageLength(length: number): void {
    this.durableLength = Math.min(length, this.durableLength);
    this.pendingLengths = [];
    this.length = this.durableLength;
    for (const sectors of [this.dirty, this.dropped])
      for (const sector of [...sectors.keys()])
        if (sector * this.sectorBytes >= length) sectors.delete(sector);
    this.#zeroBeyondLength();
  }

  #zeroBeyondLength(): void {
    const whole = Math.floor(this.length / this.sectorBytes);
    for (const [sector, bytes] of [...this.durable]) {
      if (sector < whole) continue;
      const tail = this.#zero.slice();
      tail.set(bytes.subarray(0, Math.max(0, this.length - sector * this.sectorBytes)));
      this.durable.set(sector, tail);
    }
  }
}
