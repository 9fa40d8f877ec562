import { IoError, type IoOperation, ioErrorCode } from "@stonewal/io";

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

export interface FaultRule {
  /** `write` is any write, zero-writing included; `sync` any sync of a file, that of zero-writing included. */
  readonly operation: FaultOperation;
  /** Only on paths that match; for a rename, its source. */
  readonly path?: RegExp;
  /** Which of the matching operations fails, from 1, counted from when the rule was made. Default 1. */
  readonly nth?: number;
  /** How many in a row fail. Default 1; `Infinity` for all that follow. */
  readonly times?: number;
  /** Default `EIO`. */
  readonly errno?: string;
  /**
   * What happens. `none`: the call fails and has done nothing. `partial`: it fails, and a write has written some of its first sectors, a sync
   * has brought some of the sectors to the disk. And without an error, for reads, writes and syncs, as system calls do and a back end must
   * cope with: `interrupted` (EINTR, made again), `short` (reads and writes: only a part is done, and the rest by
   * another call), `slow` (many boundaries pass first). Default `none`.
   */
  readonly effect?: "none" | "partial" | "interrupted" | "short" | "slow";
  /** How many bytes a `short` call transfers. Default: of a write, some of its first sectors. */
  readonly bytes?: number;
}

/** A rule in force. */
export interface Fault {
  /** How often it has struck. */
  readonly struck: number;
  cancel(): void;
}

export class Faults {
  readonly #rules = new Set<{ readonly rule: FaultRule; seen: number; struck: number }>();

  add(rule: FaultRule): Fault {
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
      const nth = rule.nth ?? 1;
      if (entry.seen < nth || entry.seen >= nth + (rule.times ?? 1) || striking !== undefined) continue;
      entry.struck++;
      striking = rule;
    }
    return striking;
  }
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
