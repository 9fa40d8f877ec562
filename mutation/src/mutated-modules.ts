import type { InitializeHook, LoadHook } from "node:module";

/** Module hooks, on their own thread: modules of the log are loaded as a mutant has them. */

let sources: ReadonlyMap<string, string> = new Map();

export const initialize: InitializeHook<ReadonlyMap<string, string>> = (data) => {
  sources = data;
};

export const load: LoadHook = (url, context, nextLoad) => {
  const source = sources.get(url);
  return source === undefined ? nextLoad(url, context) : { format: "module", shortCircuit: true, source };
};
