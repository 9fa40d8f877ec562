import { type IoBackend, IoError, type IoFile, type Region, type Step } from "@stonewal/io";
import {
  ANCHOR_NAME,
  type Anchor,
  asideName,
  encodeAnchor,
  encodePreamble,
  PREAMBLE_COPY_OFFSET,
  paddedFrameBytes,
} from "@stonewal/record";
import type { Tear } from "./classify.js";
import { readAnchor } from "./copies.js";
import { listLog } from "./directory.js";
import { type DiskAccess, openDisk, SMALLEST_BLOCK } from "./disk.js";
import { RecoveryError } from "./errors.js";
import { type Examination, examine, refuseProblems } from "./examine.js";
import { look } from "./look.js";
import type { RecoveredLog, RecoverOptions, RecoveryReport, SavedAside } from "./model.js";
import { placeOf, reportOf, superfluous } from "./report.js";

/**
 * Makes a log ready to be appended to: examines it, writes home what the double-write buffer has and the log has not,
 * mends copies, saves aside and clears what an interrupted write left behind the end, and removes files that are no part of
 * the log any more. Everything that is returned is durable. Needs no free space, and may be interrupted anywhere and run again.
 *
 * The caller holds the log's lock. `undefined`: there is no log yet; what an interrupted creation left has been removed.
 *
 * @throws RecoveryError for everything in `RecoveryErrorCode` that keeps a log from being opened; nothing has been changed then.
 */
export async function recoverLog(options: RecoverOptions): Promise<RecoveredLog | undefined> {
  const found = await examine({ ...options, live: false });
  if (found === undefined) {
    await removeDebris(options);
    return undefined;
  }
  try {
    return await repaired(found, options.withoutDwb === true);
  } finally {
    found.keys.destroy();
  }
}

async function repaired(found: Examination, withoutDwb: boolean): Promise<RecoveredLog> {
  refuseProblems(found, withoutDwb);
  const removed = superfluous(found, await spareSizes(found));
  // Each step leaves a log that is recovered to the same end if this one is cut short here.
  for (const [path, writes] of homeWrites(found)) await writeDurably(found.access, path, writes);
  await mendPreambles(found);
  const aside = await saveAside(found);
  if (found.tear !== undefined) await zero(found.access, found.tear.path, found.tear.clear);
  for (const { file, ranges } of found.untidy) await zero(found.access, file.path, ranges);
  // Before anything below the trim point is removed both copies have to say so: the next write of the anchor may tear one.
  const anchor = await mendAnchor(found);
  await removePaths(
    found.io,
    found.directory,
    removed.map((name) => `${found.directory}/${name}`),
  );
  return recovered(found, anchor, removed, aside);
}

/**
 * What `recoverLog` would do, changing nothing. `undefined` where there is no log. Beside a running writer: what is damaged, and not what
 * that has in flight.
 */
export async function planRecovery(options: RecoverOptions): Promise<RecoveryReport | undefined> {
  const sight = await look(options).catch((error: unknown) => {
    if (error instanceof RecoveryError && error.code === "WAL_NOT_FOUND") return undefined;
    throw error;
  });
  if (sight === undefined) return undefined;
  const { found, live } = sight;
  found.keys.destroy();
  // A writer at work has long opened its own.
  refuseProblems(found, live || options.withoutDwb === true);
  if (!live) return reportOf(found, superfluous(found, await spareSizes(found)), undefined);
  const restores = found.restores.filter((restore) => !found.unfinished.includes(restore));
  return reportOf({ ...found, restores, interrupted: [], tear: undefined }, [], undefined);
}

const PIECE_BYTES = 1 << 20;

