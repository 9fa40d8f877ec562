import { FLOOR, FLOOR_UNDER_ARRIVALS, FLOOR_WITH_DWB, FLOOR_WITH_DWB_UNDER_ARRIVALS } from "./floor.js";
import { formatBytes, formatCount, formatTimes } from "./format.js";
import type { Measured, Results, SideResult, Spread } from "./results.js";
import { betterSqlite3 } from "./stores/better-sqlite3.js";
import { blockingFile } from "./stores/file.js";
import { lmdb } from "./stores/lmdb.js";
import { ACK_DWB, FROM_CACHE, IO_PWRITE, STONEWAL, WITHOUT_DWB } from "./stores/stonewal.js";
import { ratio, spread } from "./summary.js";

/** What the log is meant to reach; mostly next to something else that was measured in the same rounds. */
interface Target {
  readonly name: string;
  readonly limit: number;
  /** Whether it is to stay at or below the limit, or to reach it. */
  readonly at: "most" | "least";
  readonly format: (value: number) => string;
  readonly measured: Measure;
  /** What a loop that makes the same trips to the disk, and nothing else, comes to: nobody with those trips is better. */
  readonly floor?: Measure;
}

/** A target with what came of it; without `measured` it wasn't part of the run. */
export interface Outcome {
  readonly name: string;
  readonly wanted: string;
  readonly measured?: string;
  readonly reached?: boolean;
  /** What the floor reaches, where it can be compared. */
  readonly floor?: { readonly measured: string; readonly reached: boolean };
}

type LookUp = (experiment: string, name: string | RegExp, side: string) => SideResult["figures"] | undefined;

type Measure = (lookUp: LookUp) => Spread | undefined;

const times = (value: number) => `${formatTimes(value)}×`;
const perSecond = (value: number) => `${formatCount(value)}/s`;

/** How often one side's p50, or its commits per second, contains the other's. */
const p50 =
  (experiment: string, name: string, side: string, to: string): Measure =>
  (lookUp) =>
    ratio(lookUp(experiment, name, side)?.p50Us, lookUp(experiment, name, to)?.p50Us);
const commits =
  (name: string, side: string, to: string): Measure =>
  (lookUp) =>
    ratio(lookUp("committers", name, side)?.perSecond, lookUp("committers", name, to)?.perSecond);
const p99Offered =
  (experiment: string, side: string): Measure =>
  (lookUp) =>
    ratio(lookUp(experiment, "100,000/s", side)?.p99Us, lookUp(experiment, "100,000/s", FLOOR)?.p50Us);

const each = (figure: Measured | undefined, change: (value: number) => number) =>
  figure === undefined ? undefined : spread(figure.rounds.map(change));

/** How a log with a DWB acknowledges; each with a floor that makes the trips which a commit then waits for. */
const ACKS = [
  { ack: "`ack: 'wal'`", side: STONEWAL, floor: FLOOR_WITH_DWB },
  { ack: "`ack: 'dwb'`", side: ACK_DWB, floor: FLOOR },
] as const;

/** How the log is opened where commits arrive at a fixed rate; first as by default. */
const OFFERED = [
  { how: "", side: STONEWAL, floor: FLOOR_WITH_DWB_UNDER_ARRIVALS },
  { how: ", `io: 'pwrite'`", side: IO_PWRITE, floor: FLOOR_WITH_DWB_UNDER_ARRIVALS },
  { how: ", `ack: 'dwb'`", side: ACK_DWB, floor: FLOOR_UNDER_ARRIVALS },
  { how: ", DWB off", side: WITHOUT_DWB, floor: FLOOR_UNDER_ARRIVALS },
] as const;

/** Who offers them: the log's own thread, which never rests, or another process. */
const LOADS = [
  { load: "100,000 commits/s offered", experiment: "arrivals" },
  { load: "100,000 requests/s", experiment: "requests" },
] as const;

/** As many commits as another store makes, and so many times over. */
function commitsOfOther(name: string, other: string, whose: string, limit: number): Target[] {
  return ACKS.map(({ ack, side, floor }) => ({
    name: `${name.replace(/^1 /, "one ")}, ${ack}: commits/s to ${whose}`,
    limit,
    at: "least",
    format: times,
    measured: commits(name, side, other),
    floor: commits(name, floor, other),
  }));
}

const TARGETS: readonly Target[] = [
  {
    name: "one committer, DWB off: p50 to the floor's",
    limit: 1.5,
    at: "most",
    format: times,
    measured: p50("committers", "1 committer", WITHOUT_DWB, FLOOR),
  },
  {
    name: "one committer, `ack: 'wal'`: p50 to that of a floor with the same two copies",
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
  ...commitsOfOther("1 committer", blockingFile.name, "those of fs.writeSync + fdatasyncSync", 1),
  ...commitsOfOther("64 committers", lmdb.name, "lmdb's", 3),
  ...commitsOfOther("1,024 committers", lmdb.name, "lmdb's", 2),
  ...commitsOfOther("1,024 committers", betterSqlite3.name, "better-sqlite3's", 20),
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
  ...ACKS.flatMap(({ ack, side }): Target[] => [
    {
      name: `1,024 committers of 100 B, ${ack}: bytes written per byte of payload`,
      limit: 3,
      at: "most",
      format: formatTimes,
      measured: (lookUp) => lookUp("committers", "1,024 committers", side)?.writtenPerByte,
    },
    {
      name: `1,024 committers of 4 KiB, ${ack}: bytes written per byte of payload`,
      limit: 2.1,
      at: "most",
      format: formatTimes,
      measured: (lookUp) => lookUp("payloads", "4 KiB, 1,024 committers", side)?.writtenPerByte,
    },
    {
      name: `one record of 100 B alone, ${ack}: bytes written, per copy`,
      limit: 8192,
      at: "most",
      format: formatBytes,
      measured: (lookUp) =>
        each(lookUp("committers", "1 committer", side)?.writtenPerByte, (value) => (value * 100) / 2),
    },
  ]),
  ...LOADS.flatMap(({ load, experiment }) =>
    OFFERED.map(
      ({ how, side, floor }): Target => ({
        name: `${load}${how}: p99 to p50 of the floor's sync`,
        limit: 4,
        at: "most",
        format: times,
        measured: p99Offered(experiment, side),
        floor: p99Offered(experiment, floor),
      }),
    ),
  ),
  ...OFFERED.map(
    ({ how, side }): Target => ({
      name: `100,000 commits/s offered${how}: event-loop delay, p99`,
      limit: 5,
      at: "most",
      format: (value) => `${value.toFixed(1)} ms`,
      measured: (lookUp) => lookUp("arrivals", "100,000/s", side)?.loopDelayP99Ms,
    }),
  ),
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
  return TARGETS.map(({ name, limit, at, format, measured: measure, floor: measureFloor }) => {
    const wanted = `${at === "most" ? "≤" : "≥"} ${format(limit)}`;
    const reaches = ({ median }: Spread) => (at === "most" ? median <= limit : median >= limit);
    const measured = measure(lookUp);
    if (measured === undefined) return { name, wanted };
    const floor = measureFloor?.(lookUp);
    const { median, low, high } = measured;
    return {
      name,
      wanted,
      measured: low === high ? format(median) : `${format(median)} (${format(low)} – ${format(high)})`,
      reached: reaches(measured),
      ...(floor === undefined ? {} : { floor: { measured: format(floor.median), reached: reaches(floor) } }),
    };
  });
}
