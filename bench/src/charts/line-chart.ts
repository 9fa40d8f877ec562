import type { TopLevelSpec } from "vega-lite";
import { FLOOR } from "../floor.js";
import { STONEWAL } from "../stores/stonewal.js";
import { labelExpression, logTicks } from "./log-ticks.js";
import { sideScales } from "./theme.js";

interface Point {
  readonly side: string;
  readonly x: number;
  readonly y: number;
}

interface LineChart {
  readonly title: string;
  readonly subtitle: string;
  readonly points: readonly Point[];
  readonly x: {
    readonly title: string;
    readonly values: readonly number[];
    readonly format: (value: number) => string;
  };
  readonly y: { readonly title: string; readonly format: (value: number) => string };
}

const WIDTH = 520;
const HEIGHT = 380;
const LABEL_HEIGHT = 16;

/** Both axes logarithmic; a line per side, with its name at its end instead of a legend. */
export function lineChart({ title, subtitle, points, x, y }: LineChart): TopLevelSpec {
  const sides = [...new Set(points.map(({ side }) => side))];
  const xValues = [...x.values];
  const scales = sideScales(sides);
  const values = points.map((point) => point.y);
  const [from, to] = [Math.min(...values) / 1.3, Math.max(...values) * 1.3];
  const domains = { x: [Math.min(...x.values), Math.max(...x.values)], y: [from, to] };
  const ticks = logTicks(from, to);
  const xScale = { type: "log", domain: domains.x, nice: false } as const;
  const color = { field: "side", type: "nominal", scale: scales.color, legend: null, sort: sides } as const;
  const xEncoding = {
    field: "x",
    type: "quantitative",
    scale: xScale,
    title: x.title,
    axis: { values: xValues, labelExpr: labelExpression(x.values, x.format), grid: false },
  } as const;
  const yEncoding = {
    field: "y",
    type: "quantitative",
    scale: { type: "log", domain: domains.y, nice: false },
    title: y.title,
    axis: {
      values: ticks,
      labelExpr: labelExpression(ticks, y.format),
      domain: false,
      offset: 10,
      ticks: false,
    },
  } as const;
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: { text: title, subtitle },
    width: WIDTH,
    height: HEIGHT,
    data: { values: points.map((point) => ({ ...point })) },
    layer: [
      {
        mark: { type: "line", interpolate: "linear" },
        encoding: {
          x: xEncoding,
          y: yEncoding,
          color,
          strokeWidth: {
            condition: { test: `indexof(datum.side, ${JSON.stringify(STONEWAL)}) === 0`, value: 3 },
            value: 1.5,
          },
          strokeDash: { field: "side", type: "nominal", scale: scales.dash, legend: null, sort: sides },
        },
      },
      {
        mark: { type: "point", filled: true, size: 55, opacity: 1 },
        transform: [{ filter: `indexof(datum.side, ${JSON.stringify(FLOOR)}) !== 0` }],
        encoding: {
          x: xEncoding,
          y: yEncoding,
          color,
          shape: { field: "side", type: "nominal", scale: scales.shape, legend: null, sort: sides },
        },
      },
      {
        data: { values: endLabels(points, from, to) },
        mark: { type: "text", align: "left", baseline: "middle", dx: 12, fontSize: 12, fontWeight: 600 },
        encoding: {
          x: { value: WIDTH },
          y: { field: "at", type: "quantitative", scale: null, axis: null },
          text: { field: "side" },
          color,
        },
      },
    ],
  };
}

/** Where each side's name goes: beside its last point, moved just as far as it takes not to lie on another. */
function endLabels(points: readonly Point[], from: number, to: number): { side: string; at: number }[] {
  const last = new Map<string, Point>();
  for (const point of points) {
    const known = last.get(point.side);
    if (known === undefined || known.x <= point.x) last.set(point.side, point);
  }
  const height = (value: number) => HEIGHT * (1 - Math.log(value / from) / Math.log(to / from));
  return apart([...last.values()].map(({ side, y }) => ({ side, at: height(y) })));
}

/** Pushes labels apart from the middle of each crowd. */
function apart<T extends { readonly at: number }>(labels: readonly T[]): T[] {
  interface Crowd {
    readonly labels: T[];
    wanted: number;
  }
  const middle = ({ labels: of, wanted }: Crowd) => wanted / of.length;
  const half = ({ labels: of }: Crowd) => (of.length * LABEL_HEIGHT) / 2;
  const crowds: Crowd[] = [];
  for (const label of [...labels].sort((a, b) => a.at - b.at)) {
    let crowd: Crowd = { labels: [label], wanted: label.at };
    for (let above = crowds.at(-1); above !== undefined; above = crowds.at(-1)) {
      if (middle(above) + half(above) <= middle(crowd) - half(crowd)) break;
      crowds.pop();
      crowd = { labels: [...above.labels, ...crowd.labels], wanted: above.wanted + crowd.wanted };
    }
    crowds.push(crowd);
  }
  return crowds.flatMap((crowd) =>
    crowd.labels.map((label, index) => ({
      ...label,
      at: middle(crowd) - half(crowd) + (index + 0.5) * LABEL_HEIGHT,
    })),
  );
}
