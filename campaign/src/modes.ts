import type { SimDiskOptions } from "@stonewal/io-sim";
import { KeyRing } from "@stonewal/record";
import type { EncryptionOptions } from "@stonewal/recovery";
import type { DwbSettings, WalOptions } from "@stonewal/writer";
import type { Random } from "./random.js";

type ModeOptions = Partial<Omit<WalOptions, "io" | "directory" | "dwb">> & { readonly dwb?: DwbSettings };

/** Ids of the keys that logs are written with. */
export const KEY_IDS = [1, 2, 3] as const;
export type KeyId = (typeof KEY_IDS)[number];

/** A ring of one process, which may change its current key: it has all of them, as whoever rotates keys needs the older ones. */
export function ringWith(current: KeyId): KeyRing {
  const keys = new Map(KEY_IDS.map((id) => [id, new Uint8Array(32).fill(0x5d + id)]));
  return new KeyRing({ current, keys });
}

/** With what a log of any mode can be read. */
export const READING: { readonly encryption: EncryptionOptions } = {
  encryption: { keys: ringWith(1), unencrypted: "accept" },
};

/**
 * Every way to open a log: what can be chosen, and what each choice asks of `openLog`. **A mode is added here**, and every campaign has it. Sizes
 * are small: segments roll, a batch has more frames than the double-write buffer has slots, frames outgrow slots and ring.
 */
const EVERY_OPENING = {
  log: { buffered: { direct: false }, direct: { direct: true } },
  dwb: {
    off: { dwb: { mode: "off" } },
    buffered: { dwb: { mode: "buffered" } },
    direct: { dwb: { mode: "direct" } },
    auto: { dwb: { mode: "auto" } },
    "buffered, acknowledging": { ack: "dwb", dwb: { mode: "buffered" } },
    "direct, acknowledging": { ack: "dwb", dwb: { mode: "direct" } },
  },
  dwbFailure: { fail: { dwb: { onFailure: "fail" } }, degrade: { dwb: { onFailure: "degrade" } } },
  segment: {
    "256K": { segmentBytes: 262_144 },
    "320K": { segmentBytes: 327_680 },
    "384K": { segmentBytes: 393_216 },
  },
  buffer: { "256K": { bufferBytes: 262_144 }, "128K": { bufferBytes: 131_072 } },
  spares: { 1: { spareSegments: 1 }, 2: { spareSegments: 2 } },
  idle: { never: { idleMs: 0 }, "50ms": { idleMs: 50 } },
  delay: { none: { groupDelayMs: 0 }, "3ms": { groupDelayMs: 3 } },
  held: { much: {}, none: { maxHeldBytes: 0 } },
  compression: { none: {}, "none either": {}, deflate: { compression: "deflate-raw" } },
} as const satisfies Record<string, Record<string, ModeOptions>>;

/** The ring has room for the copies of a folio's frames beside those of the next frame, however many they are. */
export const ROOMY = "4K blocks, 64 slots of 60K";

/** As above, for what a log keeps from its creation on. */
const EVERY_LOG = {
  sizes: {
    "4K blocks, 1 slot of 4K": { blockBytes: 4096, dwb: { slots: 1, slotBytes: 4096 } },
    "4K blocks, 2 slots of 8K": { blockBytes: 4096, dwb: { slots: 2, slotBytes: 8192 } },
    "4K blocks, 4 slots of 4K": { blockBytes: 4096, dwb: { slots: 4, slotBytes: 4096 } },
    "4K blocks, 8 slots of 8K": { blockBytes: 4096, dwb: { slots: 8, slotBytes: 8192 } },
    "4K blocks, 4 slots of 64K": { blockBytes: 4096, dwb: { slots: 4, slotBytes: 65_536 } },
    "8K blocks, 4 slots of 8K": { blockBytes: 8192, dwb: { slots: 4, slotBytes: 8192 } },
    [ROOMY]: { blockBytes: 4096, dwb: { slots: 64, slotBytes: 61_440 } },
  },
  encryption: {
    none: {},
    "AES-256-GCM": { encryption: { keys: ringWith(1) } },
    "AES-256-GCM, routing readable": { encryption: { keys: ringWith(1), routing: "readable" } },
  },
} as const satisfies Record<string, Record<string, ModeOptions>>;

type Choices<Table> = { readonly [Axis in keyof Table]: keyof Table[Axis] };

/** How a log is opened, as names: what a failing history prints. */
export type Mode = Choices<typeof EVERY_OPENING>;
/** What stays the same for all openings of one log. */
export type LogMode = Choices<typeof EVERY_LOG>;

function pickFrom<Table extends Record<string, object>>(table: Table, random: Random): Choices<Table> {
  const entries = Object.entries(table).map(([axis, choices]) => [axis, random.pick(Object.keys(choices))]);
  return Object.fromEntries(entries) as Choices<Table>;
}

export const pickMode = (random: Random): Mode => pickFrom(EVERY_OPENING, random);
export const pickLogMode = (random: Random): LogMode => pickFrom(EVERY_LOG, random);

export const isEncrypted = ({ encryption }: LogMode): boolean => encryption !== "none";

/** What a mode asks of `openLog`, for a process whose current key is `key`. Where the log is encrypted the ring is that process's own. */
export function optionsOf(log: LogMode, mode: Mode, key: KeyId): ModeOptions {
  const tables: Record<string, Record<string, ModeOptions>> = { ...EVERY_LOG, ...EVERY_OPENING };
  let options: ModeOptions = { frameBytes: 65_536 };
  for (const [axis, choice] of Object.entries({ ...log, ...mode })) {
    const asked = tables[axis]?.[choice];
    if (asked === undefined) throw new RangeError(`there is no mode ${axis}=${choice}`);
    options = { ...options, ...asked, dwb: { ...options.dwb, ...asked.dwb } };
  }
  return withKey(options, key);
}

/** The same, with a ring of its own where there is one. */
export function withKey<Options extends Pick<WalOptions, "encryption">>(
  options: Options,
  key: KeyId,
): Options {
  const { encryption } = options;
  return encryption === undefined
    ? options
    : { ...options, encryption: { ...encryption, keys: ringWith(key) } };
}

export function describeMode(mode: Mode | LogMode): string {
  return Object.entries(mode)
    .map(([axis, choice]) => `${axis}=${choice}`)
    .join(" ");
}

/** What the size of a block asks for where one sector is one block: everything is written whole or torn as a whole. */
export const LARGE_BLOCKS: ModeOptions = {
  blockBytes: 65_536,
  segmentBytes: 1_048_576,
  bufferBytes: 524_288,
  frameBytes: 65_536,
  dwb: { slots: 4, slotBytes: 65_536 },
};

/** Disks that a history may run on. */
export const DISKS = {
  ordinary: {},
  "4K sectors": { sectorBytes: 4096 },
  "stale blocks": { staleBlocks: true },
  folios: { folioBytes: 65_536 },
  "untorn writes": { untornWriteBytes: { min: 4096, max: 65_536 } },
} satisfies Record<string, SimDiskOptions>;

/** Those on which a crash takes nothing that was synced. */
export const SOUND_DISKS = [
  "ordinary",
  "4K sectors",
  "untorn writes",
] as const satisfies (keyof typeof DISKS)[];
