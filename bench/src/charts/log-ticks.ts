/** Where a logarithmic axis has its lines: at powers of ten, or at 1, 2 and 5 times them where that would be too few. */
export function logTicks(from: number, to: number): number[] {
  const steps = to / from < 300 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power += 1) {
    // By its name: 10 ** -1 * 2 would be no round number.
    for (const step of steps) ticks.push(Number(`${step}e${power}`));
  }
  return ticks.filter((tick) => tick >= from && tick <= to);
}

/** An expression that names each value as `format` does. */
export function labelExpression(values: readonly number[], format: (value: number) => string): string {
  const names = Object.fromEntries(values.map((value) => [String(value), format(value)]));
  return `(${JSON.stringify(names)})[datum.value]`;
}
