import type { CrashChoice } from "./crash.js";
import type { SimDisk } from "./sim-disk.js";

/** Disks that a power cut may leave behind, one at a time: iterate over it. */
export interface CrashOutcomes extends Iterable<SimDisk> {
  /** These are all of them; else a sample. */
  readonly exhaustive: boolean;
}

/**
 * Every state in which a power cut now may leave `disk`, each a disk of its own, without processes; `disk` itself goes on. Where there are more than
 * `limit` (default 1,000), a sample of that many: all lost, all kept, and the rest by chance. The same ones for the same disk.
 *
 * Their number is the product of what each unsynced sector, length and name may become: two sectors in flight have sixteen outcomes, eight of them
 * 65,536. Large sectors, short writes and `tornSectors: false` keep it small.
 */
export function crashOutcomes(disk: SimDisk, limit = 1000): CrashOutcomes {
  if (!Number.isSafeInteger(limit) || limit < 2) throw new RangeError(`at most ${limit} outcomes`);
  const all = everyPath(disk, limit);
  return {
    exhaustive: all !== undefined,
    *[Symbol.iterator]() {
      if (all !== undefined) for (const path of all) yield crashed(disk, path).disk;
      else for (let i = 0; i < limit; i++) yield sampled(disk, i);
    },
  };
}

function sampled(disk: SimDisk, index: number): SimDisk {
  const copy = disk.clone(index);
  copy.crash(index === 0 ? "none" : index === 1 ? "all" : "random");
  return copy;
}

/** Crashes a copy, taking the options of `path`, and beyond its end the first. */
function crashed(
  disk: SimDisk,
  path: readonly number[],
): { readonly disk: SimDisk; readonly options: readonly number[] } {
  const copy = disk.clone();
  const options: number[] = [];
  copy.crash((choice: CrashChoice) => {
    options.push(choice.options);
    return path[options.length - 1] ?? 0;
  });
  return { disk: copy, options };
}

/** The options taken in each outcome; `undefined` if there are more than `limit`. */
function everyPath(disk: SimDisk, limit: number): readonly (readonly number[])[] | undefined {
  const paths: (readonly number[])[] = [];
  for (let path: readonly number[] | undefined = []; path !== undefined; ) {
    const { options } = crashed(disk, path);
    // What the choices not made yet multiply to: no need to count to see that it is too much.
    const ahead = options.slice(path.length).reduce((product, count) => product * count, 1);
    if (paths.length + ahead > limit) return undefined;
    paths.push(path);
    path = next(path, options);
  }
  return paths;
}

/** Counts up, the last choice fastest. */
function next(path: readonly number[], options: readonly number[]): readonly number[] | undefined {
  const taken = options.map((_, index) => path[index] ?? 0);
  for (let index = taken.length - 1; index >= 0; index--)
    if (taken[index]! + 1 < options[index]!) return [...taken.slice(0, index), taken[index]! + 1];
  return undefined;
}
