/** A column of a table for people: its heading, and how wide what stands below it is at least. */
export interface Column {
  readonly heading: string;
  readonly width: number;
  /** Default right, as numbers stand. */
  readonly align?: "left" | "right";
}

/** One line, each cell padded to its column: rows can be printed as they come, without knowing those behind. */
export function row(columns: readonly Column[], cells: readonly (string | number)[]): string {
  const padded = columns.map(({ heading, width, align }, index) => {
    const cell = String(cells[index]);
    const wide = Math.max(width, heading.length);
    return align === "left" ? cell.padEnd(wide) : cell.padStart(wide);
  });
  return `  ${padded.join("  ")}`.trimEnd();
}

export function heading(columns: readonly Column[]): string {
  return row(
    columns,
    columns.map((column) => column.heading),
  );
}
