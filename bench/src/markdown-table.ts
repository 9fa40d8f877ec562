/** `aligned` has a letter for each column: `l` or `r`. */
export function markdownTable(
  head: readonly string[],
  aligned: string,
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = [...aligned].map((side) => (side === "r" ? "---:" : "---"));
  return `${[line(head), line(rule), ...rows.map(line)].join("\n")}\n`;
}
