import type { DirectoryTree } from "./directory-tree.js";
import type { FaultEvent } from "./fault-log.js";
import type { FileContents, SectorVersion, WriteInFlight } from "./file-contents.js";
import { tearFolios } from "./folio-tear.js";
import type { DiskShape } from "./machine.js";
import type { RandomStream } from "./random-stream.js";

/** One thing that a crash decides: option 0 is always what was durable, the last of those that are not torn is the newest. */
export interface CrashChoice {
  readonly what: "sector" | "length" | "entry" | "untorn" | "folio";
  /** How many outcomes there are, torn ones included. */
  readonly options: number;
  /**
   * How many of them, at the end, leave something that nobody wrote there: of a sector zeros, then garbage, then where `staleBlocks` is set what another
   * place holds; of a folio, that it is torn.
   */
  readonly torn: number;
  /** For a sector: its number in its file; for an entry: what was done; for an untorn write or a folio: where. */
  readonly detail: number | string;
}

/**
 * What becomes of what was not synced. `none`: all of it is lost; `all`: all of it is kept; `random`: each sector, length and
 * directory entry by itself, as the seed says; or a function that picks the option.
 */
export type CrashPolicy = "none" | "all" | "random" | ((choice: CrashChoice) => number);

export type Choose = (choice: CrashChoice) => number;

export function chooser(policy: CrashPolicy, random: RandomStream): Choose {
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

/** What a crash needs to know, and to whom it says what it did. */
export interface Crash {
  readonly tree: DirectoryTree;
  readonly choose: Choose;
  readonly shape: DiskShape;
  readonly random: RandomStream;
  record(kind: string, event: Omit<FaultEvent, "operation" | "kind">): void;
}

/** One thing that a sector may be after a crash. */
type Outcome = Pick<SectorVersion, "bytes" | "untorn">;

/** What a crash did to a sector that is not as it was written last. */
export type SectorLoss =
  | "lost"
  | "older"
  | "zeros"
  | "garbage"
  | "stale"
  | "neighbour zeros"
  | "neighbour garbage";

/** Turns what was volatile into what the disk has after the power came back. */
export function crashDisk(crash: Crash): void {
  const { tree, choose, record } = crash;
  const files = tree.files();
  // Before anything changes: what another place holds.
  const elsewhere = crash.shape.staleBlocks ? durableSectors(files.keys()) : [];
  for (const [file, path] of files) {
    const losses = crashFile(crash, file, path, elsewhere);
    for (const event of ranges(file, losses)) record(event.kind, { path, ...event.range });
  }
  tree.crash((what) => {
    const kept = choose({ what: "entry", options: 2, torn: 0, detail: what }) === 1;
    if (!kept) record("crash entry", { detail: `${what} is undone` });
    return kept;
  });
}

function durableSectors(files: Iterable<FileContents>): Uint8Array[] {
  return [...files].flatMap((file) => [...file.durable.values()]);
}

function crashFile(
  crash: Crash,
  file: FileContents,
  path: string,
  elsewhere: readonly Uint8Array[],
): Map<number, SectorLoss> {
  const { choose, random, shape } = crash;
  const allocated = file.durableLength;
  const cuts = crashLength(crash, file, path);
  const inFlight = new Map<number, WriteInFlight[]>();
  for (const write of file.inFlight)
    for (const sector of file.sectorsOf(write))
      inFlight.set(sector, [...(inFlight.get(sector) ?? []), write]);
  const sectors = [...new Set([...file.dirty.keys(), ...inFlight.keys()])].sort((a, b) => a - b);
  const losses = new Map<number, SectorLoss>();
  const tornFolios = tearFolios(crash, file, sectors, losses);
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
    const options = possible(outcomes, arrived)
      .map(({ bytes }) => bytes)
      .filter(isOther);
    const tearing =
      writes.some((write) => write.untorn !== true) || file.isBeingSynced(sector) || tornFolios.has(sector);
    const others: { readonly loss: SectorLoss; bytes(): Uint8Array }[] = [];
    if (shape.tornSectors && tearing)
      others.push(
        { loss: "zeros", bytes: () => new Uint8Array(file.sectorBytes) },
        { loss: "garbage", bytes: () => random.bytes(file.sectorBytes) },
      );
    // A block that was given to the file and not written yet holds what its last owner left in it.
    if (elsewhere.length > 0 && sector * file.sectorBytes >= allocated)
      others.push({ loss: "stale", bytes: () => elsewhere[random.below(elsewhere.length)]! });
    const torn = others.length;
    const count = options.length + torn;
    const choice = count === 1 ? 0 : choose({ what: "sector", options: count, torn, detail: sector });
    const other = others[choice - options.length];
    file.putDurable(sector, other?.bytes() ?? options[choice]!);
    if (other !== undefined) losses.set(sector, other.loss);
    else if (choice < options.length - 1) losses.set(sector, choice === 0 ? "lost" : "older");
  }
  file.forgetVolatile();
  return losses;
}

/** What was written over the same bytes changes nothing: that makes no outcome of its own. */
function isOther(bytes: Uint8Array, index: number, all: readonly Uint8Array[]): boolean {
  const before = all[index - 1];
  return before === undefined || (before !== bytes && Buffer.compare(before, bytes) !== 0);
}

/** Losses of one kind that lie side by side, as one. */
function ranges(
  file: FileContents,
  losses: ReadonlyMap<number, SectorLoss>,
): { readonly kind: string; readonly range: { offset: number; length: number } }[] {
  const found: { kind: string; range: { offset: number; length: number } }[] = [];
  for (const [sector, loss] of [...losses].sort(([a], [b]) => a - b)) {
    const offset = sector * file.sectorBytes;
    const kind = `crash ${loss}`;
    const last = found.at(-1);
    if (last?.kind === kind && last.range.offset + last.range.length === offset)
      last.range.length += file.sectorBytes;
    else found.push({ kind, range: { offset, length: file.sectorBytes } });
  }
  return found;
}

/** Decides of each untorn write that is not synced whether it is on the disk: all of its sectors, or none. */
function arrivedWhole(
  file: FileContents,
  sectors: readonly number[],
  choose: Choose,
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
function crashLength({ choose, record }: Crash, file: FileContents, path: string): number {
  const options = [{ length: file.durableLength, cuts: file.durableCuts }, ...file.pendingLengths];
  for (const write of file.inFlight) {
    const length = write.offset + write.length;
    if (length > file.length) options.push({ length, cuts: file.cuts });
  }
  const choice =
    options.length === 1 ? 0 : choose({ what: "length", options: options.length, torn: 0, detail: "length" });
  const { length, cuts } = options[choice]!;
  const newest = options.at(-1)!.length;
  if (length !== newest) record("crash length", { path, detail: `${length} instead of ${newest}` });
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
