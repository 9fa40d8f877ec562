import { FLOOR, FLOOR_WITH_DWB } from "./floor.js";
import { formatBytes, formatCount, formatTimes } from "./format.js";
import type { Measured, Results, SideResult, Spread } from "./results.js";
import { betterSqlite3 } from "./stores/better-sqlite3.js";
import { blockingFile } from "./stores/file.js";
import { lmdb } from "./stores/lmdb.js";
import { ACK_DWB, FROM_CACHE, STONEWAL, WITHOUT_DWB } from "./stores/stonewal.js";
import { ratio, spread } from "./summary.js";

/** What the log is meant to reach; mostly next to something else that was measured in the same rounds. */
interface Target {
  readonly name: string;
  readonly limit: number;
  /** Whether it is to stay at or below the limit, or to reach it. */
  readonly at: "most" | "least";
  readonly format: (value: number) => string;
  readonly measured: (lookUp: LookUp) => Spread | undefined;
}

/** A target with what came of it; without `measured` it wasn't part of the run. */
export interface Outcome {
  readonly name: string;
  readonly wanted: string;
  readonly measured?: string;
  readonly reached?: boolean;
}

type LookUp = (experiment: string, name: string | RegExp, side: string) => SideResult["figures"] | undefined;

const times = (value: number) => `${formatTimes(value)}×`;
const perSecond = (value: number) => `${formatCount(value)}/s`;

/** How often one side's p50, or its commits per second, contains the other's. */
const p50 = (experiment: string, name: string, side: string, to: string) => (lookUp: LookUp) =>
  ratio(lookUp(experiment, name, side)?.p50Us, lookUp(experiment, name, to)?.p50Us);
const commits = (name: string, side: string, to: string) => (lookUp: LookUp) =>
  ratio(lookUp("committers", name, side)?.perSecond, lookUp("committers", name, to)?.perSecond);

const each = (figure: Measured | undefined, change: (value: number) => number) =>
  figure === undefined ? undefined : spread(figure.rounds.map(change));

const TARGETS: readonly Target[] = [
  {
    name: "one committer, DWB off: p50 to the floor's",
    limit: 1.5,
    at: "most",
    format: times,
    measured: p50("committers", "1 committer", WITHOUT_DWB, FLOOR),
  },
  {
    name: "one committer, DWB on: p50 to that of a floor with the same two copies",
    limit: 1.4,
    at: "most",
    format: times,
    measured: p50("committers", "1 committer", STONEWAL, FLOOR_WITH_DWB),
  },
  {
    name: "one committer, `ack: 'dwb'`: p50 to that of DWB off",
    limit: 1.15,
    at: "most",
    format: times,
    measured: p50("committers", "1 committer", ACK_DWB, WITHOUT_DWB),
  },
  {
    name: "64 committers, `ack: 'dwb'`: commits/s to those of DWB off",
    limit: 1,
    at: "least",
    format: times,
    measured: commits("64 committers", ACK_DWB, WITHOUT_DWB),
  },
  {
    name: "one committer, DWB on: commits/s to those of fs.writeSync + fdatasyncSync",
    limit: 1,
    at: "least",
    format: times,
    measured: commits("1 committer", STONEWAL, blockingFile.name),
  },
  {
    name: "64 committers, DWB on: commits/s to lmdb's",
    limit: 3,
    at: "least",
    format: times,
    measured: commits("64 committers", STONEWAL, lmdb.name),
  },
  {
    name: "1,024 committers, DWB on: commits/s to lmdb's",
    limit: 2,
    at: "least",
    format: times,
    measured: commits("1,024 committers", STONEWAL, lmdb.name),
  },
  {
    name: "1,024 committers, DWB on: commits/s to better-sqlite3's",
    limit: 20,
    at: "least",
    format: times,
    measured: commits("1,024 committers", STONEWAL, betterSqlite3.name),
  },
  {
    name: "append without waiting, 100 B",
    limit: 3e6,
    at: "least",
    format: perSecond,
    measured: (lookUp) => lookUp("appending", /./, "append")?.perSecond,
  },
  {
    name: "replay out of the page cache, 100 B",
    limit: 4e6,
    at: "least",
    format: perSecond,
    measured: (lookUp) => lookUp("replaying", "100 B", FROM_CACHE)?.perSecond,
  },
  {
    name: "replay out of the page cache, 4 KiB",
    limit: 2 * 1024 ** 3,
    at: "least",
    format: (value) => `${formatBytes(value)}/s`,
    measured: (lookUp) => lookUp("replaying", "4 KiB", FROM_CACHE)?.bytesPerSecond,
  },
  {
    name: "opening the largest log: time to that of reading its bytes once",
    limit: 1.5,
    at: "most",
    format: times,
    measured: (lookUp) =>
      ratio(lookUp("opening", /./, STONEWAL)?.milliseconds, lookUp("opening", /./, FLOOR)?.milliseconds),
  },
  {
    name: "1,024 committers of 100 B, DWB on: bytes written per byte of payload",
    limit: 3,
    at: "most",
    format: formatTimes,
    measured: (lookUp) => lookUp("committers", "1,024 committers", STONEWAL)?.writtenPerByte,
  },
  {
    name: "1,024 committers of 4 KiB, DWB on: bytes written per byte of payload",
    limit: 2.1,
    at: "most",
    format: formatTimes,
    measured: (lookUp) => lookUp("payloads", "4 KiB, 1,024 committers", STONEWAL)?.writtenPerByte,
  },
  {
    name: "one record of 100 B alone: bytes written, per copy",
    limit: 8192,
    at: "most",
    format: formatBytes,
    measured: (lookUp) =>
      each(lookUp("committers", "1 committer", STONEWAL)?.writtenPerByte, (value) => (value * 100) / 2),
  },
  {
    name: "100,000 commits/s offered: p99 to p50 of the floor's sync",
    limit: 4,
    at: "most",
    format: times,
    measured: (lookUp) =>
      ratio(lookUp("arrivals", "100,000/s", STONEWAL)?.p99Us, lookUp("arrivals", "100,000/s", FLOOR)?.p50Us),
  },
  {
    name: "100,000 commits/s offered: event-loop delay, p99",
    limit: 5,
    at: "most",
    format: (value) => `${value.toFixed(1)} ms`,
    measured: (lookUp) => lookUp("arrivals", "100,000/s", STONEWAL)?.loopDelayP99Ms,
  },
];

/** Each target, and whether the median reached it. */
export function outcomes({ cases }: Results): Outcome[] {
  // The last that fits: of several sizes, the largest.
  const lookUp: LookUp = (experiment, name, side) =>
    cases.findLast(
      (result) =>
        result.experiment === experiment &&
        (typeof name === "string" ? result.name === name : name.test(result.name)),
    )?.sides[side]?.figures;
  return TARGETS.map(({ name, limit, at, format, measured: measure }) => {
    const wanted = `${at === "most" ? "≤" : "≥"} ${format(limit)}`;
    const measured = measure(lookUp);
    if (measured === undefined) return { name, wanted };
    const { median, low, high } = measured;
    return {
      name,
      wanted,
      measured: low === high ? format(median) : `${format(median)} (${format(low)} – ${format(high)})`,
      reached: at === "most" ? median <= limit : median >= limit,
    };
  });
}
