import Table from "cli-table3";
import pc from "picocolors";
import type { CaseResult, Contender } from "./results.js";
import type { Ratio } from "./summary.js";

const HEAD = [
  "log",
  "DWB",
  "workload",
  "by",
  "commits/s",
  "to floor",
  "to pwrite",
  "p50",
  "p99",
  "chain p50",
];
const CONTENDERS: readonly Contender[] = ["floor", "pwrite", "io-uring"];

const count = (value: number) => value.toLocaleString("en-US");

export function formatMicroseconds(value: number): string {
  return value < 1000 ? `${value.toFixed(0)} µs` : `${(value / 1000).toFixed(2)} ms`;
}

/** The median, and behind it what half of the rounds lie between. */
export function formatRatio(ratio: Ratio | undefined): string {
  if (ratio === undefined) return "";
  const { median, quarter, threeQuarters } = ratio;
  return `${median.toFixed(2)} (${quarter.toFixed(2)}-${threeQuarters.toFixed(2)})`;
}

/** A group of lines per case, one per contender. */
export function resultTable(cases: readonly CaseResult[]): string {
  const table = new Table({
    head: HEAD,
    style: { head: [], border: pc.isColorSupported ? ["gray"] : [], compact: true },
    colAligns: HEAD.map((_, column) => (column < 4 ? "left" : "right")),
  });
  for (const { log, workload, contenders, toFloor, uringToPwrite } of cases) {
    let first = true;
    for (const name of CONTENDERS) {
      const summary = contenders[name];
      if (summary === undefined) continue;
      table.push([
        ...(first
          ? [log.direct ? "direct" : "buffered", log.dwb ? "on" : "off", workload.name]
          : ["", "", ""]),
        name,
        count(summary.commitsPerSecond),
        formatRatio(toFloor[name]),
        name === "io-uring" ? formatRatio(uringToPwrite) : "",
        formatMicroseconds(summary.p50Us),
        formatMicroseconds(summary.p99Us),
        formatMicroseconds(summary.chainP50Us),
      ]);
      first = false;
    }
  }
  return table.toString();
}
