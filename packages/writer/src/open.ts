import { dirname, resolve } from "node:path";
import type { Dwb } from "@stonewal/dwb";
import { type Capabilities, type IoBackend, IoError } from "@stonewal/io";
import {
  ANCHOR_NAME,
  DEFAULT_BLOCK_BYTES,
  FRAMES_START,
  type KeyRing,
  LOCK_NAME,
  MAX_BLOCK_BYTES,
  NO_TAG,
  preambleTag,
  RecordError,
} from "@stonewal/record";
import { missingLog, type RecoveredLog, RecoveryError, recoverLog, type Tip } from "@stonewal/recovery";
import { AnchorFile } from "./anchor-file.js";
import { WalError } from "./errors.js";
import { minSegmentBytes } from "./frame-assembler.js";
import { checkOptions, type Settings, type WalOptions, type WrittenDwbMode } from "./options.js";
import { LogPacking } from "./packing.js";
import { openReleased } from "./protection.js";
import { SegmentStore } from "./segment-store.js";
import { Counters } from "./stats.js";
import { Wal, type WalParts } from "./wal.js";

/**
 * Opens a log for writing, creating it where there is none: recovers what is there, repairs what a crash has left, and resolves when
 * everything recovered is durable and the log is ready for its next record.
 *
 * Rejects with `WAL_ARGUMENT`, `WAL_LOCKED`, `WAL_NOT_FOUND`, `WAL_NO_SPACE` (a new log, or a new key, on a full disk),
 * `WAL_REMOTE_FILE_SYSTEM`, `WAL_UNSUPPORTED`, recovery's errors where acknowledged data is damaged (then nothing has been changed), and the back
 * end's `IO_*`.
 */
export async function openLog(options: WalOptions): Promise<Wal> {
  if (typeof options !== "object" || options === null) {
    throw new WalError("WAL_ARGUMENT", "openLog takes options: at least io and directory");
  }
  try {
    return await open(options);
  } catch (error) {
    if (options.ownsIo) await options.io.close();
    throw error;
  }
}

async function open(options: WalOptions): Promise<Wal> {
  const settings = checkOptions(options);
  const { io } = options;
  const directory = resolve(options.directory);
  await makeDirectories(io, directory, settings.create, options.atLeast);
  const capabilities = await io.probe(directory);
  if (capabilities.remote && !settings.allowRemote) {
    throw new WalError(
      "WAL_REMOTE_FILE_SYSTEM",
      `${directory} is on ${capabilities.fileSystem}, where a sync or a lock may not mean what it says; set allowRemote to use it all the same`,
    );
  }
  const direct = chooseDirect(options.direct, capabilities, directory);
  const { mode } = settings.dwb;
  const dwbMode = mode !== undefined && mode !== "auto" ? mode : direct ? "direct" : "buffered";
  if (dwbMode === "direct") chooseDirect(true, capabilities, directory);

  const lock = await io.lock(`${directory}/${LOCK_NAME}`).catch((error: unknown) => {
    if (!(error instanceof IoError) || error.code !== "IO_LOCKED") throw error;
    throw new WalError(
      "WAL_LOCKED",
      `another writer has ${directory} open; its lock ends when it closes the log, or when its process ends`,
      error,
    );
  });
  const opened: { close(): Promise<void> }[] = [];
  try {
    const common = { ...options, directory, settings, direct, dwbMode, capabilities };
    const log = await recoverOrCreate(common, opened);
    const dwb = await openProtection(common, log.blockBytes);
    if (dwb !== undefined) opened.push(dwb);
    const wal = new Wal({ ...log, io, directory, settings, direct, dwbMode, lock, dwb });
    await wal.begin();
    return wal;
  } catch (error) {
    for (const resource of opened.reverse()) await resource.close().catch(() => undefined);
    await lock.release();
    throw error;
  }
}

interface Common extends WalOptions {
  readonly settings: Settings;
  readonly direct: boolean;
  readonly dwbMode: WrittenDwbMode;
  readonly capabilities: Capabilities;
}

type LogParts = Pick<
  WalParts,
  | "blockBytes"
  | "packing"
  | "tip"
  | "logId"
  | "incarnation"
  | "store"
  | "anchor"
  | "counters"
  | "trimLsn"
  | "position"
  | "highestSequence"
  | "created"
  | "report"
>;

