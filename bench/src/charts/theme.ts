import type { Config } from "vega-lite";
import { FLOOR } from "../floor.js";
import { betterSqlite3 } from "../stores/better-sqlite3.js";
import { classicLevel } from "../stores/classic-level.js";
import { blockingFile, groupingFile, serialFile } from "../stores/file.js";
import { lmdb } from "../stores/lmdb.js";
import { ACK_DWB, IO_PWRITE, STONEWAL, WITHOUT_DWB } from "../stores/stonewal.js";

/** How a side looks in every chart. Told apart by shape as well as by colour. */
interface Look {
  readonly light: string;
  readonly dark: string;
  readonly shape: string;
  readonly dash: readonly number[];
}

const SOLID: readonly number[] = [];

/** Hues after Okabe and Ito, which the colour-blind can tell apart; darkened on white, and lightened on black, to be read as text. */
const LOOKS: Readonly<Record<string, Look>> = {
  [STONEWAL]: { light: "#005fa8", dark: "#58b0ff", shape: "circle", dash: SOLID },
  [ACK_DWB]: { light: "#0a3d91", dark: "#8f9dff", shape: "circle", dash: [2, 2] },
  [WITHOUT_DWB]: { light: "#2b8ccb", dark: "#a4d4ff", shape: "circle", dash: [6, 3] },
  [IO_PWRITE]: { light: "#007a8c", dark: "#5fd3e3", shape: "square", dash: [8, 3, 2, 3] },
  [blockingFile.name]: { light: "#a05a00", dark: "#ffb454", shape: "square", dash: SOLID },
  [serialFile.name]: { light: "#7a6a00", dark: "#e5d04f", shape: "diamond", dash: SOLID },
  [groupingFile.name]: { light: "#a1458a", dark: "#eb9fd4", shape: "diamond", dash: SOLID },
  [lmdb.name]: { light: "#00785a", dark: "#41d3a6", shape: "triangle-up", dash: SOLID },
  [betterSqlite3.name]: {
    light: "#c03a00",
    dark: "#ff8a5c",
    shape: "triangle-down",
    dash: SOLID,
  },
  [classicLevel.name]: { light: "#6a4fb3", dark: "#bba8ff", shape: "cross", dash: SOLID },
  pwrite: { light: "#a05a00", dark: "#ffb454", shape: "square", dash: SOLID },
  "io-uring": { light: "#005fa8", dark: "#58b0ff", shape: "circle", dash: SOLID },
  [FLOOR]: { light: "#6b6b6b", dark: "#a6a6a6", shape: "circle", dash: [2, 3] },
};

const INKS = {
  ink: { light: "#1f2328", dark: "#e6edf3" },
  faint: { light: "#59636e", dark: "#9198a1" },
  grid: { light: "#d9dee3", dark: "#30363d" },
  paper: { light: "#ffffff", dark: "#0d1117" },
};

const variable = (side: string) => `--${side.replaceAll(/[^a-z0-9]+/gi, "-").toLowerCase()}`;

const INK = "var(--ink)";
export const FAINT = "var(--faint)";

/** What it looks like: itself, or, as one of many modes, what it is a mode of. */
function lookOf(side: string): string {
  if (LOOKS[side] !== undefined) return side;
  const [by] = side.split(", ") as [string];
  return LOOKS[by] === undefined ? FLOOR : by;
}

/** Scales for the sides in a chart, in the order given. */
export function sideScales(sides: readonly string[]) {
  const looks = sides.map((side) => LOOKS[lookOf(side)] as Look);
  return {
    color: { domain: [...sides], range: sides.map((side) => `var(${variable(lookOf(side))})`) },
    shape: { domain: [...sides], range: looks.map(({ shape }) => shape) },
    dash: { domain: [...sides], range: looks.map(({ dash }) => [...dash]) },
  };
}

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

export const CONFIG: Config = {
  font: FONT,
  background: "var(--paper)",
  padding: 16,
  view: { stroke: null },
  axis: {
    labelColor: FAINT,
    titleColor: FAINT,
    titleFontWeight: "normal",
    titleFontSize: 12,
    labelFontSize: 11,
    gridColor: "var(--grid)",
    domainColor: "var(--grid)",
    tickColor: "var(--grid)",
    titlePadding: 10,
  },
  title: {
    anchor: "start",
    frame: "bounds",
    color: INK,
    fontSize: 15,
    fontWeight: 600,
    subtitleColor: FAINT,
    subtitleFontSize: 12,
    subtitlePadding: 5,
    offset: 16,
  },
  header: { labelColor: INK, labelFontSize: 12, labelFontWeight: 600, labelAnchor: "start", title: null },
};

/** Light or dark as whoever looks at it prefers, on a ground of its own, so that it can be read on any page. */
export function themed(svg: string): string {
  const colours = (theme: "light" | "dark") =>
    [
      ...Object.entries(INKS).map(([name, ink]) => `--${name}:${ink[theme]}`),
      ...Object.entries(LOOKS).map(([side, look]) => `${variable(side)}:${look[theme]}`),
    ].join(";");
  const style = `<style>svg{${colours("light")}}@media(prefers-color-scheme:dark){svg{${colours("dark")}}}</style>`;
  return svg.replace(/<svg[^>]*>/, (start) => start + style);
}