interface Write {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

async function writing<T>(access: DiskAccess, path: string, use: (file: IoFile) => Promise<T>): Promise<T> {
  const file = await openForWriting(access, path);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** Past the page cache where that is possible: the kernel would write a whole folio back, acknowledged neighbours included. */
async function openForWriting({ io, direct }: DiskAccess, path: string): Promise<IoFile> {
  if (direct) {
    try {
      const file = await io.open(path, { access: "write", direct });
      if (file.alignment <= SMALLEST_BLOCK) return file;
      await file.close();
    } catch (error) {
      if (!(error instanceof IoError && error.code === "IO_UNSUPPORTED")) throw error;
    }
  }
  return io.open(path, { access: "write" });
}

async function writeDurably(access: DiskAccess, path: string, writes: readonly Write[]): Promise<void> {
  const { io } = access;
  await writing(access, path, async (file) => {
    const steps = writes.map(({ offset, bytes }): Step => {
      const arena = io.arena(bytes.length);
      arena.bytes.set(bytes);
      return { kind: "write", file, region: { arena, start: 0, length: bytes.length }, offset };
    });
    await io.submit([...steps, { kind: "sync", file }]);
  });
}

async function zero(access: DiskAccess, path: string, ranges: Tear["clear"]): Promise<void> {
  const { io } = access;
  const longest = Math.max(...ranges.map(([from, to]) => to - from));
  const arena = io.arena(Math.min(PIECE_BYTES, longest));
  await writing(access, path, async (file) => {
    const steps: Step[] = [];
    for (const [from, to] of ranges) {
      for (let offset = from; offset < to; offset += arena.bytes.length) {
        const length = Math.min(arena.bytes.length, to - offset);
        steps.push({ kind: "write", file, region: { arena, start: 0, length }, offset });
      }
    }
    await io.submit([...steps, { kind: "sync", file }]);
  });
}

/** The writes that put back frames, by file, oldest first. */
function homeWrites(found: Examination): Map<string, Write[]> {
  const byPath = new Map<string, Write[]>();
  for (const { path, offset, bytes } of found.restores) {
    const writes = byPath.get(path) ?? [];
    writes.push({ offset, bytes });
    byPath.set(path, writes);
  }
  return byPath;
}

async function mendPreambles(found: Examination): Promise<void> {
  for (const { file, preamble, copies } of found.walk.run) {
    const bytes = copies.some((copy) => copy.state !== "intact") ? encodePreamble(preamble) : undefined;
    for (const [i, copy] of copies.entries()) {
      if (bytes === undefined || copy.state === "intact") continue;
      const offset = i * PREAMBLE_COPY_OFFSET;
      const whole = bytes.subarray(offset, offset + PREAMBLE_COPY_OFFSET);
      await writeDurably(found.access, file.path, [{ offset, bytes: whole }]);
    }
  }
}

/** Answers the anchor that holds from now on. */
async function mendAnchor(found: Examination): Promise<Anchor | undefined> {
  const { copies, path } = found.anchorFile;
  if (copies === "absent") return undefined;
  if (found.anchorFile.anchor === undefined) {
    // Worth nothing: its creation was interrupted. Out of the way of a new one.
    await removePaths(found.io, found.directory, [path]);
    return undefined;
  }
  const anchor = lowered(found.anchorFile.anchor, found);
  const bytes = encodeAnchor(anchor);
  for (const [i, copy] of copies.entries()) {
    if (copy.state === "intact" && sameAnchor(copy.value!, anchor)) continue;
    const offset = i * PREAMBLE_COPY_OFFSET;
    const whole = bytes.subarray(offset, offset + PREAMBLE_COPY_OFFSET);
    await writeDurably(found.access, path, [{ offset, bytes: whole }]);
  }
  return anchor;
}

/**
 * Where only frames without records were lost, their numbers are given out again: an anchor that called those durable would take the
 * next interrupted write for damage.
 */
function lowered(anchor: Anchor, { position, io }: Examination): Anchor {
  // One that is encrypted takes a writer's key. Nothing is appended before there is one, so until then its watermark does no harm.
  if (anchor.watermark <= position.frameNumber || anchor.encryption !== undefined) return anchor;
  const { generation } = anchor;
  const watermark = position.frameNumber;
  return { ...anchor, generation: generation + 1, watermark, time: io.clock.now() };
}

function sameAnchor(a: Anchor, b: Anchor): boolean {
  return a.generation === b.generation;
}

/**
 * Copies intact frames that are about to be cleared into files of their own, for a person to look at: they were never
 * acknowledged, so nothing reads them. Where there is no room the log matters more.
 */
async function saveAside(found: Examination): Promise<SavedAside[]> {
  const { tear, access, directory } = found;
  if (tear === undefined || tear.frames.length === 0) return [];
  const saved: SavedAside[] = [];
  const blockBytes = found.segments.at(-1)!.walked.preamble.blockBytes;
  const source = await openDisk(access, tear.path);
  try {
    for (const header of tear.frames) {
      const place = placeOf(tear.path, header);
      const path = `${directory}/${asideName(header.sequence, header.frameNumber, header.incarnation)}`;
      const bytes = paddedFrameBytes(header.length, blockBytes);
      const arena = access.io.arena(bytes);
      await source.read(arena, header.offset, bytes);
      const reason = await tryToSave(access.io, path, { arena, start: 0, length: bytes });
      saved.push(reason === undefined ? { ...place, savedAs: path } : { ...place, reason });
    }
  } finally {
    await source.close();
  }
  await access.io.syncDirectory(directory);
  return saved;
}

/** Why it could not be saved; `undefined` when it was. */
async function tryToSave(io: IoBackend, path: string, region: Region): Promise<string | undefined> {
  try {
    // What is there under this name is a copy of the same frame, from a recovery that was interrupted; perhaps half of it.
    await unlinkIfThere(io, path);
    const file = await io.open(path, { access: "create" });
    try {
      await io.submit([
        { kind: "write", file, region, offset: 0 },
        { kind: "sync", file },
      ]);
    } finally {
      await file.close();
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof IoError && (error.code === "IO_NO_SPACE" || error.code === "IO_FILE_LIMIT")))
      throw error;
    await unlinkIfThere(io, path);
    return error.message;
  }
}

async function unlinkIfThere(io: IoBackend, path: string): Promise<void> {
  try {
    await io.unlink(path);
  } catch (error) {
    if (!(error instanceof IoError && error.code === "IO_NOT_FOUND")) throw error;
  }
}

async function removePaths(io: IoBackend, directory: string, paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return;
  for (const path of paths) await unlinkIfThere(io, path);
  await io.syncDirectory(directory);
}

/** What an interrupted creation leaves: files without a segment among them. */
async function removeDebris({ io, directory, signal }: RecoverOptions): Promise<void> {
  const listing = await listLog(io, directory);
  if (listing === undefined) return;
  signal?.throwIfAborted();
  const anchor = await readAnchor({ io, direct: false, settle: false }, `${directory}/${ANCHOR_NAME}`);
  const paths = listing.spares.map((spare) => spare.path);
  if (anchor.copies !== "absent") paths.push(anchor.path);
  await removePaths(io, directory, paths);
}

async function spareSizes(found: Examination): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const spare of found.listing.spares) {
    if (spare.unfinished) continue;
    const file = await found.io.open(spare.path, { access: "read" }).catch((error: unknown) => {
      // A writer has come meanwhile, and used it.
      if (error instanceof IoError && error.code === "IO_NOT_FOUND") return undefined;
      throw error;
    });
    if (file === undefined) continue;
    try {
      sizes.set(spare.name, await file.size());
    } finally {
      await file.close();
    }
  }
  return sizes;
}

function recovered(
  found: Examination,
  anchor: Anchor | undefined,
  removed: readonly string[],
  aside: readonly SavedAside[],
): RecoveredLog {
  const segments = found.segments.map(({ walked, end, lastLsn }) => {
    const { name, path, sequence, firstLsn } = walked.file;
    return { name, path, sequence, firstLsn, lastLsn, preamble: walked.preamble, end };
  });
  const { preamble, sequence } = segments.at(-1)!;
  const { spares } = found.listing;
  return {
    logId: preamble.logId,
    blockBytes: preamble.blockBytes,
    segmentBytes: preamble.segmentBytes,
    segments,
    position: found.position,
    anchor,
    trimLsn: found.trimLsn,
    tip: found.tip,
    spares: spares.map((spare) => spare.name).filter((name) => !removed.includes(name)),
    closedCleanly: found.closedCleanly,
    highestSequence: sequence,
    highestSpare: spares.at(-1)?.number ?? 0,
    dwb: found.dwb,
    report: reportOf(found, removed, aside),
  };
}
