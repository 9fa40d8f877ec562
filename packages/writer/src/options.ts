import type { IoBackend } from "@stonewal/io";
import {
  type Compression,
  type CompressionAlgorithm,
  checkCompression,
  DEFAULT_BLOCK_BYTES,
  FRAMES_START,
  MAX_BLOCK_BYTES,
  MAX_LSN,
  MIN_BLOCK_BYTES,
  RecordError,
} from "@stonewal/record";
import type { EncryptionOptions, Tip } from "@stonewal/recovery";
import { WalError } from "./errors.js";
import { shown } from "./lsn.js";

/**
 * How the double-write buffer is written; `off`: there is none. `auto`: as the log itself, and a frame that the device promises
 * not to tear gets no copy in it (`DwbSettings.mode`).
 */
export type DwbMode = "off" | "buffered" | "direct" | "auto";

/** What `auto` comes to. */
export type WrittenDwbMode = Exclude<DwbMode, "auto">;

export interface DwbSettings {
  /**
   * Default: as the log itself is written. With `auto`, a frame that fits one untorn write (RWF_ATOMIC) goes to the log alone,
   * and every other frame gets its copy as by default. It saves the second write and gives up the second copy of those frames:
   * should one rot, or its block become unreadable, nothing is there to put it back. Only for a log that is written direct, on
   * a device and file system that promise untorn writes; elsewhere `auto` is the default under another name, and
   * `stats().untornWriteBytes` is undefined.
   */
  readonly mode?: DwbMode;
  /** Number of slots, default 64. An existing buffer keeps its own. */
  readonly slots?: number;
  /**
   * Payload of a slot in bytes, a multiple of the block size. Default: 65,536 less a block, which with the slot's header makes 64 KiB; at least a block. With its header a slot takes
   * a multiple of that, in the file and in memory: 65,536 take 128 KiB. An existing buffer keeps its own.
   */
  readonly slotBytes?: number;
  /** Where the buffer lies; default `<directory>/dwb`. On another device it protects against more. */
  readonly path?: string;
  /**
   * What happens when a write or sync of the buffer fails. `fail` (default): the writer is poisoned, as by any other failure.
   * `degrade`: it goes on without a second copy, says so (`stonewal:dwb`, `protection`), and `attachDwb()` brings one back.
   */
  readonly onFailure?: "fail" | "degrade";
}

export interface WriterEncryption extends EncryptionOptions {
  /**
   * Whether type, shard, tenant and database of each record can be read without the key, by a tool that routes or counts. Default
   * `encrypted`. `readable` costs 24 bytes per record.
   */
  readonly routing?: "encrypted" | "readable" | undefined;
}

