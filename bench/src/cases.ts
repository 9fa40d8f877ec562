/** What is committed, and by how many at a time. */
export interface Workload {
  readonly name: string;
  /** How many commit, each again as soon as its commit is durable. */
  readonly committers: number;
  /** How many records a committer appends before it waits for them; 1 is a commit. */
  readonly appends: number;
}

/** How the log is written. */
export interface LogSettings {
  /** Log and double-write buffer past the page cache. */
  readonly direct: boolean;
  readonly dwb: boolean;
}

export const PAYLOAD_BYTES = 100;

export const WORKLOADS: readonly Workload[] = [
  { name: "1 committer", committers: 1, appends: 1 },
  { name: "8 committers", committers: 8, appends: 1 },
  { name: "64 committers", committers: 64, appends: 1 },
  { name: "4,000 appends, 1 sync", committers: 1, appends: 4000 },
];

/** Every way to write the log that the file system has. */
export function logSettings(directWorks: boolean): LogSettings[] {
  const sides = directWorks ? [false, true] : [false];
  return sides.flatMap((direct) => [false, true].map((dwb) => ({ direct, dwb })));
}

/** How long it is measured. */
export interface Plan {
  readonly rounds: number;
  /** Of one contender's round. Short, so that what else the machine does hits all of them alike. */
  readonly roundMs: number;
}

export const PLAN: Plan = { rounds: 15, roundMs: 150 };
export const QUICK_PLAN: Plan = { rounds: 5, roundMs: 60 };
