import Table from "cli-table3";
import { markdownTable } from "markdown-table";
import pc from "picocolors";
import { isRight, type Verdict } from "./gate.js";

const HEAD = ["what is broken", "histories", "caught by"];

function nameOf({ mutant }: Verdict): string {
  return mutant?.name ?? "nothing: the log as it is";
}

export function verdictLine(verdict: Verdict): string {
  const { result, campaign } = verdict;
  const how = `${nameOf(verdict)} (${campaign}, ${result.histories} histories)`;
  if (isRight(verdict)) return `${pc.green("ok")}  ${how}`;
  const what = result.outcome === "survived" ? "was not caught" : `${result.outcome}: ${result.message}`;
  return `${pc.red("not")} ${how}: ${what}`;
}

/** For the terminal: with what the campaign said. */
export function verdictTable(verdicts: readonly Verdict[]): string {
  const table = new Table({
    head: [...HEAD, "which said"],
    style: { head: [], border: pc.isColorSupported ? ["gray"] : [], compact: true },
    colAligns: ["left", "right", "left", "left"],
    colWidths: [50, 11, 24, 60],
    wordWrap: true,
  });
  for (const { mutant, campaign, result } of verdicts) {
    if (mutant === undefined) continue;
    const by = result.outcome === "caught" ? campaign : pc.red("nothing");
    table.push([mutant.name, String(result.histories), by, result.message]);
  }
  return table.toString();
}

const START = "<!-- mutants -->";
const END = "<!-- /mutants -->";

/** `page` with the table of `verdicts` in its place. Throws where that isn't marked. */
export function withTable(page: string, verdicts: readonly Verdict[]): string {
  const [start, end] = place(page);
  const rows = verdicts.flatMap(({ mutant, campaign, result }) =>
    mutant === undefined ? [] : [[mutant.name, String(result.histories), campaign]],
  );
  const table = markdownTable([HEAD, ...rows], {
    align: ["l", "r", "l"],
    padding: true,
    alignDelimiters: false,
  });
  return `${page.slice(0, start)}\n\n${table}\n\n${page.slice(end)}`;
}

/** What broken thing each row of the page's table names, and by what it is caught. */
export function tableOf(page: string): { name: string; campaign: string }[] {
  const [start, end] = place(page);
  const lines = page
    .slice(start, end)
    .split("\n")
    .filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) => {
    const [name = "", , campaign = ""] = line
      .split("|")
      .slice(1)
      .map((cell) => cell.trim());
    return { name, campaign };
  });
}

function place(page: string): [start: number, end: number] {
  const start = page.indexOf(START);
  const end = page.indexOf(END);
  if (start === -1 || end === -1) throw new Error(`the page has no ${START} and ${END}`);
  return [start + START.length, end];
}