export interface WalOptions {
  readonly io: IoBackend;
  /** Whether the back end belongs to the log: closed when the log is closed, and when opening it fails. Default false. */
  readonly ownsIo?: boolean;
  /** The log's own directory. Created, with its parents, unless `create` is false. */
  readonly directory: string;
  /** Whether a log may be created where there is none. Default true. */
  readonly create?: boolean;
  /**
   * Past the page cache (O_DIRECT). Default: where the file system can. `true` where it can't is `WAL_UNSUPPORTED`. The layout
   * on disk is the same, so a log may change sides at every open.
   */
  readonly direct?: boolean;
  readonly dwb?: DwbMode | DwbSettings;
  /**
   * What makes a commit durable, and so acknowledges it. `wal` (default): the log's own sync, behind that of the double-write
   * buffer. `dwb`: the buffer's sync alone; the log's own files follow in batches, some milliseconds later. That is one
   * sync per commit instead of two, with the same promise against crashes and torn writes. Until its batch is synced a commit has one
   * durable copy, in the buffer: the log can't be opened without it (`WAL_DWB_MISSING`), unless it was closed. Frames that are
   * larger than the buffer are acknowledged by the log. Needs a buffer that takes every frame: neither `off` nor `auto`.
   */
  readonly ack?: "wal" | "dwb";
  /**
   * Size of new segments in bytes: 262,144 to 2^40, rounded up to a multiple of 65,536. Default 64 MiB. Each is written full of zeros before it is used, the next one
   * ahead of need, so a new log soon takes twice that. A record has to fit into one.
   */
  readonly segmentBytes?: number;
  /** Block size of a new log, a power of two from 4,096 to 65,536. Default: the device's physical block, at least 4,096. */
  readonly blockBytes?: number;
  /** A frame is closed when it has grown to this many bytes, 64 KiB to 64 MiB. Default 1 MiB. A larger record gets a frame of its own. */
  readonly frameBytes?: number;
  /** Bound, in bytes, on the memory of records that are not durable yet; at least two frames. Default 32 MiB. */
  readonly bufferBytes?: number;
  /** How many freed segments wait to be used again, 1 to 1,024; more than that are removed. Default 2. */
  readonly spareSegments?: number;
  /** LSN of a new log's first record. Default 1. */
  readonly startLsn?: number;
  /**
   * After this many milliseconds without a commit, what was appended and never synced is flushed, and a frame is written that bears
   * witness of the last commit. Default 100. 0: never.
   */
  readonly idleMs?: number;
  /** Milliseconds that a flush waits for more commits to join. Default 0: group commit needs no timer. */
  readonly groupDelayMs?: number;
  /** How many bytes of segments a reader that follows the log may keep from being freed. Default 1 GiB. */
  readonly maxHeldBytes?: number;
  /**
   * Encrypts what is written from now on with AES-256-GCM, with the ring's current key, and reads what is encrypted. A log that is encrypted can't
   * be opened without. Where the current key is another than the last segment's, a new segment is begun.
   */
  readonly encryption?: WriterEncryption | undefined;
  /**
   * Compresses each frame where that saves a block: `deflate-raw`, `brotli`, or `zstd` where Node.js has it. Default: none. May change at
   * every open. It runs on the thread that appends.
   */
  readonly compression?: CompressionAlgorithm | Compression | undefined;
  /**
   * Refuse, with `WAL_ROLLED_BACK`, a log that does not hold this any more: an older copy, or one that went on without you. It is `wal.tip` of
   * an earlier time, kept elsewhere.
   */
  readonly atLeast?: Tip | undefined;
  /** Allow network and user-space file systems, on which fsync and locks may not mean what they say. Default false. */
  readonly allowRemote?: boolean;
}

/** The options with their defaults, checked. */
export interface Settings {
  readonly ownsIo: boolean;
  readonly create: boolean;
  readonly dwb: Required<Omit<DwbSettings, "mode" | "slotBytes">> & {
    readonly mode: DwbMode | undefined;
    readonly slotBytes: number | undefined;
  };
  readonly ack: "wal" | "dwb";
  readonly segmentBytes: number;
  readonly blockBytes: number | undefined;
  readonly frameBytes: number;
  readonly bufferBytes: number;
  readonly spareSegments: number;
  readonly startLsn: number;
  readonly idleMs: number;
  readonly groupDelayMs: number;
  readonly maxHeldBytes: number;
  readonly allowRemote: boolean;
  readonly encryption: WriterEncryption | undefined;
  readonly compression: Required<Compression> | undefined;
}

const MIB = 1024 * 1024;
/** Preambles, the blocks kept for witnesses, and room for at least one frame of 64 KiB. */
const MIN_SEGMENT_BYTES = 2 * FRAMES_START;

/** Every option there is. A name that is none is a mistake, and may be one that was meant to keep records safe, or secret. */
const OPTIONS: Readonly<Record<keyof WalOptions, true>> = {
  io: true,
  ownsIo: true,
  directory: true,
  create: true,
  direct: true,
  dwb: true,
  ack: true,
  segmentBytes: true,
  blockBytes: true,
  frameBytes: true,
  bufferBytes: true,
  spareSegments: true,
  startLsn: true,
  idleMs: true,
  groupDelayMs: true,
  maxHeldBytes: true,
  encryption: true,
  compression: true,
  atLeast: true,
  allowRemote: true,
};
const DWB_SETTINGS: Readonly<Record<keyof DwbSettings, true>> = {
  mode: true,
  slots: true,
  slotBytes: true,
  path: true,
  onFailure: true,
};
const ENCRYPTION_OPTIONS: Readonly<Record<keyof WriterEncryption, true>> = {
  keys: true,
  unencrypted: true,
  missingKeys: true,
  routing: true,
};
const COMPRESSION_OPTIONS: Readonly<Record<keyof Compression, true>> = { algorithm: true, level: true };

