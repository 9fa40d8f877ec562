import type { FaultRule } from "@stonewal/io-sim";
import type { Random } from "./random.js";

/** What a back end and the log on top of it have to cope with: nothing fails by it. */
export function isHarmless({ effect }: FaultRule): boolean {
  return effect === "interrupted" || effect === "short" || effect === "slow";
}

const DWB = /dwb$/;

/** Ways for calls to fail. **A fault is added here.** */
const FAILING: readonly ((random: Random) => FaultRule)[] = [
  // The pages of a sync that failed are clean for the kernel, and dropped: the next one "succeeds".
  (random) => ({ operation: "sync", nth: 1 + random.below(60), effect: random.pick(["none", "partial"]) }),
  (random) => ({ operation: "sync", nth: 1 + random.below(12), effect: random.pick(["none", "partial"]) }),
  (random) => ({ operation: "write", nth: 1 + random.below(80), effect: random.pick(["none", "partial"]) }),
  (random) => ({
    operation: "write",
    nth: 1 + random.below(80),
    effect: random.pick(["none", "partial"]),
    errno: "ENOSPC",
  }),
  (random) => ({
    operation: random.pick(["open", "read", "rename", "unlink", "truncate", "list", "size"]),
    nth: 1 + random.below(15),
  }),
  (random) => ({ operation: "syncDirectory", nth: 1 + random.below(6) }),
  (random) => ({ operation: "read", nth: 1 + random.below(30) }),
  (random) => ({
    operation: random.pick(["lock", "probe", "dropCache", "makeDirectory"]),
    nth: 1 + random.below(3),
  }),
  (random) => ({
    operation: random.pick(["sync", "write"]),
    path: DWB,
    nth: 1 + random.below(15),
    times: random.pick([1, 3]),
  }),
];

/** Ways for calls to take their time, or more than one attempt. */
const HARMLESS: readonly ((random: Random) => FaultRule)[] = [
  (random) => ({
    operation: random.pick(["write", "sync", "read"]),
    effect: random.pick(["interrupted", "slow"]),
    rate: random.pick([0.02, 0.3]),
  }),
  (random) => ({ operation: random.pick(["write", "sync"]), effect: "slow", ms: 7, rate: 0.1 }),
  (random) => ({
    operation: random.pick(["write", "sync", "read"]),
    effect: "interrupted",
    nth: 1 + random.below(20),
    times: random.pick([1, 40]),
  }),
  (random) => ({
    operation: random.pick(["write", "read"]),
    effect: "short",
    nth: 1 + random.below(20),
    times: random.pick([1, 40]),
  }),
  (random) => ({
    operation: random.pick(["write", "sync", "read"]),
    effect: "slow",
    nth: 1 + random.below(20),
    times: random.pick([1, 20]),
  }),
];

/** As the table of what was injected has it. */
export function nameOf({ operation, effect = "none", errno = "EIO" }: FaultRule): string {
  if (effect === "none") return `${operation} ${errno}`;
  return effect === "partial" ? `${operation} partial ${errno}` : `${operation} ${effect}`;
}

/** What a device does without saying so: no back end can see it. */
export function isLie({ effect }: FaultRule): boolean {
  return effect === "lost" || effect === "misdirected" || effect === "rot" || effect === "stale";
}

/** Above it the device doesn't lie: the whole directory may be gone then, and nothing is left that could say so. */
const IN_THE_LOG = /^\/log(\/|$)/;

const LIES: readonly ((random: Random) => FaultRule)[] = [
  (random) => ({ operation: "write", effect: "lost", nth: 1 + random.below(80) }),
  (random) => ({ operation: "write", effect: "misdirected", nth: 1 + random.below(80) }),
  (random) => ({ operation: "write", effect: "rot", nth: 1 + random.below(80) }),
  (random) => ({
    operation: random.pick(["sync", "syncDirectory"]),
    path: IN_THE_LOG,
    effect: "lost",
    nth: 1 + random.below(20),
  }),
  (random) => ({ operation: "read", effect: random.pick(["rot", "stale"]), nth: 1 + random.below(40) }),
];

/** One lie of a device that is honest otherwise. */
export function oneLie(random: Random): readonly FaultRule[] {
  return [random.pick(LIES)(random)];
}

export const noFaults = (): readonly FaultRule[] => [];

export function harmlessFaults(random: Random): readonly FaultRule[] {
  return Array.from({ length: random.below(3) }, () => random.pick(HARMLESS)(random));
}

export function failingCalls(random: Random): readonly FaultRule[] {
  const failing = Array.from({ length: random.pick([0, 1, 1, 1, 2]) }, () => random.pick(FAILING)(random));
  return random.oneIn(4) ? [...failing, ...harmlessFaults(random)] : failing;
}
