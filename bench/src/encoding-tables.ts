import { PLAIN } from "./experiments/encoding.js";
import { formatRatio, formatTimes } from "./format.js";
import { markdownTable } from "./markdown-table.js";
import type { CaseResult, Results } from "./results.js";
import type { Figure } from "./round.js";
import { ratio } from "./summary.js";

interface Column {
  readonly title: string;
  readonly experiment: "encoding" | "decoding";
  readonly name: string;
  readonly figure: Figure;
}

const COMPARED: readonly Column[] = [
  { title: "p50, 1 committer", experiment: "encoding", name: "1 committer", figure: "p50Us" },
  { title: "commits/s, 64 committers", experiment: "encoding", name: "64 committers", figure: "perSecond" },
  { title: "and 1,024", experiment: "encoding", name: "1,024 committers", figure: "perSecond" },
  { title: "and 64, of 4 KiB", experiment: "encoding", name: "4 KiB, 64 committers", figure: "perSecond" },
  { title: "records/s replayed, 100 B", experiment: "decoding", name: "100 B", figure: "perSecond" },
  { title: "and 4 KiB", experiment: "decoding", name: "4 KiB", figure: "perSecond" },
];

const WRITTEN: readonly Column[] = COMPARED.filter(({ experiment }) => experiment === "encoding").map(
  (column) => ({ ...column, title: column.name, figure: "writtenPerByte" }),
);

/** Every encoding next to the plain log, and the bytes each writes; `undefined` where none was measured. */
export function encodingTables({ cases }: Results): string | undefined {
  const sidesOf = ({ experiment, name }: Column): CaseResult["sides"] =>
    cases.find((result) => result.experiment === experiment && result.name === name)?.sides ?? {};
  const names = [...new Set(COMPARED.flatMap((column) => Object.keys(sidesOf(column))))];
  if (names.length === 0) return undefined;
  const lines = (columns: readonly Column[], cell: (side: string, column: Column) => string) =>
    markdownTable(
      ["", ...columns.map(({ title }) => title)],
      `l${"r".repeat(columns.length)}`,
      names.map((side) => [side, ...columns.map((column) => cell(side, column))]),
    );
  const compared = lines(COMPARED, (side, column) => {
    const sides = sidesOf(column);
    if (side === PLAIN) return sides[PLAIN] === undefined ? "" : "1";
    return formatRatio(ratio(sides[side]?.figures[column.figure], sides[PLAIN]?.figures[column.figure]));
  });
  const written = lines(WRITTEN, (side, column) => {
    const value = sidesOf(column)[side]?.figures[column.figure]?.median;
    return value === undefined ? "" : formatTimes(value);
  });
  return `${compared}\nWritten per byte of payload, both copies together:\n\n${written}`;
}
