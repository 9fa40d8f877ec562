import type { FaultRule } from "@stonewal/io-sim";
import {
  type DISKS,
  describeMode,
  isEncrypted,
  KEY_IDS,
  type KeyId,
  type LogMode,
  type Mode,
  pickLogMode,
  pickMode,
  SOUND_DISKS,
} from "./modes.js";
import { Random } from "./random.js";

/** One call on the log. A fraction (`at`) stands for a place in what is there then; so steps can be left out, and the rest still makes sense. */
export type Step =
  /** `commitNow` blocks, as `syncNow` below. */
  | { readonly kind: "append" | "commit" | "commitNow"; readonly bytes: number }
  | { readonly kind: "batch" | "commitBatch"; readonly count: number; readonly bytes: number }
  /** A batch whose last record passes every check and can't be copied: nothing of it may be in the log. */
  | { readonly kind: "spoiltBatch"; readonly count: number; readonly bytes: number }
  /** Waits for everything appended; `flush` asks for it and goes on. */
  | {
      readonly kind:
        | "sync"
        | "syncNow"
        | "flush"
        | "settle"
        | "seal"
        | "attach"
        | "read"
        | "follow"
        | "readBeside";
    }
  | { readonly kind: "checkpoint" | "cut"; readonly at: number }
  /** Goes over to another key, in a new segment; nothing where it is the current one already. */
  | { readonly kind: "rotate"; readonly key: KeyId }
  /** Lets the disk work for so many boundaries, or time pass. */
  | { readonly kind: "turns" | "time"; readonly count: number }
  /** The disk has room for so many more bytes; -1: for as many as you like. */
  | { readonly kind: "room"; readonly bytes: number }
  | { readonly kind: "clock"; readonly ms: number };

/** How a life of the log ends: the power fails, the process is killed, it is closed and the process ends, or closed and the power fails. */
export type End = "crash" | "kill" | "close" | "close and crash";

/** From one opening to the end of its process. */
export interface Life {
  readonly mode: Mode;
  /** The current key of its ring when the log is opened, if that is encrypted: often another than the last segment's. */
  readonly key: KeyId;
  readonly steps: readonly Step[];
  readonly end: End;
  /** Before its time: after so many boundaries, opening included. */
  readonly crashAfter?: number;
  readonly faults: readonly FaultRule[];
  /** What is done to the disk's contents once it has ended, on copies: seeds of `damage.ts`. */
  readonly damages: readonly number[];
  /** Whether recovery is looked at closely: run twice, interrupted, and read without changing anything. */
  readonly scrutiny?: number;
  /** Opened for a second time in the same mode, and then: closed or crashed. */
  readonly reopened: "close" | "crash";
}

/** A history as data: whoever has it, and the build of the log, has every byte of it. */
export interface Plan {
  readonly seed: number;
  readonly disk: keyof typeof DISKS;
  readonly crashPolicy: "random" | "none" | "all";
  readonly log: LogMode;
  readonly lives: readonly Life[];
}

/** What histories are like: how often what happens. */
export interface Flavour {
  readonly lives: number;
  readonly maxSteps: number;
  /** Faults of one life. */
  readonly faults: (random: Random) => readonly FaultRule[];
  /** One life in so many has a disk with little room. 0: none. */
  readonly fullDisk: number;
  readonly ends: readonly End[];
  /** Some calls block the thread. */
  readonly blocking: boolean;
  /** Whether some batches turn out to be unreadable while they are copied. */
  readonly spoiltBatches?: boolean;
  /** How often each life's end is damaged. */
  readonly damages: number;
  /** One life in so many is looked at closely; Infinity: none. */
  readonly scrutiny: number;
  /** Instead of what the seed picks. */
  readonly mode?: Partial<Mode>;
  readonly log?: Partial<LogMode>;
  readonly disk?: keyof typeof DISKS;
}

