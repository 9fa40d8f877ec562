import type { SimDiskOptions } from "@stonewal/io-sim";
import type { WalOptions } from "@stonewal/writer";
import type { Scenario } from "./exhaustive.js";
import { LARGE_BLOCKS, ringWith } from "./modes.js";
import type { Step } from "./plan.js";

/** Short histories whose every crash is tried. **A scenario is added here.** */

const SMALL: Omit<WalOptions, "io" | "directory"> = {
  segmentBytes: 262_144,
  bufferBytes: 131_072,
  frameBytes: 65_536,
  spareSegments: 1,
  idleMs: 0,
  dwb: { slots: 2, slotBytes: 4096 },
};

interface Setting {
  readonly name: string;
  readonly disk: SimDiskOptions;
  readonly options: Omit<WalOptions, "io" | "directory">;
}

type Way = Pick<WalOptions, "direct" | "ack"> & { readonly dwb: { mode: "off" | "buffered" | "direct" } };

const WAYS: Record<string, Way> = {
  "direct, DWB": { direct: true, dwb: { mode: "direct" } },
  "buffered, no DWB": { direct: false, dwb: { mode: "off" } },
  "direct, DWB acknowledges": { direct: true, ack: "dwb", dwb: { mode: "direct" } },
  "buffered, DWB": { direct: false, dwb: { mode: "buffered" } },
};

const settings = (kind: string, disk: SimDiskOptions, options: Setting["options"]): Setting[] =>
  Object.entries(WAYS).map(([name, way]) => ({
    name: `${kind}; ${name}`,
    disk,
    options: { ...options, ...way, dwb: { ...(options.dwb as object), ...way.dwb } },
  }));

/** Blocks of one sector, which a cut may turn into zeros or garbage: few choices, and so all of them. */
const TORN_BLOCKS = settings("torn blocks", { sectorBytes: 65_536 }, LARGE_BLOCKS);
/** Blocks of eight sectors that arrive in any order. */
const SECTORS_IN_ANY_ORDER = settings(
  "any order of sectors",
  { sectorBytes: 512, tornSectors: false },
  SMALL,
);

const commit: Step = { kind: "commit", bytes: 700 };
const settle: Step = { kind: "settle" };
const ONE: readonly Step[] = [commit, settle];
/** Neither fits into one frame with the other. */
const TWO_FRAMES: readonly Step[] = [
  { kind: "append", bytes: 40_000 },
  { kind: "append", bytes: 40_000 },
  { kind: "sync" },
];

type Story = Pick<Scenario, "name" | "before" | "unprepared" | "interrupted" | "watched" | "keys" | "kills">;

const STORIES: readonly Story[] = [
  { name: "the first opening", watched: "open" },
  { name: "a commit", before: ONE, watched: [...ONE, ...ONE] },
  {
    name: "the next frame while one is in flight",
    before: ONE,
    watched: [commit, { kind: "turns", count: 2 }, commit, settle],
  },
  { name: "a roll", before: ONE, watched: [{ kind: "seal" }, settle, commit, settle] },
  {
    name: "a checkpoint",
    before: [...ONE, { kind: "seal" }, ...ONE],
    watched: [{ kind: "checkpoint", at: 0.99 }, settle, commit, settle],
  },
  { name: "a cut", before: [...ONE, ...ONE, ...ONE], watched: [{ kind: "cut", at: 0.5 }, commit, settle] },
  { name: "a close", before: ONE, watched: "close" },
  {
    name: "an opening after a cut in a commit",
    before: ONE,
    interrupted: { steps: ONE, afterBoundaries: 4 },
    watched: "open",
  },
  {
    name: "an opening after a cut in a roll",
    before: ONE,
    interrupted: { steps: [{ kind: "seal" }, settle], afterBoundaries: 5 },
    watched: "open",
  },
  {
    name: "an opening after a cut in a cut",
    before: [...ONE, ...ONE],
    interrupted: { steps: [{ kind: "cut", at: 0.5 }], afterBoundaries: 9 },
    watched: "open",
  },
];

/** With zeros in flight there are many outcomes: only of a segment that is one piece of them. */
const ZEROS_STORIES: readonly Story[] = [
  {
    name: "commits while the next segment is written",
    before: ONE,
    unprepared: true,
    watched: [...ONE, ...ONE],
  },
];

const FRAME_STORIES: readonly Story[] = [
  { name: "two frames in one chain", before: ONE, watched: TWO_FRAMES },
  {
    name: "an opening after a cut in two frames",
    before: ONE,
    interrupted: { steps: TWO_FRAMES, afterBoundaries: 5 },
    watched: "open",
  },
];

const rotate: readonly Step[] = [{ kind: "rotate", key: 2 }, settle];

/** Of encrypted logs. Whoever opens what a cut has left has the new key for the current one, and after that, once more, the old one. */
const KEY_STORIES: readonly Story[] = [
  { name: "a change of the key", keys: [1, 2], before: ONE, watched: [...rotate, commit, settle] },
  {
    name: "a change of the key while a commit is in flight, and back",
    keys: [1, 2],
    before: ONE,
    watched: [commit, { kind: "rotate", key: 2 }, commit, { kind: "rotate", key: 1 }, commit, settle, ...ONE],
  },
  {
    name: "an opening with another key",
    keys: [1, 2],
    before: ONE,
    interrupted: { steps: [], afterBoundaries: 1 },
    watched: "open",
  },
  {
    name: "an opening after a cut in a change of the key",
    keys: [1, 2],
    before: ONE,
    interrupted: { steps: rotate, afterBoundaries: 5 },
    watched: "open",
  },
  {
    name: "an opening with the old key after a cut in a change of it",
    keys: [1, 1],
    before: ONE,
    interrupted: { steps: rotate, afterBoundaries: 9 },
    watched: "open",
  },
];

const encrypted = (where: readonly Setting[]): Setting[] =>
  where.map(({ name, disk, options }) => ({
    name: `${name}, encrypted`,
    disk,
    options: { ...options, encryption: { keys: ringWith(1) } },
  }));

const killedToo = (stories: readonly Story[]): Story[] => stories.map((story) => ({ ...story, kills: true }));

function tell(stories: readonly Story[], where: readonly Setting[]): Scenario[] {
  return stories.flatMap((story) =>
    where.map(({ name, disk, options }) => ({ ...story, name: `${story.name} (${name})`, disk, options })),
  );
}

export const SCENARIOS: readonly Scenario[] = [
  ...tell([...STORIES, ...FRAME_STORIES], TORN_BLOCKS),
  ...tell([...STORIES, ...ZEROS_STORIES], SECTORS_IN_ANY_ORDER),
  ...tell(killedToo(KEY_STORIES), encrypted(TORN_BLOCKS)),
];