/** Creates what is missing of the path. */
async function makeDirectories(
  io: IoBackend,
  directory: string,
  create: boolean,
  atLeast?: Tip,
): Promise<void> {
  try {
    await io.list(directory);
    return;
  } catch (error) {
    if (!(error instanceof IoError) || error.code !== "IO_NOT_FOUND") throw error;
    if (atLeast !== undefined) throw missingLog(directory, atLeast);
    if (!create) throw new WalError("WAL_NOT_FOUND", `there is no directory ${directory}`, error);
  }
  const parent = dirname(directory);
  if (parent !== directory) await makeDirectories(io, parent, true);
  await io.makeDirectory(directory).catch((error: unknown) => {
    if (!(error instanceof IoError) || error.code !== "IO_EXISTS") throw error;
  });
}

/**
 * Makes the path to a new log durable. Directories that are there already too: an earlier attempt may have made them, and been
 * killed before it got here. Above the log's parent, what can't be synced by us was not made by us.
 */
async function syncPath(io: IoBackend, directory: string): Promise<void> {
  await io.syncDirectory(dirname(directory));
  for (let above = dirname(directory); dirname(above) !== above; above = dirname(above)) {
    await io.syncDirectory(dirname(above)).catch((error: unknown) => {
      const foreign = error instanceof IoError && (error.code === "IO_ACCESS" || error.errno === "EINVAL");
      if (!foreign) throw error;
    });
  }
}

function chooseDirect(asked: boolean | undefined, capabilities: Capabilities, directory: string): boolean {
  const { direct } = capabilities;
  const possible = direct !== undefined && direct.alignment <= DEFAULT_BLOCK_BYTES;
  if (asked === true && !possible) {
    const why =
      direct === undefined
        ? (capabilities.directUnavailable ?? "not supported")
        : `it needs an alignment of ${direct.alignment} bytes`;
    throw new WalError("WAL_UNSUPPORTED", `O_DIRECT can't be had in ${directory}: ${why}`);
  }
  return asked ?? possible;
}

async function recoverOrCreate(common: Common, opened: { close(): Promise<void> }[]): Promise<LogParts> {
  const { io, directory, settings, dwbMode } = common;
  const { encryption, dwb } = settings;
  const withoutDwb = dwbMode === "off";
  const { atLeast } = common;
  // Without the key that is to be written with nothing is changed.
  if (encryption !== undefined) await loadCurrentKey(directory, encryption.keys);
  const recovered = await recoverLog({ io, directory, dwbPath: dwb.path, withoutDwb, encryption, atLeast });
  if (recovered === undefined && !settings.create) {
    throw new WalError("WAL_NOT_FOUND", `there is no log in ${directory}`);
  }
  const incarnation = io.random(16);
  return recovered === undefined
    ? createLog(common, incarnation, opened)
    : continueLog(common, incarnation, recovered, opened);
}

async function loadCurrentKey(directory: string, keys: KeyRing): Promise<void> {
  try {
    await keys.load([keys.current]);
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    const { keyId, message, code } = error;
    if (code !== "KEY_MISSING") throw new WalError("WAL_ARGUMENT", message, error);
    throw new RecoveryError("WAL_KEY_MISSING", `${directory}: ${message}`, { keyId, cause: error });
  }
}

function packingOf({ settings }: Common, logId: Uint8Array, incarnation: Uint8Array): LogPacking {
  const { encryption, compression } = settings;
  return new LogPacking({ encryption, compression, logId, incarnation });
}

function makeStore(
  common: Common,
  log: Pick<LogParts, "logId" | "incarnation" | "blockBytes" | "counters" | "packing">,
  found: { spares: readonly string[]; highestSpare: number },
): SegmentStore {
  const { io, directory, settings, direct } = common;
  if (settings.segmentBytes < minSegmentBytes(log.blockBytes)) {
    throw new WalError(
      "WAL_ARGUMENT",
      `segmentBytes must be at least ${minSegmentBytes(log.blockBytes)} with blocks of ${log.blockBytes} bytes, not ${settings.segmentBytes}`,
    );
  }
  return new SegmentStore(
    {
      io,
      directory,
      ...log,
      segmentBytes: settings.segmentBytes,
      direct,
      spareLimit: settings.spareSegments,
    },
    found,
  );
}

