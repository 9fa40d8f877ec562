import { IoError, type IoOperation, ioErrorCode } from "@stonewal/io";
import type { RandomStream } from "./random-stream.js";

export type FaultOperation =
  | "open"
  | "read"
  | "write"
  | "sync"
  | "size"
  | "truncate"
  | "dropCache"
  | "list"
  | "makeDirectory"
  | "rename"
  | "unlink"
  | "syncDirectory"
  | "lock"
  | "probe";

export type FaultEffect =
  | "none"
  | "partial"
  | "interrupted"
  | "short"
  | "slow"
  | "lost"
  | "misdirected"
  | "rot"
  | "stale";

/** Which operations an effect is for; those that are not here: any. */
const ONLY: Readonly<Partial<Record<FaultEffect, readonly FaultOperation[]>>> = {
  partial: ["write", "sync"],
  interrupted: ["read", "write", "sync"],
  short: ["read", "write"],
  lost: ["write", "sync", "syncDirectory"],
  misdirected: ["write"],
  rot: ["read", "write"],
  stale: ["read"],
};

/** What goes wrong, and when. */
export interface FaultRule {
  /** `write` is any write, zero-writing included; `sync` any sync of a file, that of a durable write and of zero-writing included. */
  readonly operation: FaultOperation;
  /** Only on paths that match: the one under which a file was opened, also after a rename; of a rename, its source. */
  readonly path?: RegExp;
  /** Which of the matching operations is the first that can be struck, from 1, counted from when the rule was made. Default 1. */
  readonly nth?: number;
  /** How many can be struck: without `rate` that many in a row, by default 1; with it as many as chance picks, by default all. `Infinity`: no end. */
  readonly times?: number;
  /** The probability, from 0 to 1, that one of them is struck, drawn from the disk's seed. Default 1. */
  readonly rate?: number;
  /** Default `EIO`. */
  readonly errno?: string;
  /**
   * What happens. With an error:
   * - `none` (default): the call fails and has done nothing.
   * - `partial`: it fails, and a write has written some of its first sectors, a sync has brought some of the sectors to the disk.
   *
   * Without one, as system calls do and a back end must cope with:
   * - `interrupted`: EINTR, and made again (reads, writes, syncs).
   * - `short`: only a part is done, and the rest by another call (reads, writes).
   * - `slow`: it takes `ms` of simulated time, or without `ms` many boundaries, and whatever else is going on overtakes it.
   *
   * And without one, as devices do, which no back end can see:
   * - `lost`: reported done, never done. A buffered write goes on being read from the page cache until that is dropped, a direct one
   *   isn't there. A sync, of a file or a directory, made nothing durable; a later one does.
   * - `misdirected`: a write goes to another place, `to`, and is lost at its own.
   * - `rot`: one bit is wrong; of a write, on the disk; of a read, in what is returned, and another read has it right.
   * - `stale`: a read returns what each sector held before it was last written.
   */
  readonly effect?: FaultEffect;
  /** How many bytes a `short` call transfers. Default: of a write some of its first sectors, of a read one byte. */
  readonly bytes?: number;
  /** How long a `slow` call takes, in simulated milliseconds. */
  readonly ms?: number;
  /**
   * Where a `misdirected` write goes: `offset` is rounded down to a sector, `path` names an existing file, by default the same one.
   * Default: another place in the same file, drawn from the seed, and nowhere where the file has no other.
   */
  readonly to?: { readonly path?: string; readonly offset: number };
}

/** A rule in force. */
export interface Fault {
  /** How often it has struck. */
  readonly struck: number;
  cancel(): void;
}

export class Faults {
  readonly #rules = new Set<{ readonly rule: FaultRule; seen: number; struck: number }>();
  readonly #random: RandomStream;

  constructor(random: RandomStream) {
    this.#random = random;
  }

  add(rule: FaultRule): Fault {
    const { operation, effect = "none", rate = 1 } = rule;
    if (ONLY[effect]?.includes(operation) === false)
      throw new RangeError(`a fault of effect ${effect} is not for ${operation}`);
    if (!(rate >= 0 && rate <= 1)) throw new RangeError(`a fault's rate is from 0 to 1, not ${rate}`);
    const entry = { rule, seen: 0, struck: 0 };
    this.#rules.add(entry);
    return {
      get struck() {
        return entry.struck;
      },
      cancel: () => {
        this.#rules.delete(entry);
      },
    };
  }

  /** Counts an operation against every rule; the first rule that strikes. */
  strike(operation: FaultOperation, path: string): FaultRule | undefined {
    let striking: FaultRule | undefined;
    for (const entry of this.#rules) {
      const { rule } = entry;
      if (rule.operation !== operation || (rule.path !== undefined && !rule.path.test(path))) continue;
      entry.seen++;
      if (striking !== undefined || !this.#due(entry)) continue;
      entry.struck++;
      striking = rule;
    }
    return striking;
  }

  #due({ rule, seen, struck }: { rule: FaultRule; seen: number; struck: number }): boolean {
    const { nth = 1, rate, times } = rule;
    if (seen < nth) return false;
    if (rate === undefined) return seen < nth + (times ?? 1);
    return struck < (times ?? Number.POSITIVE_INFINITY) && this.#random.chance(rate);
  }
}

/** The call fails with an error. */
export function isFailure(rule: FaultRule): boolean {
  return rule.effect === undefined || rule.effect === "none" || rule.effect === "partial";
}

const OPERATIONS: Readonly<Partial<Record<FaultOperation, IoOperation>>> = {
  read: "read",
  write: "write",
  sync: "sync",
  open: "open",
  lock: "lock",
  rename: "rename",
  probe: "probe",
};

export function injected(rule: FaultRule, syscall: string, path: string): IoError {
  const errno = rule.errno ?? "EIO";
  const code = ioErrorCode(errno, OPERATIONS[rule.operation] ?? "directory");
  return new IoError(code, `${syscall} ${path}: ${errno} (injected)`, { errno, syscall, path });
}
