import type { FileContents } from "./file-contents.js";
import type { RandomStream } from "./random-stream.js";
import { flipBit } from "./silent-faults.js";

/** What happens to bytes that nobody is writing. */

/** Changes bytes wherever they are, on the disk and in the cache. */
export function overwrite(file: FileContents, offset: number, damage: Uint8Array): void {
  const { sectorBytes } = file;
  for (const sector of file.sectorsOf({ offset, bytes: damage, length: damage.length })) {
    const patch = (bytes: Uint8Array): Uint8Array => {
      const copy = bytes.slice();
      for (let i = 0; i < sectorBytes; i++) {
        const at = sector * sectorBytes + i - offset;
        if (at >= 0 && at < damage.length) copy[i] = damage[at]!;
      }
      return copy;
    };
    file.putDurable(sector, patch(file.durable.get(sector) ?? new Uint8Array(sectorBytes)));
    const dropped = file.dropped.get(sector);
    if (dropped !== undefined) file.dropped.set(sector, patch(dropped));
    const versions = file.dirty.get(sector);
    if (versions !== undefined)
      file.dirty.set(
        sector,
        versions.map((version) => ({ ...version, bytes: patch(version.bytes) })),
      );
  }
}

/** The file is shorter, on the disk and in the cache, and nothing says so. */
export function cutShort(file: FileContents, length: number): void {
  file.durableLength = Math.min(length, file.durableLength);
  file.pendingLengths = [];
  file.length = file.durableLength;
  for (const sectors of [file.dirty, file.dropped])
    for (const sector of [...sectors.keys()]) if (sector * file.sectorBytes >= length) sectors.delete(sector);
  file.zeroBeyondLength();
}

/** What rot makes of a sector: one wrong bit, zeros, garbage, or nothing that can be read. */
export type Rot = "bit" | "zeros" | "garbage" | "unreadable";

/** A sector rots on the disk. What the cache has of it that is newer is as it was. */
export function rotSector(file: FileContents, sector: number, rot: Rot, random: RandomStream): void {
  if (rot === "unreadable") {
    file.unreadable.add(sector);
    return;
  }
  if (rot === "zeros") {
    file.putDurable(sector, new Uint8Array(file.sectorBytes));
    return;
  }
  if (rot === "garbage") {
    file.putDurable(sector, random.bytes(file.sectorBytes));
    return;
  }
  const bytes = (file.durable.get(sector) ?? new Uint8Array(file.sectorBytes)).slice();
  const within = Math.min(file.sectorBytes, file.durableLength - sector * file.sectorBytes);
  flipBit(bytes.subarray(0, within), random);
  file.putDurable(sector, bytes);
}