export function planOf(seed: number, flavour: Flavour): Plan {
  const random = new Random(seed);
  const crashPolicy = random.pick(["random", "random", "random", "none", "all"] as const);
  const disk = flavour.disk ?? random.pick(SOUND_DISKS);
  const log = { ...pickLogMode(random), ...flavour.log };
  const planned = Array.from({ length: flavour.lives }, () => planLife(random, flavour));
  const lives = flavour.spoiltBatches === true ? spoilingBatches(planned, seed) : planned;
  return { seed, disk, crashPolicy, log, lives: isEncrypted(log) ? changingKeys(lives, seed) : lives };
}

/** Chances of their own: with these steps or without, a seed's history is the same otherwise. */
const KEY_CHANCE = 0x6b65_7973;
const SPOILT_CHANCE = 0x7370_6f6c;

function spoilingBatches(lives: readonly Life[], seed: number): Life[] {
  const random = new Random(seed ^ SPOILT_CHANCE);
  return lives.map((life) => {
    const spoilt: Step = { kind: "spoiltBatch", count: 2 + random.below(3), bytes: random.below(2000) };
    return { ...life, steps: life.steps.toSpliced(random.below(life.steps.length + 1), 0, spoilt) };
  });
}

/** Each opening with a key of its own, and changes of the key in between. */
function changingKeys(lives: readonly Life[], seed: number): Life[] {
  const random = new Random(seed ^ KEY_CHANCE);
  return lives.map((life) => {
    const key = random.pick(KEY_IDS);
    let { steps } = life;
    for (let changes = random.pick([0, 0, 1, 3]); changes > 0; changes -= 1) {
      const rotate: Step = { kind: "rotate", key: random.pick(KEY_IDS) };
      steps = steps.toSpliced(random.below(steps.length + 1), 0, rotate);
    }
    return { ...life, key, steps };
  });
}

function planLife(random: Random, flavour: Flavour): Life {
  const mode = { ...pickMode(random), ...flavour.mode };
  const full = flavour.fullDisk > 0 && random.oneIn(flavour.fullDisk);
  const end = random.pick(flavour.ends);
  const count = 5 + random.below(flavour.maxSteps);
  const steps = Array.from({ length: count }, () => planStep(random, full, flavour.blocking));
  // Early crashes often hit the opening: that is where recovery is.
  const early = (end === "crash" || end === "kill") && random.below(4) > 0;
  const boundaries = random.below(random.pick([60, 400, 1500])) + 1;
  return {
    mode,
    key: 1,
    steps: full ? [{ kind: "room", bytes: random.below(600_000) }, ...steps] : steps,
    end,
    ...(early ? { crashAfter: boundaries } : {}),
    faults: flavour.faults(random),
    damages: Array.from({ length: flavour.damages }, () => random.below(2 ** 30)),
    ...(random.below(flavour.scrutiny) === 0 ? { scrutiny: random.below(2 ** 30) } : {}),
    reopened: random.pick(["close", "crash"] as const),
  };
}

function payloadBytes(random: Random): number {
  const kind = random.below(20);
  if (kind < 12) return random.below(120);
  if (kind < 17) return random.below(5000);
  if (kind < 19) return random.below(20_000);
  // The largest that every mode takes is 57,100.
  return random.below(57_000);
}

function planStep(random: Random, full: boolean, blocking: boolean): Step {
  const kind = random.below(full ? 104 : 100);
  if (kind < 20) return { kind: "append", bytes: payloadBytes(random) };
  if (kind < 42) return { kind: "commit", bytes: payloadBytes(random) };
  if (kind < 50) return planBatch(random, random.pick(["batch", "commitBatch"]));
  if (kind < 55 || (kind < 60 && !blocking)) return { kind: "flush" };
  if (kind < 57) return { kind: "syncNow" };
  if (kind < 60) return { kind: "commitNow", bytes: payloadBytes(random) };
  if (kind < 66) return { kind: "sync" };
  if (kind < 72) return { kind: "settle" };
  if (kind < 77) return { kind: "checkpoint", at: random.next() };
  if (kind < 79) return { kind: "seal" };
  if (kind < 82) return { kind: "cut", at: random.next() };
  if (kind < 84) return { kind: "follow" };
  if (kind < 85) return { kind: "readBeside" };
  if (kind < 87) return { kind: "read" };
  if (kind < 95) return { kind: "turns", count: 1 + random.below(30) };
  if (kind < 97) return { kind: "time", count: random.pick([1, 60, 200]) };
  if (kind < 98) return { kind: "clock", ms: random.pick([-3_600_000, 3_600_000]) };
  if (kind < 100) return { kind: "attach" };
  return { kind: "room", bytes: random.pick([-1, 0, random.below(600_000)]) };
}

