import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { charts } from "./charts/charts.js";
import { render } from "./charts/render.js";
import { encodingTables } from "./encoding-tables.js";
import { experiments } from "./experiments/index.js";
import { floorOf } from "./experiments/modes.js";
import { FLOOR } from "./floor.js";
import { formatBytes, formatCount, formatMicroseconds, formatRatio, formatTimes } from "./format.js";
import { markdownTable } from "./markdown-table.js";
import { type CaseResult, type Results, readResults, type SideResult } from "./results.js";
import { ratio } from "./summary.js";
import { outcomes } from "./targets.js";

/** The page whose figures come from a run. */
export const PAGE = fileURLToPath(new URL("../../docs/performance.md", import.meta.url));

const FIGURES = /(<!-- figures: ([a-z]+) -->\n).*?(<!-- end of figures -->)/gs;

/** What the page may ask for. */
const SECTIONS = new Set([
  ...["run", "targets", "layers", "safety", "encodings", "latency", "written", "filling", "decoding"],
  ...experiments.map(({ name }) => name),
]);

/** Of a run of some experiments, or of before there was the experiment. */
const NOT_MEASURED = "Not measured in this run.\n";

export interface Documents {
  /** What the page, and the charts beside the results, have to be; by path. */
  readonly files: ReadonlyMap<string, string>;
  /** What the page asks for and the results don't have: there it says so. */
  readonly missing: readonly string[];
}

export async function documents(resultsFile: string, page: string): Promise<Documents> {
  const results = await readResults(resultsFile);
  const files = new Map<string, string>();
  const directory = chartDirectory(resultsFile);
  const images: Record<string, string> = {};
  for (const { name, description, spec } of charts(results)) {
    const file = path.join(directory, `${name}.svg`);
    files.set(file, await render(spec));
    images[name] = `![${description}](${link(file)})\n`;
  }
  const sections: Record<string, string | undefined> = {
    run: run(results, link(resultsFile)),
    targets: targetTable(results),
    layers: layerTable(results),
    safety: safetyTable(results),
    encodings: encodingTables(results),
    ...images,
  };
  for (const { experiment } of results.cases) {
    const image = images[experiment];
    const tables = caseTables(results, experiment);
    sections[experiment] = image === undefined ? tables : `${image}\n${tables}`;
  }
  const missing: string[] = [];
  const text = page.replace(FIGURES, (_, start: string, name: string, end: string) => {
    if (!SECTIONS.has(name)) throw new Error(`the page asks for ${name}, which no run has figures for`);
    const section = sections[name];
    if (section === undefined) missing.push(name);
    return `${start}${section ?? NOT_MEASURED}${end}`;
  });
  return { files: files.set(PAGE, text), missing };
}

/** Puts a run's figures and charts where `documents` says. */
export async function writeDocuments(resultsFile: string): Promise<Documents> {
  const written = await documents(resultsFile, await readFile(PAGE, "utf8"));
  const directory = chartDirectory(resultsFile);
  await mkdir(directory, { recursive: true });
  for (const name of await readdir(directory))
    if (name.endsWith(".svg")) await rm(path.join(directory, name));
  for (const [file, text] of written.files) await writeFile(file, text);
  return written;
}

const chartDirectory = (resultsFile: string) => resultsFile.replace(/\.json$/, "");

function link(file: string): string {
  return path.relative(path.dirname(PAGE), file).split(path.sep).join("/");
}

function run({ date, machine, plan, leftOut }: Results, file: string): string {
  const { cpu, cores, kernel, platform, fileSystem, physicalBlockBytes, node, loadAverage } = machine;
  const lines = [
    `${date}; ${cpu}, ${cores} cores, ${platform}, kernel ${kernel.replace(/-.*/, "")}, ${fileSystem} with blocks of ${formatBytes(physicalBlockBytes)}, Node.js ${node.replace(/^v/, "")}.`,
    `${plan.rounds} rounds of ${plan.roundMs} ms for each side. Load average before the run: ${loadAverage.toFixed(1)}.`,
    `All figures, round by round: [${path.basename(file)}](${file}).`,
  ];
  if (loadAverage > 1 || plan.rounds < 5) {
    lines.push("**Few rounds, or a busy machine: compare nothing by these figures but what counts bytes.**");
  }
  if (leftOut.length > 0) lines.push(`Left out: ${leftOut.join("; ")}.`);
  return `${lines.join("\n")}\n`;
}

function targetTable(results: Results): string {
  const rows = outcomes(results).map(({ name, wanted, measured, reached, floor }) => [
    name,
    wanted,
    measured ?? "not measured",
    reached === undefined ? "–" : yesOrNo(reached),
    floor === undefined ? "" : floor.reached ? floor.measured : `**${floor.measured}**`,
  ]);
  return markdownTable(["target", "wanted", "measured", "reached", "the floor"], "llrlr", rows);
}