function onlyKnown(prefix: string, given: object, known: Readonly<Record<string, true>>): void {
  const unknown = Object.entries(given).find(
    ([name, value]) => value !== undefined && !Object.hasOwn(known, name),
  );
  if (unknown !== undefined) {
    throw new WalError("WAL_ARGUMENT", `there is no option ${prefix}${unknown[0]}`);
  }
}

function yesOrNo(name: string, value: boolean | undefined): void {
  if (value === undefined || typeof value === "boolean") return;
  throw new WalError("WAL_ARGUMENT", `${name} must be true or false, not ${shown(value)}`);
}

function integer(
  name: string,
  value: number | undefined,
  fallback: number,
  min: number,
  max: number,
): number {
  const given = value ?? fallback;
  if (!Number.isSafeInteger(given) || given < min || given > max) {
    throw new WalError(
      "WAL_ARGUMENT",
      `${name} must be an integer from ${min} to ${max}, not ${String(given)}`,
    );
  }
  return given;
}

function oneOf<T extends string>(name: string, value: T | undefined, allowed: readonly T[]): void {
  if (value !== undefined && !allowed.includes(value)) {
    throw new WalError("WAL_ARGUMENT", `${name} must be one of ${allowed.join(", ")}, not ${String(value)}`);
  }
}

function checkEncryption(encryption: WriterEncryption | undefined): WriterEncryption | undefined {
  if (encryption === undefined) return undefined;
  if (typeof encryption?.keys?.load !== "function") {
    throw new WalError("WAL_ARGUMENT", "encryption.keys must be a KeyRing");
  }
  onlyKnown("encryption.", encryption, ENCRYPTION_OPTIONS);
  oneOf("encryption.routing", encryption.routing, ["encrypted", "readable"]);
  oneOf("encryption.unencrypted", encryption.unencrypted, ["refuse", "accept"]);
  oneOf("encryption.missingKeys", encryption.missingKeys, ["refuse", "allow"]);
  return encryption;
}

function chooseCompression(compression: WalOptions["compression"]): Required<Compression> | undefined {
  if (compression === undefined) return undefined;
  if (typeof compression === "object" && compression !== null) {
    onlyKnown("compression.", compression, COMPRESSION_OPTIONS);
  }
  try {
    return checkCompression(typeof compression === "string" ? { algorithm: compression } : compression);
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    const code = error.code === "UNSUPPORTED_FORMAT" ? "WAL_UNSUPPORTED" : "WAL_ARGUMENT";
    throw new WalError(code, error.message, error);
  }
}

function checkTip(tip: Tip | undefined): void {
  if (tip === undefined) return;
  if (typeof tip !== "object" || tip === null) {
    throw new WalError("WAL_ARGUMENT", `atLeast must be a tip as wal.tip gives it, not ${shown(tip)}`);
  }
  if (!Number.isSafeInteger(tip.lsn) || tip.lsn < 0 || tip.lsn > MAX_LSN) {
    throw new WalError(
      "WAL_ARGUMENT",
      `atLeast.lsn must be an integer from 0 to ${MAX_LSN}, not ${shown(tip.lsn)}`,
    );
  }
  if (tip.tag !== undefined && !(tip.tag instanceof Uint8Array && tip.tag.length === 16)) {
    throw new WalError("WAL_ARGUMENT", "atLeast.tag must be a Uint8Array of 16 bytes");
  }
}