/** Many small records, a few large ones. */
function planBatch(random: Random, kind: "batch" | "commitBatch"): Step {
  const count = random.pick([2, 3, 7, 40]);
  return { kind, count, bytes: random.below(Math.min(9000, Math.floor(50_000 / count))) };
}

function describeStep(step: Step): string {
  const { kind, ...rest } = step;
  const details = Object.entries(rest).map(([name, value]) =>
    name === "at"
      ? `at ${(value as number).toFixed(2)}`
      : name === "key"
        ? `to key ${value}`
        : `${value} ${name}`,
  );
  return [kind, ...details].join(" ");
}

function describeFaultRule({ path, ...rule }: FaultRule): string {
  const { operation, effect, ...details } = rule;
  const more = Object.entries(details).map(([name, value]) => `${name} ${String(value)}`);
  return [operation, effect ?? "fails", ...(path === undefined ? [] : [String(path)]), ...more].join(" ");
}

/** The plan for a reader. */
export function describePlan(plan: Plan): string {
  const lines = [`disk: ${plan.disk}, a crash keeps: ${plan.crashPolicy}; log: ${describeMode(plan.log)}`];
  plan.lives.forEach((life, index) => {
    const key = isEncrypted(plan.log) ? `key=${life.key} ` : "";
    lines.push(`life ${index + 1}: ${key}${describeMode(life.mode)}`);
    for (const fault of life.faults) lines.push(`  fault: ${describeFaultRule(fault)}`);
    if (life.steps.length > 0) lines.push(`  ${life.steps.map(describeStep).join("; ")}`);
    const when = life.crashAfter === undefined ? "" : `, or crash after boundary ${life.crashAfter}`;
    const looks = [
      ...(life.damages.length > 0 ? [`damaged by ${life.damages.join(", ")}`] : []),
      ...(life.scrutiny === undefined ? [] : [`looked at closely by ${life.scrutiny}`]),
    ];
    lines.push(`  end: ${life.end}${when}; ${[...looks, `opened again, then ${life.reopened}`].join("; ")}`);
  });
  return lines.join("\n");
}

/** Smaller plans that differ from this one in one respect; those that leave out most come first. */
export function* smallerPlans(plan: Plan): Generator<Plan> {
  const { lives } = plan;
  const withLife = (index: number, life: Life): Plan => ({ ...plan, lives: lives.with(index, life) });
  for (const rest of leavingOut(lives)) if (rest.length > 0) yield { ...plan, lives: rest };
  for (const [index, life] of lives.entries()) {
    for (const steps of leavingOut(life.steps)) yield withLife(index, { ...life, steps });
    for (const faults of leavingOut(life.faults)) yield withLife(index, { ...life, faults });
    for (const damages of leavingOut(life.damages)) yield withLife(index, { ...life, damages });
    if (life.scrutiny !== undefined) {
      const { scrutiny: _, ...rest } = life;
      yield withLife(index, rest);
    }
    if (life.reopened === "close") yield withLife(index, { ...life, reopened: "crash" });
    if (life.key !== 1) yield withLife(index, { ...life, key: 1 });
    for (const [at, step] of life.steps.entries()) {
      if (!("bytes" in step) || step.bytes < 64) continue;
      yield withLife(index, { ...life, steps: life.steps.with(at, { ...step, bytes: step.bytes >> 2 }) });
    }
  }
}

/** First without halves, then quarters, ... at last without each alone. */
function* leavingOut<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let size = all.length; size >= 1; size = Math.floor(size / 2))
    for (let from = 0; from < all.length; from += size) yield all.toSpliced(from, size);
}
