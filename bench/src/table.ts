import Table from "cli-table3";
import pc from "picocolors";
import { formatBytes, formatCount, formatMicroseconds, formatRatio } from "./format.js";
import type { CaseResult } from "./results.js";
import { ratio } from "./summary.js";
import type { Outcome } from "./targets.js";

const HEAD = [
  "",
  "records/s",
  "payload/s",
  "p50",
  "p99",
  "written/B",
  "CPU/record",
  "loop p99",
  "took",
  "records/s to the first",
];

const shown = <T>(value: T | undefined, format: (value: T) => string) =>
  value === undefined ? "" : format(value);

/** A case as lines, one per side; each compared with the first. */
export function caseTable({ name, sides }: CaseResult): string {
  const table = new Table({
    head: [name, ...HEAD.slice(1)],
    style: {
      head: pc.isColorSupported ? ["bold"] : [],
      border: pc.isColorSupported ? ["gray"] : [],
      compact: true,
    },
    colAligns: HEAD.map((_, column) => (column === 0 ? "left" : "right")),
  });
  const [first] = Object.values(sides);
  for (const [side, { figures, p99Us }] of Object.entries(sides)) {
    table.push([
      side,
      shown(figures.perSecond?.median, formatCount),
      shown(figures.bytesPerSecond?.median, formatBytes),
      shown(figures.p50Us?.median, formatMicroseconds),
      shown(p99Us, formatMicroseconds),
      shown(figures.writtenPerByte?.median, (value) => value.toFixed(2)),
      shown(figures.cpuUsPerRecord?.median, formatMicroseconds),
      shown(figures.loopDelayP99Ms?.median, (value) => `${value.toFixed(1)} ms`),
      shown(figures.milliseconds?.median, (value) => formatMicroseconds(value * 1000)),
      figures === first?.figures ? "" : formatRatio(ratio(figures.perSecond, first?.figures.perSecond)),
    ]);
  }
  return table.toString();
}

/** What was aimed at; of a part of the experiments, only what belongs to them. */
export function targetTable(outcomes: readonly Outcome[]): string {
  const table = new Table({
    head: ["target", "wanted", "measured", "reached", "the floor"],
    style: {
      head: pc.isColorSupported ? ["bold"] : [],
      border: pc.isColorSupported ? ["gray"] : [],
      compact: true,
    },
  });
  for (const { name, wanted, measured, reached, floor } of outcomes) {
    if (measured === undefined) continue;
    table.push([name, wanted, measured, reached ? pc.green("yes") : pc.red("no"), floor?.measured ?? ""]);
  }
  return table.toString();
}