async function createLog(
  common: Common,
  incarnation: Uint8Array,
  opened: { close(): Promise<void> }[],
): Promise<LogParts> {
  const { io, directory, settings, direct, capabilities } = common;
  await syncPath(io, directory);
  const blockBytes =
    settings.blockBytes ??
    Math.min(MAX_BLOCK_BYTES, Math.max(DEFAULT_BLOCK_BYTES, capabilities.physicalBlockBytes));
  const logId = io.random(16);
  const packing = packingOf(common, logId, incarnation);
  opened.push(packing);
  const log = { logId, incarnation, packing, blockBytes, counters: new Counters() };
  const store = makeStore(common, log, { spares: [], highestSpare: 0 });
  opened.push(store);
  await store.ensureSpare(true);
  const spare = store.takeSpare();
  if (spare === undefined) throw new Error("a spare that has just been prepared is gone");
  const { startLsn } = settings;
  const preamble = store.preambleFor(spare, {
    sequence: 1,
    firstLsn: startLsn,
    firstFrameNumber: 1,
    previousSequence: 0,
    previousFrameNumber: 0,
    previousLsn: startLsn - 1,
    previousChecksum: 0n,
    previousEnd: 0,
    previousTag: NO_TAG,
  });
  // From its name on there is a log here.
  await store.activate(spare, preamble);
  const anchor = await AnchorFile.create(io, `${directory}/${ANCHOR_NAME}`, log.logId, {
    direct,
    blockBytes,
    packing,
  });
  opened.push(anchor);
  await anchor.write(() => ({ trimLsn: 0, watermark: 1, durableLsn: startLsn - 1, sequence: 1 }));
  await io.syncDirectory(directory);
  return {
    ...log,
    store,
    anchor,
    trimLsn: 0,
    position: {
      offset: FRAMES_START,
      frameNumber: 1,
      nextLsn: startLsn,
      chain: 0n,
      tag: preambleTag(preamble),
    },
    tip: { lsn: startLsn - 1 },
    highestSequence: 1,
    created: true,
    report: undefined,
  };
}

async function continueLog(
  common: Common,
  incarnation: Uint8Array,
  recovered: RecoveredLog,
  opened: { close(): Promise<void> }[],
): Promise<LogParts> {
  const { io, directory, settings, direct } = common;
  const { blockBytes, logId, position, trimLsn } = recovered;
  if (settings.blockBytes !== undefined && settings.blockBytes !== blockBytes) {
    throw new WalError(
      "WAL_ARGUMENT",
      `the log has blocks of ${blockBytes} bytes; blockBytes can't make them ${settings.blockBytes}`,
    );
  }
  const packing = packingOf(common, logId, incarnation);
  opened.push(packing);
  const log = { logId, incarnation, packing, blockBytes, counters: new Counters() };
  const usable = recovered.segmentBytes === settings.segmentBytes;
  if (!usable) for (const name of recovered.spares) await io.unlink(`${directory}/${name}`);
  const store = makeStore(common, log, {
    spares: usable ? recovered.spares : [],
    highestSpare: recovered.highestSpare,
  });
  opened.push(store);
  await store.openActive(recovered.segments);

  const anchorPath = `${directory}/${ANCHOR_NAME}`;
  let anchor: AnchorFile;
  if (recovered.anchor === undefined) {
    // The log's creation was interrupted before it had one.
    await io.unlink(anchorPath).catch((error: unknown) => {
      if (!(error instanceof IoError) || error.code !== "IO_NOT_FOUND") throw error;
    });
    anchor = await AnchorFile.create(io, anchorPath, logId, { direct, blockBytes, packing });
    opened.push(anchor);
    await anchor.write(() => ({
      trimLsn,
      watermark: position.frameNumber,
      durableLsn: position.nextLsn - 1,
      sequence: recovered.highestSequence,
    }));
    await io.syncDirectory(directory);
  } else {
    const last = { generation: recovered.anchor.generation, trimLsn };
    anchor = await AnchorFile.open(io, anchorPath, logId, { direct, blockBytes, packing, last });
    opened.push(anchor);
    // Frames without records were lost, and their numbers are given out again. Recovery has no key to say so with.
    if (recovered.anchor.encryption !== undefined && recovered.anchor.watermark > position.frameNumber) {
      await anchor.write(() => ({
        trimLsn,
        watermark: position.frameNumber,
        durableLsn: position.nextLsn - 1,
        sequence: recovered.highestSequence,
      }));
    }
  }
  return {
    ...log,
    store,
    anchor,
    trimLsn,
    position,
    tip: recovered.tip,
    highestSequence: recovered.highestSequence,
    created: false,
    report: recovered.report,
  };
}

/** Opens the double-write buffer. Recovery has put home all that was needed of it. */
async function openProtection(common: Common, blockBytes: number): Promise<Dwb | undefined> {
  const { io, settings, dwbMode } = common;
  if (dwbMode === "off") return undefined;
  const { path, slots, slotBytes } = settings.dwb;
  return openReleased({ io, path, mode: dwbMode, slots, slotBytes, blockBytes });
}
