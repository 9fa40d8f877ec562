import type { Experiment } from "../experiment.js";
import { appending } from "./appending.js";
import { arrivals, requested } from "./arrivals.js";
import { committers } from "./committers.js";
import { encoding } from "./encoding.js";
import { modes } from "./modes.js";
import { opening } from "./opening.js";
import { payloads } from "./payloads.js";
import { replaying } from "./replaying.js";
import { threads } from "./threads.js";

/** In the order in which they are run. */
export const experiments: readonly Experiment[] = [
  committers,
  modes,
  encoding,
  payloads,
  arrivals,
  requested,
  appending,
  threads,
  replaying,
  opening,
];
