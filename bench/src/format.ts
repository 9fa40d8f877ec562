import type { Spread } from "./results.js";

/** As short as a label has to be: 3 significant digits, thousands and millions by letter. */
export function formatCount(value: number): string {
  if (value >= 9.995e5) return `${three(value / 1e6)} M`;
  if (value >= 9995) return `${three(value / 1e3)} k`;
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : three(value);
}

export function formatMicroseconds(value: number): string {
  if (value < 999.5) return `${three(value)} µs`;
  if (value < 999_500) return `${three(value / 1000)} ms`;
  return `${three(value / 1e6)} s`;
}

export function formatBytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1023.5 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${three(value)} ${units[unit]}`;
}

/** The median, and behind it the confidence interval. */
export function formatRatio(ratio: Spread | undefined): string {
  if (ratio === undefined) return "";
  const { median, low, high } = ratio;
  return `${formatTimes(median)} (${formatTimes(low)}–${formatTimes(high)})`;
}

export function formatTimes(value: number): string {
  return value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

function three(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}
