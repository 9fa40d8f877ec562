import type { TopLevelSpec } from "vega-lite";
import { floorOf } from "../experiments/modes.js";
import { FLOOR } from "../floor.js";
import { formatBytes, formatCount, formatMicroseconds } from "../format.js";
import type { CaseResult, Parameters, Results, SideResult } from "../results.js";
import type { Figure } from "../round.js";
import { lineChart } from "./line-chart.js";
import { rangeChart } from "./range-chart.js";

interface Chart {
  /** Of its file. */
  readonly name: string;
  /** For whoever can't see it. */
  readonly description: string;
  readonly spec: TopLevelSpec;
}

/** What the results can be drawn as; a chart whose experiment was not run is left out. */
export function charts(results: Results): Chart[] {
  const all = [
    throughput(results),
    latency(results),
    written(results),
    payloads(results),
    modes(results),
    arrivals(results, "arrivals", "on a thread that is always busy"),
    arrivals(results, "requests", "asked for by another process"),
    replaying(results),
    opening(results),
  ];
  return all.filter((chart) => chart !== undefined);
}

const of = (results: Results, experiment: string) =>
  results.cases.filter((result) => result.experiment === experiment);

/** A point for each side in each case. */
function points(
  cases: readonly CaseResult[],
  x: keyof Parameters,
  y: (side: SideResult) => number | undefined,
): { side: string; x: number; y: number }[] {
  return cases.flatMap(({ parameters, sides }) =>
    Object.entries(sides).flatMap(([side, result]) => {
      const [at, value] = [parameters[x], y(result)];
      return at === undefined || value === undefined || value <= 0 ? [] : [{ side, x: at, y: value }];
    }),
  );
}

const median = (figure: Figure) => (side: SideResult) => side.figures[figure]?.median;
const xs = (cases: readonly CaseResult[], x: keyof Parameters) => [
  ...new Set(cases.flatMap(({ parameters }) => parameters[x] ?? [])),
];
const plain = (value: number) => value.toLocaleString("en-US");

/** Those of the committers' cases in which each commits records one by one. */
function commitCases(results: Results): CaseResult[] {
  return of(results, "committers").filter(({ parameters }) => parameters.records === undefined);
}

function throughput(results: Results): Chart | undefined {
  const cases = commitCases(results);
  if (cases.length < 2) return undefined;
  return {
    name: "committers",
    description: "Durable commits per second by the number of committers, a line per store",
    spec: lineChart({
      title: "Durable commits per second",
      subtitle: "records of 100 B; each committer waits for its commit before the next",
      points: points(cases, "committers", median("perSecond")),
      x: { title: "committers", values: xs(cases, "committers"), format: plain },
      y: { title: "commits/s", format: formatCount },
    }),
  };
}

function latency(results: Results): Chart | undefined {
  const cases = commitCases(results).filter(({ parameters }) => [1, 64].includes(parameters.committers ?? 0));
  if (cases.length === 0) return undefined;
  return {
    name: "latency",
    description: "Latency of a durable commit, p50 and p99, by store, with 1 and with 64 committers",
    spec: rangeChart({
      title: "How long a commit takes",
      subtitle: "records of 100 B; from p50 (mark) to p99 (end of the line)",
      ranges: cases.flatMap(({ name, sides }) =>
        Object.entries(sides).flatMap(([side, { figures, p99Us }]) =>
          figures.p50Us === undefined || p99Us === undefined
            ? []
            : [{ panel: name, side, at: figures.p50Us.median, to: p99Us }],
        ),
      ),
      x: { title: "p50 to p99", format: formatMicroseconds },
    }),
  };
}

function written(results: Results): Chart | undefined {
  const cases = commitCases(results);
  if (cases.length < 2) return undefined;
  return {
    name: "written",
    description:
      "Bytes written to the disk per byte of payload, by the number of committers, a line per store",
    spec: lineChart({
      title: "Bytes written for each byte of payload",
      subtitle: "records of 100 B; without the file system's own journal",
      points: points(cases, "committers", median("writtenPerByte")),
      x: { title: "committers", values: xs(cases, "committers"), format: plain },
      y: { title: "bytes written per byte", format: plain },
    }),
  };
}

