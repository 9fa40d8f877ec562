import { randomFrom } from "./seed.js";

/** When a child is killed. */
export type Kill =
  /** Some moment after `acknowledged` records of the file are acknowledged. */
  | { readonly during: "appending"; readonly acknowledged: number; readonly delayMs: number }
  /** While it opens the log: after this part of the time that the opening before took. */
  | { readonly during: "opening"; readonly part: number };

/** Long enough to land anywhere between two commits, whatever the disk. */
const MAX_DELAY_MS = 10;
/** A small file is soon over: a kill must not come too late for it. */
const RECORDS_PER_MS = 200;
/** Every fourth kill hits a child that is busy recovering from the one before. */
const OPENING_EVERY = 4;

/** Random moments, spread over the file: as many parts as there are kills of an appending child, one kill in each. */
export function planKills(seed: number, kills: number, records: number): Kill[] {
  const random = randomFrom(seed);
  const appending = kills - Math.floor(kills / OPENING_EVERY);
  const maxDelayMs = Math.min(MAX_DELAY_MS, records / appending / RECORDS_PER_MS);
  const plan: Kill[] = [];
  let part = 0;
  for (let kill = 1; kill <= kills; kill++) {
    if (kill % OPENING_EVERY === 0) {
      plan.push({ during: "opening", part: random() });
      continue;
    }
    const acknowledged = Math.floor(((part + random()) / appending) * records);
    plan.push({ during: "appending", acknowledged, delayMs: random() * maxDelayMs });
    part += 1;
  }
  return plan;
}
