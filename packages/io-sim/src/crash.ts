import type { DirectoryTree } from "./directory-tree.js";
import type { FileContents, SectorVersion, WriteInFlight } from "./file-contents.js";
import type { RandomStream } from "./random-stream.js";

/** One thing that a crash decides: option 0 is always what was durable, the last of those that are not torn is the newest. */
export interface CrashChoice {
  readonly what: "sector" | "length" | "entry";
  /** How many outcomes there are, torn ones included. */
  readonly options: number;
  /** How many of them, at the end, are a torn sector: zeros, then garbage. */
  readonly torn: number;
  /** For a sector: its number in its file; for an entry: what was done. */
  readonly detail: number | string;
}

/**
 * What becomes of what was not synced. `none`: all of it is lost; `all`: all of it is kept; `random`: each sector, length and
 * directory entry by itself, as the seed says; or a function that picks the option.
 */
export type CrashPolicy = "none" | "all" | "random" | ((choice: CrashChoice) => number);

export function chooser(policy: CrashPolicy, random: RandomStream): (choice: CrashChoice) => number {
  if (policy === "none") return () => 0;
  if (policy === "all") return ({ options, torn }) => options - torn - 1;
  if (policy === "random") return ({ options }) => random.below(options);
  return (choice) => {
    const option = policy(choice);
    if (!Number.isInteger(option) || option < 0 || option >= choice.options)
      throw new RangeError(`crash policy chose ${option} of ${choice.options} options`);
    return option;
  };
}

/** Turns what was volatile into what the disk has after the power came back. */
export function crashDisk(
  tree: DirectoryTree,
  choose: (choice: CrashChoice) => number,
  tornSectors: boolean,
  random: RandomStream,
): void {
  for (const file of tree.files()) crashFile(file, choose, tornSectors, random);
  tree.crash((what) => choose({ what: "entry", options: 2, torn: 0, detail: what }) === 1);
}

function crashFile(
  file: FileContents,
  choose: (choice: CrashChoice) => number,
  tornSectors: boolean,
  random: RandomStream,
): void {
  const cuts = crashLength(file, choose);
  const writes = [...file.inFlight];
  const inFlight = new Map<number, WriteInFlight[]>();
  for (const write of writes)
    for (const sector of file.sectorsOf(write))
      inFlight.set(sector, [...(inFlight.get(sector) ?? []), write]);
  const sectors = [...new Set([...file.dirty.keys(), ...inFlight.keys()])].sort((a, b) => a - b);
  for (const sector of sectors) {
    const options = versionsAfter(file, sector, cuts);
    for (const write of inFlight.get(sector) ?? []) options.push(file.patched(sector, write));
    const torn = tornSectors && inFlight.has(sector) ? 2 : 0;
    const count = options.length + torn;
    const choice = count === 1 ? 0 : choose({ what: "sector", options: count, torn, detail: sector });
    const bytes =
      options[choice] ??
      (choice === options.length ? new Uint8Array(file.sectorBytes) : random.bytes(file.sectorBytes));
    file.putDurable(sector, bytes);
  }
  file.forgetVolatile();
}

/** Chooses the length, and with it how many cuts of the file have reached the disk. */
function crashLength(file: FileContents, choose: (choice: CrashChoice) => number): number {
  const options = [{ length: file.durableLength, cuts: file.durableCuts }, ...file.pendingLengths];
  for (const write of file.inFlight) {
    const length = write.offset + write.length;
    if (length > file.length) options.push({ length, cuts: file.cuts });
  }
  const choice =
    options.length === 1 ? 0 : choose({ what: "length", options: options.length, torn: 0, detail: "length" });
  const { length, cuts } = options[choice]!;
  file.durableLength = length;
  return cuts;
}

/** What a sector may be once `cuts` cuts are on the disk: nothing older than the last of them, nothing that came after a later one. */
function versionsAfter(file: FileContents, sector: number, cuts: number): Uint8Array[] {
  const versions: readonly SectorVersion[] = (file.dirty.get(sector) ?? []).filter(
    (version) => version.cuts <= cuts,
  );
  const floor = versions.findLastIndex((version) => version.cut);
  const allowed = versions.slice(Math.max(0, floor)).map((version) => version.bytes);
  return floor === -1 ? [file.durable.get(sector) ?? new Uint8Array(file.sectorBytes), ...allowed] : allowed;
}
