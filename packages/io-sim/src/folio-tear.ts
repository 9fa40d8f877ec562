import type { Crash, SectorLoss } from "./crash.js";
import type { FileContents } from "./file-contents.js";

/**
 * Write-back of a buffered file by the folio. The kernel may write a whole folio although one block of it is dirty: its clean neighbours are written
 * once more with what they hold. No harm while the power is there; but a write that the cut tears has under its head whatever it was just
 * writing, and that may be a neighbour that was acknowledged long ago. The kernel starts write-back when it likes, so any folio
 * with a dirty sector may be the one.
 *
 * What is torn is one run of neighbours, all of it zeros or all of it garbage: a device writes a request from its start to its end, and only
 * what was under way is neither old nor new. (And old and new are the same here.)
 *
 * Returns the dirty sectors of torn folios: the tear may be in them as well.
 */
export function tearFolios(
  { choose, random, shape }: Crash,
  file: FileContents,
  dirty: readonly number[],
  losses: Map<number, SectorLoss>,
): ReadonlySet<number> {
  const torn = new Set<number>();
  if (shape.folioBytes === 0 || !shape.tornSectors) return torn;
  const concerned = new Set(dirty);
  const folios = new Set(
    dirty.filter((sector) => isBuffered(file, sector)).map((at) => file.folioOf(at).first),
  );
  for (const first of folios) {
    const { end } = file.folioOf(first);
    const at = `${first * file.sectorBytes}+${(end - first) * file.sectorBytes}`;
    if (choose({ what: "folio", options: 2, torn: 1, detail: at }) === 0) continue;
    const neighbours: number[] = [];
    for (let sector = first; sector < end; sector++)
      if (concerned.has(sector)) torn.add(sector);
      else if (sector * file.sectorBytes < file.durableLength) neighbours.push(sector);
    if (neighbours.length === 0) continue;
    const pick = (options: number, question: string): number =>
      options === 1 ? 0 : choose({ what: "folio", options, torn: 0, detail: `${at}: ${question}` });
    const from = pick(neighbours.length, "first torn neighbour");
    const count = 1 + pick(neighbours.length - from, "how many more");
    const garbage = pick(2, "zeros or garbage") === 1;
    for (const sector of neighbours.slice(from, from + count)) {
      file.putDurable(sector, garbage ? random.bytes(file.sectorBytes) : new Uint8Array(file.sectorBytes));
      losses.set(sector, garbage ? "neighbour garbage" : "neighbour zeros");
    }
  }
  return torn;
}

function isBuffered(file: FileContents, sector: number): boolean {
  const versions = file.dirty.get(sector) ?? [];
  if (versions.some((version) => !version.direct && !version.cut)) return true;
  for (const write of file.inFlight)
    if (write.direct !== true && file.sectorsOf(write).includes(sector)) return true;
  return false;
}
