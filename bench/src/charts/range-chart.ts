import type { TopLevelSpec } from "vega-lite";
import { labelExpression, logTicks } from "./log-ticks.js";
import { FAINT, sideScales } from "./theme.js";

interface Range {
  /** A panel of its own. */
  readonly panel: string;
  readonly side: string;
  /** The dot; its value is written beside the range. */
  readonly at: number;
  /** The end of the line that begins at the dot. */
  readonly to?: number;
  /** A mark to compare with. */
  readonly floor?: number;
}

interface RangeChart {
  readonly title: string;
  readonly subtitle: string;
  readonly ranges: readonly Range[];
  readonly x: { readonly title: string; readonly format: (value: number) => string };
}

/** Rows of dots on a logarithmic axis, with the values beside them. */
export function rangeChart({ title, subtitle, ranges, x }: RangeChart): TopLevelSpec {
  const sides = [...new Set(ranges.map(({ side }) => side))];
  const scales = sideScales(sides);
  const all = ranges.flatMap(({ at, to, floor }) => [at, to ?? at, floor ?? at]);
  const [from, to] = [Math.min(...all) / 1.25, Math.max(...all) * 2.2];
  const domain = [from, to];
  const ticks = logTicks(from, to);
  const values = ranges.map((range) => ({
    ...range,
    end: Math.max(range.at, range.to ?? range.at, range.floor ?? range.at),
    text: range.to === undefined ? x.format(range.at) : `${x.format(range.at)} – ${x.format(range.to)}`,
  }));
  const y = {
    field: "side",
    type: "nominal",
    sort: sides,
    title: null,
    axis: {
      domain: false,
      ticks: false,
      labelFontSize: 12,
      labelPadding: 8,
      labelLimit: 400,
      labelColor: "var(--ink)",
    },
  } as const;
  const xAt = (field: string) =>
    ({
      field,
      type: "quantitative",
      scale: { type: "log", domain, nice: false },
      title: x.title,
      axis: {
        values: ticks,
        labelExpr: labelExpression(ticks, x.format),
        domain: false,
        ticks: false,
      },
    }) as const;
  const color = { field: "side", type: "nominal", scale: scales.color, legend: null, sort: sides } as const;
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: { text: title, subtitle },
    data: { values },
    facet: {
      row: {
        field: "panel",
        type: "nominal",
        sort: [...new Set(ranges.map(({ panel }) => panel))],
        header: { title: null, labelAngle: 0, labelOrient: "top" },
      },
    },
    spacing: 24,
    spec: {
      width: 460,
      height: { step: 24 },
      layer: [
        {
          transform: [{ filter: "isValid(datum.to)" }],
          mark: { type: "rule", strokeWidth: 3, opacity: 0.55 },
          encoding: { y, x: xAt("at"), x2: { field: "to" }, color },
        },
        {
          transform: [{ filter: "isValid(datum.floor)" }],
          mark: { type: "tick", thickness: 2, size: 16, color: FAINT },
          encoding: { y, x: xAt("floor") },
        },
        {
          mark: { type: "point", filled: true, size: 70, opacity: 1 },
          encoding: {
            y,
            x: xAt("at"),
            color,
            shape: { field: "side", type: "nominal", scale: scales.shape, legend: null, sort: sides },
          },
        },
        {
          mark: { type: "text", align: "left", baseline: "middle", dx: 10, fontSize: 11, color: FAINT },
          encoding: { y, x: xAt("end"), text: { field: "text" } },
        },
      ],
    },
    resolve: { scale: { y: "independent" } },
  };
}
