import Table from "cli-table3";
import pc from "picocolors";
import type { RunResult } from "./run.js";

const count = (value: number) => value.toLocaleString("en-US");
const milliseconds = (microseconds: number) => `${(microseconds / 1000).toFixed(2)} ms`;

function bytes(value: number): string {
  return value < 1024 * 1024 ? `${(value / 1024).toFixed(1)} KiB` : `${(value / 1024 / 1024).toFixed(1)} MiB`;
}

/** One line of the table: what it says of a run. */
type Row = readonly [title: string, cell: (result: RunResult) => string];

const ROWS: readonly Row[] = [
  ["back end", ({ totals }) => totals.opened?.io ?? "-"],
  ["log written", ({ totals: { opened } }) => (opened?.direct ? "direct" : "buffered")],
  ["double-write buffer", ({ totals }) => totals.opened?.dwb ?? "-"],
  ["file system", ({ totals }) => totals.opened?.fileSystem ?? "-"],
  ["records", ({ size }) => `${count(size.records)} (${bytes(size.bytes)})`],
  ["kills", ({ totals }) => `${totals.kills} (${totals.killsWhileOpening} during recovery)`],
  ["acknowledged", ({ acknowledged }) => count(acknowledged)],
  ["recovered", ({ recovered }) => count(recovered)],
  ["  of them not yet acknowledged", ({ totals }) => count(totals.recoveredUnacknowledged)],
  ["frames repaired from the DWB", ({ totals }) => count(totals.restoredFrames)],
  ["torn tails dropped", ({ totals }) => count(totals.tornTails)],
  ["commits/s", ({ acknowledged, totals }) => count(Math.round((acknowledged / totals.appendingMs) * 1000))],
  ["commit latency p50", ({ totals }) => milliseconds(totals.latency.percentile(50))],
  ["commit latency p99", ({ totals }) => milliseconds(totals.latency.percentile(99))],
  [
    "bytes written per payload byte",
    ({ size, totals }) => perByte(totals.segmentBytes + totals.dwbBytes, size),
  ],
  ["  log", ({ size, totals }) => perByte(totals.segmentBytes, size)],
  ["  double-write buffer", ({ size, totals }) => perByte(totals.dwbBytes, size)],
  ["zeros written ahead", ({ totals }) => bytes(totals.preparedBytes)],
  [
    "acknowledged and there after each kill",
    ({ broken }) => (broken === undefined ? pc.green("all") : pc.red("NO")),
  ],
];

const perByte = (written: number, size: RunResult["size"]) => (written / Math.max(1, size.bytes)).toFixed(2);

/** What was measured, a column per run. */
export function summaryTable(results: readonly RunResult[]): string {
  const table = new Table({
    style: { head: [], border: pc.isColorSupported ? ["gray"] : [], compact: true },
    colAligns: ["left", ...results.map(() => "right" as const)],
  });
  for (const [title, cell] of ROWS) table.push([title, ...results.map(cell)]);
  return table.toString();
}
