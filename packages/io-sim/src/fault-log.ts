import { type FaultRule, isFailure } from "./faults.js";

/** One thing that was done to the program, its files or its machine. */
export interface FaultEvent {
  /** How many boundaries had been passed (`SimDisk.operations`). */
  readonly operation: number;
  /**
   * What was done. Of a rule: its operation, and its effect or errno (`sync EIO`, `write partial ENOSPC`, `write lost`, `read rot`); and `misdirected to`,
   * with the place where such a write went. Of a crash: `crash`, and then for each place that isn't as it was written last `crash lost` (it is what was
   * durable), `crash older` (an earlier unsynced version), `crash zeros`, `crash garbage`, `crash stale`, `crash neighbour zeros`,
   * `crash neighbour garbage`, `crash length`, `crash entry`. Of the end of its processes: `kill`. By hand: `corrupt`, `truncate`, `unreadable`,
   * `rot bit`, `rot zeros`, `rot garbage`.
   */
  readonly kind: string;
  /** Not there for the whole machine. */
  readonly path?: string;
  /** In bytes. Not there for a whole file or directory. */
  readonly offset?: number;
  /** In bytes. */
  readonly length?: number;
  /** What else there is to say. */
  readonly detail?: string;
}

/** One line: `at 17: write lost /data 4096+512`. */
export function describeFault({ operation, kind, path, offset, length, detail }: FaultEvent): string {
  const where = offset === undefined ? [] : [`${offset}${length === undefined ? "" : `+${length}`}`];
  const more = detail === undefined ? [] : [`(${detail})`];
  return [`at ${operation}:`, kind, ...(path === undefined ? [] : [path]), ...where, ...more].join(" ");
}

export function kindOf(rule: FaultRule): string {
  const { operation, effect = "none", errno = "EIO" } = rule;
  if (!isFailure(rule)) return `${operation} ${effect}`;
  return effect === "partial" ? `${operation} partial ${errno}` : `${operation} ${errno}`;
}
