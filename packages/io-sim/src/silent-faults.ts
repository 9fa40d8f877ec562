import type { FaultRule } from "./faults.js";
import type { FileContents, WriteInFlight } from "./file-contents.js";
import type { Machine } from "./machine.js";
import type { RandomStream } from "./random-stream.js";

/** What a device does wrong without saying so. */

export function flipBit(bytes: Uint8Array, random: RandomStream): void {
  if (bytes.length === 0) return;
  const at = random.below(bytes.length);
  bytes[at] = bytes[at]! ^ (1 << random.below(8));
}

/** A write's bytes with one bit wrong. */
export function rotten(write: WriteInFlight, random: RandomStream): WriteInFlight {
  const bytes = write.bytes?.slice() ?? new Uint8Array(write.length);
  flipBit(bytes, random);
  return { ...write, bytes };
}

/** A write goes to another place: its sectors are on the disk there, over what was there. Its own place is the caller's affair. */
export function misdirect(
  machine: Machine,
  path: string,
  contents: FileContents,
  write: WriteInFlight,
  to: FaultRule["to"],
): void {
  const { sectorBytes } = contents;
  const sectors = contents.sectorsOf(write);
  const target = to?.path === undefined ? contents : machine.tree.file(to.path, "misdirect");
  const first =
    to === undefined ? elsewhere(contents, sectors, machine.fate) : Math.floor(to.offset / sectorBytes);
  if (first === undefined) return;
  for (const [index, sector] of sectors.entries()) {
    if ((first + index) * sectorBytes >= target.length) break;
    target.putDurable(first + index, contents.patched(sector, write));
  }
  machine.record("misdirected to", {
    path: to?.path ?? path,
    offset: first * sectorBytes,
    length: sectors.length * sectorBytes,
  });
}

/** The first sector of another place in the file, as long as the write is. */
function elsewhere(
  contents: FileContents,
  sectors: readonly number[],
  random: RandomStream,
): number | undefined {
  const places = Math.floor(contents.length / contents.sectorBytes) - sectors.length + 1;
  if (places < 2) return undefined;
  const own = sectors[0]!;
  const first = random.below(places - (own < places ? 1 : 0));
  return first >= own ? first + 1 : first;
}
