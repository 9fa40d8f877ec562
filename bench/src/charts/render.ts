import { logger, Error as OnlyErrors, parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { CONFIG, themed } from "./theme.js";

/** A chart as SVG. The same results give the same bytes. */
export async function render(spec: TopLevelSpec): Promise<string> {
  // What it warns of is meant: each panel of a chart has rows of its own.
  const { spec: vega } = compile(spec, { config: CONFIG, logger: logger(OnlyErrors) });
  const view = new View(parse(vega), { renderer: "none", logLevel: OnlyErrors });
  try {
    return `${themed(await view.toSVG())}\n`;
  } finally {
    view.finalize();
  }
}
