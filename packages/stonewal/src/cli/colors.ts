import pc from "picocolors";

/** Colours for one stream: only in a terminal, and as NO_COLOR and FORCE_COLOR say (https://no-color.org, https://force-color.org). */
export function colorsFor(stream: { readonly isTTY?: boolean }): ReturnType<typeof pc.createColors> {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0";
  const wanted = forced || (stream.isTTY === true && TERM !== "dumb");
  return pc.createColors(wanted && !NO_COLOR);
}