function payloads(results: Results): Chart | undefined {
  const cases = of(results, "payloads").filter(({ parameters }) => parameters.committers === 8);
  if (cases.length < 2) return undefined;
  return {
    name: "payloads",
    description: "Durable payload per second by the size of a record, a line per store",
    spec: lineChart({
      title: "Durable payload per second",
      subtitle: "8 committers, each waits for its commit before the next",
      points: points(cases, "payloadBytes", median("bytesPerSecond")).map((point) => ({
        ...point,
        // Decades of mebibytes are decades of nothing else.
        y: point.y / 1024 / 1024,
      })),
      x: { title: "size of a record", values: xs(cases, "payloadBytes"), format: formatBytes },
      y: { title: "MiB/s", format: plain },
    }),
  };
}

function modes(results: Results): Chart | undefined {
  const cases = of(results, "modes").filter(({ parameters }) => parameters.records === undefined);
  if (cases.length === 0) return undefined;
  return {
    name: "modes",
    description: "Median latency of a commit by the way the log is written, with the floor of each",
    spec: rangeChart({
      title: "What a way of writing costs",
      subtitle: "p50 of a commit of 100 B; the tick is the floor's",
      ranges: cases.flatMap(({ name, sides }) =>
        Object.entries(sides).flatMap(([side, { figures }]) => {
          if (side.startsWith(FLOOR) || figures.p50Us === undefined) return [];
          const floor = sides[floorOf(side)]?.figures.p50Us?.median;
          return [{ panel: name, side, at: figures.p50Us.median, ...(floor === undefined ? {} : { floor }) }];
        }),
      ),
      x: { title: "p50", format: formatMicroseconds },
    }),
  };
}

function arrivals(results: Results, experiment: string, where: string): Chart | undefined {
  const cases = of(results, experiment);
  if (cases.length < 2) return undefined;
  return {
    name: experiment,
    description: `p99 latency of a durable commit by arrival rate, ${where}, a line per store`,
    spec: lineChart({
      title: `p99 latency at a fixed arrival rate, ${where}`,
      subtitle: "records of 100 B; from the moment each was due; the floor alone is a lone sync",
      points: points(cases, "perSecond", ({ p99Us }) => p99Us),
      x: { title: "commits offered per second", values: xs(cases, "perSecond"), format: plain },
      y: { title: "p99", format: formatMicroseconds },
    }),
  };
}

function replaying(results: Results): Chart | undefined {
  const cases = of(results, "replaying");
  if (cases.length === 0) return undefined;
  return {
    name: "replaying",
    description: "Records read per second, by store and size of a record",
    spec: rangeChart({
      title: "Reading everything back, in order",
      subtitle: "with every check on; the floor, too, reads from the disk and not out of the page cache",
      ranges: cases.flatMap(({ name, sides }) =>
        Object.entries(sides).flatMap(([side, { figures }]) =>
          figures.perSecond === undefined
            ? []
            : [{ panel: `records of ${name}`, side, at: figures.perSecond.median }],
        ),
      ),
      x: { title: "records/s", format: formatCount },
    }),
  };
}

function opening(results: Results): Chart | undefined {
  const cases = of(results, "opening");
  if (cases.length < 2) return undefined;
  return {
    name: "opening",
    description:
      "Milliseconds to open a log whose writer was killed, by its size, beside reading its bytes once",
    spec: lineChart({
      title: "Opening a log whose writer was killed",
      subtitle: "beside reading its bytes once, in a C++ loop",
      points: points(cases, "logBytes", median("milliseconds")),
      x: { title: "size of the log", values: xs(cases, "logBytes"), format: formatBytes },
      y: { title: "milliseconds", format: plain },
    }),
  };
}