function dwbSettings(dwb: WalOptions["dwb"]): DwbSettings {
  if (dwb === undefined) return {};
  if (typeof dwb === "string") return { mode: dwb };
  if (typeof dwb !== "object" || dwb === null) {
    throw new WalError("WAL_ARGUMENT", `dwb must be a mode, as "off", or settings, not ${shown(dwb)}`);
  }
  onlyKnown("dwb.", dwb, DWB_SETTINGS);
  if (dwb.path !== undefined && (typeof dwb.path !== "string" || dwb.path === "")) {
    throw new WalError("WAL_ARGUMENT", "dwb.path must be a path");
  }
  return dwb;
}

/** Throws `WAL_ARGUMENT`, naming the option. */
export function checkOptions(options: WalOptions): Settings {
  if (typeof options.directory !== "string" || options.directory === "") {
    throw new WalError("WAL_ARGUMENT", "directory must be a path");
  }
  onlyKnown("", options, OPTIONS);
  for (const name of ["ownsIo", "create", "direct", "allowRemote"] as const) yesOrNo(name, options[name]);
  const dwb = dwbSettings(options.dwb);
  oneOf("dwb.mode", dwb.mode, ["off", "buffered", "direct", "auto"]);
  oneOf("dwb.onFailure", dwb.onFailure, ["fail", "degrade"]);
  oneOf("ack", options.ack, ["wal", "dwb"]);
  if (options.ack === "dwb" && (dwb.mode === "off" || dwb.mode === "auto")) {
    const why = dwb.mode === "off" ? "there is none" : "'auto' leaves frames out of it";
    throw new WalError("WAL_ARGUMENT", `ack 'dwb' needs every frame in the double-write buffer; ${why}`);
  }
  const blockBytes = options.blockBytes;
  if (blockBytes !== undefined) {
    integer("blockBytes", blockBytes, DEFAULT_BLOCK_BYTES, MIN_BLOCK_BYTES, MAX_BLOCK_BYTES);
    if ((blockBytes & (blockBytes - 1)) !== 0) {
      throw new WalError("WAL_ARGUMENT", `blockBytes must be a power of two, not ${blockBytes}`);
    }
  }
  checkTip(options.atLeast);
  // A multiple of every block size there is, so that a log may be opened with any.
  const roundUp = (bytes: number) => Math.ceil(bytes / MAX_BLOCK_BYTES) * MAX_BLOCK_BYTES;
  const frameBytes = roundUp(integer("frameBytes", options.frameBytes, MIB, 64 * 1024, 64 * MIB));
  return {
    ownsIo: options.ownsIo ?? false,
    create: options.create ?? true,
    dwb: {
      mode: dwb.mode,
      slots: integer("dwb.slots", dwb.slots, 64, 1, 65536),
      slotBytes:
        dwb.slotBytes === undefined
          ? undefined
          : integer("dwb.slotBytes", dwb.slotBytes, MIN_BLOCK_BYTES, MIN_BLOCK_BYTES, 64 * MIB),
      path: dwb.path ?? `${options.directory}/dwb`,
      onFailure: dwb.onFailure ?? "fail",
    },
    ack: options.ack ?? "wal",
    segmentBytes: roundUp(
      integer("segmentBytes", options.segmentBytes, 64 * MIB, MIN_SEGMENT_BYTES, 2 ** 40),
    ),
    blockBytes,
    frameBytes,
    bufferBytes: integer(
      "bufferBytes",
      options.bufferBytes,
      Math.max(32 * MIB, 4 * frameBytes),
      2 * frameBytes,
      2 ** 40,
    ),
    spareSegments: integer("spareSegments", options.spareSegments, 2, 1, 1024),
    startLsn: integer("startLsn", options.startLsn, 1, 1, MAX_LSN),
    idleMs: integer("idleMs", options.idleMs, 100, 0, 2 ** 31 - 1),
    groupDelayMs: integer("groupDelayMs", options.groupDelayMs, 0, 0, 60_000),
    maxHeldBytes: integer("maxHeldBytes", options.maxHeldBytes, 1024 * MIB, 0, Number.MAX_SAFE_INTEGER),
    allowRemote: options.allowRemote ?? false,
    encryption: checkEncryption(options.encryption),
    compression: chooseCompression(options.compression),
  };
}
