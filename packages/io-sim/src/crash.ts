import type { DirectoryTree } from "./directory-tree.js";
import type { FileContents, SectorVersion, WriteInFlight } from "./file-contents.js";
import type { RandomStream } from "./random-stream.js";

/** One thing that a crash decides: option 0 is always what was durable, the last of those that are not torn is the newest. */
export interface CrashChoice {
  readonly what: "sector" | "length" | "entry" | "untorn";
  /** How many outcomes there are, torn ones included. */
  readonly options: number;
  /** How many of them, at the end, are a torn sector: zeros, then garbage. */
  readonly torn: number;
  /** For a sector: its number in its file; for an entry: what was done; for an untorn write: where. */
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

/** One thing that a sector may be after a crash. */
type Outcome = Pick<SectorVersion, "bytes" | "untorn">;

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
  const arrived = arrivedWhole(file, sectors, choose);
  for (const sector of sectors) {
    const writes = inFlight.get(sector) ?? [];
    const outcomes = versionsAfter(file, sector, cuts);
    for (const write of writes) {
      outcomes.push({
        bytes: file.patched(sector, write),
        untorn: write.untorn === true ? write : undefined,
      });
    }
    const options = possible(outcomes, arrived).map(({ bytes }) => bytes);
    const torn = tornSectors && writes.some((write) => write.untorn !== true) ? 2 : 0;
    const count = options.length + torn;
    const choice = count === 1 ? 0 : choose({ what: "sector", options: count, torn, detail: sector });
    const bytes =
      options[choice] ??
      (choice === options.length ? new Uint8Array(file.sectorBytes) : random.bytes(file.sectorBytes));
    file.putDurable(sector, bytes);
  }
  file.forgetVolatile();
}

/** Decides of each untorn write that is not synced whether it is on the disk: all of its sectors, or none. */
function arrivedWhole(
  file: FileContents,
  sectors: readonly number[],
  choose: (choice: CrashChoice) => number,
): ReadonlyMap<WriteInFlight, boolean> {
  const writes = new Set<WriteInFlight>();
  for (const sector of sectors) {
    for (const { untorn } of file.dirty.get(sector) ?? []) if (untorn !== undefined) writes.add(untorn);
  }
  for (const write of file.inFlight) if (write.untorn === true) writes.add(write);
  return new Map(
    [...writes].map((write) => {
      const detail = `${write.offset}+${write.length}`;
      return [write, choose({ what: "untorn", options: 2, torn: 0, detail }) === 1];
    }),
  );
}

/** What a sector may be: nothing older than the last untorn write that is there, and nothing of one that isn't. */
function possible(
  outcomes: readonly Outcome[],
  arrived: ReadonlyMap<WriteInFlight, boolean>,
): readonly Outcome[] {
  const is = (there: boolean) => (outcome: Outcome) =>
    outcome.untorn !== undefined && arrived.get(outcome.untorn) === there;
  const gone = is(false);
  const floor = outcomes.findLastIndex(is(true));
  return outcomes.slice(Math.max(0, floor)).filter((outcome) => !gone(outcome));
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
function versionsAfter(file: FileContents, sector: number, cuts: number): Outcome[] {
  const versions: readonly SectorVersion[] = (file.dirty.get(sector) ?? []).filter(
    (version) => version.cuts <= cuts,
  );
  const floor = versions.findLastIndex((version) => version.cut);
  const allowed = versions.slice(Math.max(0, floor));
  const durable = file.durable.get(sector) ?? new Uint8Array(file.sectorBytes);
  return floor === -1 ? [{ bytes: durable, untorn: undefined }, ...allowed] : allowed;
}