const yesOrNo = (reached: boolean) => (reached ? "yes" : "**no**");

const modeCase = (results: Results, name: string) =>
  results.cases.find((result) => result.experiment === "modes" && result.name === name)?.sides ?? {};

/** Of one committer's p50: the disk, the way there and back, and what is left for JavaScript. */
function layerTable(results: Results): string | undefined {
  const sides = modeCase(results, "1 committer");
  const rows = Object.entries(sides).flatMap(([side, { figures }]) => {
    const floor = sides[floorOf(side)]?.figures.p50Us?.median;
    const [all, trip] = [figures.p50Us?.median, figures.chainP50Us?.median];
    if (side.startsWith(FLOOR) || floor === undefined || all === undefined || trip === undefined) return [];
    return [
      [
        side,
        formatMicroseconds(all),
        formatMicroseconds(floor),
        difference(trip, floor),
        difference(all, trip),
      ],
    ];
  });
  if (rows.length === 0) return undefined;
  return markdownTable(
    ["1 committer", "p50", "the floor's", "the way to the disk and back", "JavaScript"],
    "lrrrr",
    rows,
  );
}

function difference(of: number, to: number): string {
  return of < to ? `−${formatMicroseconds(to - of)}` : formatMicroseconds(of - to);
}

const CHEAPEST = "direct, DWB off";

/** Every way to write the log, next to the one that writes least and promises as much against crashes. */
function safetyTable(results: Results): string | undefined {
  const [one, many] = [modeCase(results, "1 committer"), modeCase(results, "64 committers")];
  const rows = Object.keys(one).flatMap((side) => {
    const [by] = side.split(", ");
    if (by === FLOOR) return [];
    const cheapest = `${by}, ${CHEAPEST}`;
    return [
      [
        side,
        side === cheapest ? "1" : formatRatio(ratio(one[side]?.figures.p50Us, one[cheapest]?.figures.p50Us)),
        side === cheapest
          ? "1"
          : formatRatio(ratio(many[side]?.figures.perSecond, many[cheapest]?.figures.perSecond)),
        shown(one[side]?.figures.writtenPerByte?.median, formatTimes) ?? "",
        shown(many[side]?.figures.writtenPerByte?.median, formatTimes) ?? "",
      ],
    ];
  });
  if (rows.length === 0) return undefined;
  return markdownTable(
    ["", "p50, 1 committer", "commits/s, 64 committers", "written per byte, 1 committer", "and 64"],
    "lrrrr",
    rows,
  );
}

function caseTables(results: Results, experiment: string): string {
  const cases = results.cases.filter((result) => result.experiment === experiment);
  return cases.map(caseTable).join("\n");
}

interface Column {
  readonly title: string;
  readonly cell: (side: SideResult) => string | undefined;
}

function shown(value: number | undefined, format: (value: number) => string): string | undefined {
  return value === undefined ? undefined : format(value);
}

const COLUMNS: readonly Column[] = [
  { title: "records/s", cell: ({ figures }) => shown(figures.perSecond?.median, formatCount) },
  { title: "payload/s", cell: ({ figures }) => shown(figures.bytesPerSecond?.median, formatBytes) },
  {
    title: "took",
    cell: ({ figures }) => shown(figures.milliseconds?.median, (ms) => formatMicroseconds(ms * 1000)),
  },
  { title: "p50", cell: ({ figures }) => shown(figures.p50Us?.median, formatMicroseconds) },
  { title: "p99", cell: ({ p99Us }) => shown(p99Us, formatMicroseconds) },
  {
    title: "trip to the disk, p50",
    cell: ({ figures }) => shown(figures.chainP50Us?.median, formatMicroseconds),
  },
  { title: "records a trip", cell: ({ figures }) => shown(figures.recordsPerChain?.median, formatCount) },
  { title: "written per byte", cell: ({ figures }) => shown(figures.writtenPerByte?.median, formatTimes) },
  {
    title: "CPU per record",
    cell: ({ figures }) => shown(figures.cpuUsPerRecord?.median, formatMicroseconds),
  },
  {
    title: "event-loop delay, p99",
    cell: ({ figures }) => shown(figures.loopDelayP99Ms?.median, (ms) => `${ms.toFixed(1)} ms`),
  },
  {
    title: "memory, at most",
    cell: ({ figures }) => shown(figures.maxRssMiB?.median, (mib) => `${mib.toFixed(0)} MiB`),
  },
];

/** A line per side, and the columns that any side has something in. */
function caseTable({ name, sides }: CaseResult): string {
  const all = Object.values(sides);
  const columns = COLUMNS.filter(({ cell }) => all.some((side) => cell(side) !== undefined));
  const rows = Object.entries(sides).map(([side, result]) => [
    side,
    ...columns.map(({ cell }) => cell(result) ?? ""),
  ]);
  return markdownTable([name, ...columns.map(({ title }) => title)], `l${"r".repeat(columns.length)}`, rows);
}
