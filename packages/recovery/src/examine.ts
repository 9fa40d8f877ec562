import type { DwbImages } from "@stonewal/dwb";
import { type IoBackend, IoError } from "@stonewal/io";
import type { FrameUnpacker } from "@stonewal/record";
import {
  ANCHOR_NAME,
  type Anchor,
  DWB_NAME,
  type FrameHeader,
  frameTag,
  NO_TAG,
  type OpenBody,
} from "@stonewal/record";
import { judgeAnchor } from "./anchor-state.js";
import { authenticate } from "./authenticate.js";
import { lastLsnUpTo, readBeginnings } from "./beginnings.js";
import { judgeEnd, type Tear } from "./classify.js";
import { type AnchorFile, readAnchor } from "./copies.js";
import { type Listing, listLog, type SegmentFile, sameBytes } from "./directory.js";
import { type DiskAccess, openDisk } from "./disk.js";
import { DurableTracker } from "./durable-tracker.js";
import { holdsFrames, readCopies } from "./dwb-copies.js";
import { RecoveryError } from "./errors.js";
import { isElsewhere } from "./misplaced-frame.js";
import { missingLog } from "./missing-log.js";
import type { Corruption, LogLocation, Position, Tip } from "./model.js";
import { SegmentKeys } from "./segment-keys.js";
import {
  type FrameSums,
  identityOf,
  type Restore,
  type SegmentScan,
  scanSegment,
  startOf,
} from "./segment-scan.js";
import { readTail, type Tail } from "./tail.js";
import { type Problem, problemError, type Walk, type WalkedSegment, walkSegments } from "./walk.js";

export interface ExamineOptions extends LogLocation {
  readonly direct?: boolean | undefined;
  /** A writer is at work: sync nothing, and take what is being written for that. */
  readonly live: boolean;
  /** Where the log is encrypted and no keys are given, its structure is to do. */
  readonly structureOnly?: boolean | undefined;
  readonly atLeast?: Tip | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ExaminedSegment {
  readonly walked: WalkedSegment;
  /** Offset behind the last frame that counts. */
  readonly end: number;
  readonly lastLsn: number;
  readonly restores: readonly Restore[];
  readonly sums: Readonly<FrameSums>;
}

export interface UntidyEnd {
  readonly file: SegmentFile;
  /** [from, to), multiples of the block size. */
  readonly ranges: readonly (readonly [number, number])[];
}

/**
 * What a log is, found by reading alone. Everything that opens, verifies, repairs or inspects a log starts from this, so
 * that none of them can come to another verdict than the others.
 */
export interface Examination {
  readonly io: IoBackend;
  readonly access: DiskAccess;
  readonly directory: string;
  readonly dwbPath: string;
  readonly listing: Listing;
  readonly anchorFile: AnchorFile;
  readonly walk: Walk;
  /** To be destroyed by whoever needs it no more. */
  readonly keys: SegmentKeys;
  readonly dwb: DwbImages | undefined;
  /** The part of the log that can be read in order: all of it, if there are no problems. Never empty without problems. */
  readonly segments: readonly ExaminedSegment[];
  readonly position: Position;
  readonly frames: number;
  readonly firstLsn: number;
  readonly trimLsn: number;
  /** Why the log must not be opened: first that it is not the one that was asked for, then the one behind the readable part. */
  readonly problems: readonly Problem[];
  /** What opening for writing puts right without losing a record. */
  readonly repairable: readonly Corruption[];
  /** What it mends besides that: copies that a crash has torn while they were written. */
  readonly interrupted: readonly Corruption[];
  /** Unused space behind the end of an earlier segment that is not zero, though it was never written. */
  readonly untidy: readonly UntidyEnd[];
  readonly restores: readonly Restore[];
  /** Restores of an interrupted commit, rather than of damage. */
  readonly unfinished: readonly Restore[];
  /** What is to be dropped and cleared behind the end. */
  readonly tear: Tear | undefined;
  readonly lastFrame: FrameHeader | undefined;
  readonly closedCleanly: boolean;
  readonly tip: Tip;
  readonly durable: DurableTracker;
}

/**
 * `undefined`: no log, or only what an interrupted creation leaves behind. Rejects with `WAL_ROLLED_BACK` where there is none, and `atLeast` says
 * that there was.
 */
export async function examine(options: ExamineOptions): Promise<Examination | undefined> {
  const { io, directory, atLeast, encryption, structureOnly } = options;
  const keys = new SegmentKeys(encryption, { checksum: io.checksum, structureOnly });
  try {
    const found = await examineLog(options, keys);
    if (found !== undefined || atLeast === undefined) return found;
    throw missingLog(directory, atLeast);
  } catch (error) {
    keys.destroy();
    throw error;
  }
}

async function examineLog(options: ExamineOptions, keys: SegmentKeys): Promise<Examination | undefined> {
  const { io, directory, live, signal } = options;
  const listing = await listLog(io, directory);
  if (listing === undefined) return undefined;
  const access = await accessOf(options);
  const dwbPath = options.dwbPath ?? `${directory}/${DWB_NAME}`;
  // A name that a crash could still take back is not there yet.
  if (access.settle) await io.syncDirectory(directory);
  const anchorFile = await readAnchor(access, `${directory}/${ANCHOR_NAME}`);
  if (listing.segments.length === 0) {
    const traces = await tracesOfLog(options, anchorFile, dwbPath);
    if (traces === undefined) return undefined;
    throw new RecoveryError("WAL_MISSING_SEGMENT", `${directory} has ${traces}, and not one segment`, {
      file: directory,
      lastLsn: anchorFile.anchor?.durableLsn,
    });
  }
  const trimLsn = anchorFile.anchor?.trimPoint ?? 0;
  const walked = await walkSegments(access, listing.segments, {
    trimLsn,
    logId: anchorFile.anchor?.logId,
    newestSequence: anchorFile.anchor?.sequence ?? 0,
  });
  const walk = await authenticate(walked, anchorFile, keys);
  const dwb = await readCopies(io, dwbPath, access.settle);
  signal?.throwIfAborted();

  const scanned = await withoutCut(
    await scanRun(access, walk, { dwb, keys, trimLsn, signal, atLeast: options.atLeast }),
    walk,
    { access, listing, anchor: anchorFile.anchor },
  );
  const { segments, position, lastFrame, lastOpen, durable } = scanned;
  durable.raise(anchorFile.anchor?.watermark ?? 0);
  // Where a file ends too early, what a scan finds missing in it is only the consequence.
  const problems: Problem[] = [
    ...walk.problems.map((problem) => bounded(problem, position)),
    ...scanned.problems,
  ].sort((a, b) => (a.details.sequence ?? 0) - (b.details.sequence ?? 0));
  const repairable: Corruption[] = [...preambleRepairs(walk), ...scanned.untidy.map(untidyEntry)];
  const anchor = anchorFile.anchor;
  // A segment behind the close frames was begun by the next opening.
  const closedCleanly =
    lastFrame?.kind === "close" &&
    lastFrame.sequence === segments.at(-1)?.walked.file.sequence &&
    anchor !== undefined &&
    anchor.watermark > lastFrame.frameNumber;
  const records = position.nextLsn - scanned.firstLsn;
  const anchorVerdict = judgeAnchor(anchorFile, walk, { lastFrame, records, closedCleanly });
  if (anchorVerdict.problem !== undefined) problems.push(anchorVerdict.problem);
  const tip: Tip = { lsn: position.nextLsn - 1, tag: scanned.tipTag };
  repairable.push(...anchorVerdict.repairable);

  let tear: Tear | undefined;
  if (problems.length === 0) {
    const verdict = await judgeEnd({
      access,
      live,
      dwbPath,
      dwb,
      anchor,
      segment: segments.at(-1)!.walked,
      tail: scanned.tail!,
      stop: scanned.stop!,
      unpacker: scanned.unpacker,
      position,
      lastFrame,
      lastOpen,
      closedCleanly,
    }).catch((error: unknown) => {
      if (!(error instanceof IoError && error.code === "IO_NOT_FOUND")) throw error;
      return { problems: [vanished(segments.at(-1)!.walked)], repairable: [], tear: undefined };
    });
    problems.push(...verdict.problems);
    repairable.push(...verdict.repairable);
    tear = verdict.tear;
  }
  if (options.atLeast !== undefined) {
    const problem = rolledBack(directory, options.atLeast, tip, scanned, problems.length > 0);
    // Before all damage: it says of the readable part too that it isn't the log that was asked for.
    if (problem !== undefined) problems.unshift(problem);
  }

  const restores = segments.flatMap((segment) => segment.restores);
  const inLast = new Set(segments.at(-1)?.restores);
  // With the DWB acknowledging, a home write may lag behind; otherwise what a later frame calls durable was at home.
  const lagging = lastOpen?.ack === "dwb" && !closedCleanly;
  const unfinished = restores.filter(
    (restore) =>
      inLast.has(restore) && (lagging || (!closedCleanly && durable.watermark <= restore.header.frameNumber)),
  );
  for (const restore of restores) if (!unfinished.includes(restore)) repairable.push(restoreEntry(restore));

  return {
    io,
    access,
    directory,
    dwbPath,
    listing,
    anchorFile,
    walk,
    keys,
    dwb,
    segments,
    position,
    frames: scanned.frames,
    firstLsn: scanned.firstLsn,
    trimLsn,
    problems,
    repairable,
    interrupted: anchorVerdict.interrupted,
    untidy: scanned.untidy,
    restores,
    unfinished,
    tear,
    lastFrame,
    closedCleanly,
    tip,
    durable,
  };
}

async function accessOf(options: ExamineOptions): Promise<DiskAccess> {
  const { io, directory, live } = options;
  const direct = options.direct !== false && (await io.probe(directory)).direct !== undefined;
  return { io, direct, settle: !live };
}

/** Throws the first reason not to open the log for writing. */
export function refuseProblems(found: Examination, withoutDwb: boolean): void {
  const first = found.problems[0] ?? (withoutDwb ? undefined : foreignDwb(found));
  if (first !== undefined) throw problemError(first);
}

/** That what lies in the double-write buffer's place is not one. Not a problem for whoever reads, nor for who opens the log without one. */
export function foreignDwb({ dwb, dwbPath }: Examination): Problem | undefined {
  if (dwb === undefined || dwb.recognised) return undefined;
  const message = `${dwbPath} is not a double-write buffer: the log is not opened with one until that has been moved away`;
  return { code: "DWB_DAMAGED", message, details: { file: dwbPath } };
}

interface ScannedRun {
  readonly segments: readonly ExaminedSegment[];
  readonly position: Position;
  readonly stop: SegmentScan["stop"] | undefined;
  readonly tail: Tail | undefined;
  readonly frames: number;
  readonly firstLsn: number;
  readonly lastFrame: FrameHeader | undefined;
  readonly lastOpen: OpenBody | undefined;
  readonly problems: readonly Problem[];
  readonly untidy: readonly UntidyEnd[];
  readonly durable: DurableTracker;
  /** Unpacks the frames of the last segment. */
  readonly unpacker: FrameUnpacker | undefined;
  /** Tag of the last frame with records. */
  readonly tipTag: Uint8Array | undefined;
  /** Tag of the frame that holds the LSN of `atLeast`. */
  readonly heldTag: Uint8Array | undefined;
}

const NOWHERE: Position = { offset: 0, frameNumber: 0, nextLsn: 0, chain: 0n, tag: NO_TAG };

async function scanRun(
  access: DiskAccess,
  walk: Walk,
  task: {
    readonly dwb: DwbImages | undefined;
    readonly keys: SegmentKeys;
    readonly trimLsn: number;
    readonly signal: AbortSignal | undefined;
    readonly atLeast: Tip | undefined;
  },
): Promise<ScannedRun> {
  const { dwb, keys, trimLsn, signal } = task;
  const { run } = walk;
  const first = run[0]?.preamble;
  const firstLsn = first === undefined ? trimLsn + 1 : Math.max(trimLsn + 1, first.firstLsn);
  const durable = new DurableTracker({
    frameNumber: (first?.firstFrameNumber ?? 1) - 1,
    lsn: (first?.firstLsn ?? 1) - 1,
  });
  const segments: ExaminedSegment[] = [];
  const problems: Problem[] = [];
  const untidy: UntidyEnd[] = [];
  let position = NOWHERE;
  let stop: SegmentScan["stop"] | undefined;
  let tail: Tail | undefined;
  let frames = 0;
  let lastFrame: FrameHeader | undefined;
  let lastOpen: OpenBody | undefined;
  let unpacker: FrameUnpacker | undefined;
  let tipTag: Uint8Array | undefined;
  let heldTag: Uint8Array | undefined;
  const heldLsn = task.atLeast?.lsn ?? 0;
  const onFrame = (header: FrameHeader) => {
    durable.add(header);
    if (header.recordCount === 0) return;
    tipTag = header.packed?.encrypted ? frameTag(header) : undefined;
    if (header.firstLsn <= heldLsn && heldLsn < header.nextLsn) heldTag = tipTag;
  };
  for (const [i, walked] of run.entries()) {
    const { file, preamble } = walked;
    const next = run[i + 1]?.preamble;
    unpacker = await keys.unpackerFor(file.path, preamble);
    const disk = await openDisk(access, file.path).catch((error: unknown) => {
      if (error instanceof IoError && error.code === "IO_NOT_FOUND") return undefined;
      throw error;
    });
    if (disk === undefined) {
      problems.push(vanished(walked));
      break;
    }
    const identity = identityOf(preamble, disk);
    try {
      const scan = await scanSegment({
        file: disk,
        identity,
        start: startOf(preamble),
        next,
        dwb,
        checksum: access.io.checksum,
        unpacker,
        signal,
        onFrame,
      });
      frames += scan.sums.frames;
      lastFrame = scan.lastFrame ?? lastFrame;
      lastOpen = scan.lastOpen ?? lastOpen;
      ({ position, stop } = scan);
      const wrong =
        next === undefined
          ? undefined
          : wrongEnd(scan, walked, next, await bothAuthentic(keys, walked, run[i + 1]!));
      const lastLsn = next === undefined || wrong !== undefined ? position.nextLsn - 1 : next.previousLsn;
      segments.push({ walked, end: position.offset, lastLsn, restores: scan.restores, sums: scan.sums });
      const reads = next === undefined || wrong !== undefined || isTidyEnd(walked, next, scan);
      const rest = reads ? await readTail(disk, identity, position.offset) : undefined;
      if (wrong !== undefined) {
        const survivor = rest!.headers.find((header) => header.frameNumber > position.frameNumber);
        const moved =
          scan.stop.kind === "invalid" && (await isElsewhere(disk, identity, position.offset, unpacker));
        const judged = moved ? { code: "WAL_REPLAYED" as const, what: moved } : wrong;
        problems.push(problemAt(walked, scan, judged, (survivor?.firstLsn ?? next!.firstLsn) - 1));
        break;
      }
      if (next === undefined) tail = rest;
      else {
        position = { ...position, nextLsn: next.firstLsn };
        // Its name proves every frame before it.
        durable.reset({ frameNumber: next.previousFrameNumber, lsn: next.previousLsn });
        const ranges = rest === undefined ? [] : [...rest.nonZero, ...rest.unreadable];
        if (ranges.length > 0) untidy.push({ file: walked.file, ranges });
      }
    } finally {
      await disk.close();
    }
  }
  return {
    segments,
    position,
    stop,
    tail,
    frames,
    firstLsn,
    lastFrame,
    lastOpen,
    problems,
    untidy,
    durable,
    unpacker,
    tipTag,
    heldTag,
  };
}

/** Behind the readable part of a damaged log lies what may have cut it shorter: what that took away is no part of it. */
async function withoutCut(
  scanned: ScannedRun,
  walk: Walk,
  {
    access,
    listing,
    anchor,
  }: { readonly access: DiskAccess; readonly listing: Listing; readonly anchor: Anchor | undefined },
): Promise<ScannedRun> {
  const last = scanned.segments.at(-1)?.walked;
  if (last === undefined || walk.problems.length + scanned.problems.length === 0) return scanned;
  const { sequence } = last.file;
  const files = listing.segments.filter((file) => file.sequence >= sequence);
  const beginnings = await readBeginnings(access, files, last.preamble.logId);
  const lastLsn = lastLsnUpTo(sequence, beginnings, anchor);
  const { position } = scanned;
  if (lastLsn >= position.nextLsn - 1) return scanned;
  const segments = scanned.segments.map((segment) => {
    const least = segment.walked.preamble.firstLsn - 1;
    return { ...segment, lastLsn: Math.max(least, Math.min(segment.lastLsn, lastLsn)) };
  });
  const nextLsn = Math.max(lastLsn + 1, scanned.firstLsn);
  scanned.durable.bound(nextLsn - 1);
  return { ...scanned, segments, position: { ...position, nextLsn } };
}

/**
 * What about the log contradicts that it once held `atLeast`. What has been trimmed since can't be compared any more, nor can what lies behind
 * damage.
 */
function rolledBack(
  directory: string,
  atLeast: Tip,
  tip: Tip,
  { heldTag, firstLsn }: ScannedRun,
  damaged: boolean,
): Problem | undefined {
  const { lsn, tag } = atLeast;
  if (lsn > tip.lsn) {
    // Where it ends is then no more than where it is damaged.
    if (damaged) return undefined;
    const message = `${directory} ends at LSN ${tip.lsn}, and once held LSN ${lsn}: it is an older copy`;
    return {
      code: "WAL_ROLLED_BACK",
      message,
      details: { file: directory, firstLsn: tip.lsn + 1, lastLsn: lsn },
    };
  }
  if (tag === undefined || lsn < firstLsn || (heldTag !== undefined && sameBytes(heldTag, tag)))
    return undefined;
  const message = `${directory} holds another LSN ${lsn} than it once did: it is a copy with another history`;
  return { code: "WAL_ROLLED_BACK", message, details: { file: directory, firstLsn: lsn } };
}

/** Whether the keys are at hand for two segments that are encrypted: then they have been authenticated. */
async function bothAuthentic(keys: SegmentKeys, ...segments: readonly WalkedSegment[]): Promise<boolean> {
  for (const { file, preamble } of segments) {
    if (preamble.encryption === undefined || !(await keys.unpackerFor(file.path, preamble))) return false;
  }
  return true;
}

/** Whether a scan ended where the next segment says that this one ends; if not, what is wrong. `authentic`: both were authenticated. */
function wrongEnd(
  scan: SegmentScan,
  walked: WalkedSegment,
  next: WalkedSegment["preamble"],
  authentic: boolean,
): WrongEnd | undefined {
  const { position, lastFrame, stop } = scan;
  const frame = `frame ${position.frameNumber}`;
  if (position.frameNumber <= next.previousFrameNumber) {
    if (stop.kind === "invalid") return { code: "WAL_CORRUPT", what: `${frame} is damaged: ${stop.what}` };
    if (stop.kind === "unsound") return { code: stop.code, what: `${frame} is not the log's: ${stop.what}` };
    if (stop.kind === "unreadable")
      return { code: "WAL_UNREADABLE", what: `${frame} can't be read by the device` };
    return { code: "WAL_CORRUPT", what: `${frame} is missing: the segment is full without it` };
  }
  const firstThere = lastFrame?.firstLsn ?? walked.preamble.firstLsn;
  const agrees =
    position.frameNumber === next.previousFrameNumber + 1 &&
    position.offset === next.previousEnd &&
    position.chain === next.previousChecksum &&
    next.previousLsn < position.nextLsn &&
    next.previousLsn >= firstThere - 1;
  if (!agrees) {
    // Whoever has the key has written both so: nothing is damaged, they don't belong together.
    const code = authentic ? "WAL_REPLAYED" : "WAL_CORRUPT";
    return { code, what: `it does not end as segment ${next.sequence} says` };
  }
  if (next.encryption === undefined || sameBytes(next.encryption.previousTag, position.tag)) return undefined;
  return { code: "WAL_REPLAYED", what: `segment ${next.sequence} follows on another end than this one` };
}

interface WrongEnd {
  readonly code: Problem["code"];
  readonly what: string;
}

function problemAt(
  walked: WalkedSegment,
  scan: SegmentScan,
  { code, what }: WrongEnd,
  lastLsn: number,
): Problem {
  const { position, stop } = scan;
  const { file } = walked;
  const offset = stop.kind === "unreadable" ? stop.offset : position.offset;
  const lost = lastLsn >= position.nextLsn ? { firstLsn: position.nextLsn, lastLsn } : {};
  const details = {
    file: file.path,
    sequence: file.sequence,
    offset,
    frameNumber: position.frameNumber,
    ...lost,
  };
  return { code, message: `${file.name} at ${offset}: ${what}`, details };
}

/** Beside a writer a segment may be freed while it is read. */
function vanished({ file, preamble: { firstLsn } }: WalkedSegment): Problem {
  const details = { file: file.path, sequence: file.sequence, firstLsn };
  return { code: "WAL_MISSING_SEGMENT", message: `${file.name} vanished while it was read`, details };
}

/** Whether there must be zeros behind the end of a segment: never was anything there. */
function isTidyEnd(walked: WalkedSegment, next: WalkedSegment["preamble"], scan: SegmentScan): boolean {
  const cut =
    next.firstFrameNumber !== next.previousFrameNumber + 1 || next.firstLsn !== scan.position.nextLsn;
  return !cut && !walked.preamble.recycled;
}

function untidyEntry({ file, ranges }: UntidyEnd): Corruption {
  const offset = Math.min(...ranges.map(([from]) => from));
  const message = `${file.name} at ${offset}: unused space that should be zero is not`;
  return { code: "WAL_CORRUPT", message, file: file.path, offset, repairable: true };
}

function preambleRepairs(walk: Walk): Corruption[] {
  return walk.run.flatMap(({ file, copies }) =>
    copies.flatMap((copy, i): Corruption[] => {
      if (copy.state === "intact") return [];
      const code = copy.state === "unreadable" ? "WAL_UNREADABLE" : "WAL_CORRUPT";
      const message = `${file.name} at ${copy.offset}: copy ${i + 1} of its preamble is ${copy.state}`;
      return [{ code, message, file: file.path, offset: copy.offset, repairable: true }];
    }),
  );
}

function restoreEntry(restore: Restore): Corruption {
  const { header, path, offset } = restore;
  const { frameNumber, firstLsn, nextLsn } = header;
  const message = `${path} at ${offset}: frame ${frameNumber} is damaged; the double-write buffer has it intact`;
  const lost = nextLsn > firstLsn ? { firstLsn, lastLsn: nextLsn - 1 } : {};
  return { code: "WAL_CORRUPT", message, file: path, offset, frameNumber, ...lost, repairable: true };
}

/** A problem above the readable part: the first LSN that it takes away is the one behind that part. */
function bounded(problem: Problem, position: Position): Problem {
  if (position === NOWHERE) return problem;
  const { lastLsn } = problem.details;
  const firstLsn = lastLsn !== undefined && lastLsn < position.nextLsn ? undefined : position.nextLsn;
  return { ...problem, details: { ...problem.details, firstLsn } };
}

/** What shows, where there is no segment, that there was a log once. An interrupted creation leaves no such thing. */
async function tracesOfLog(
  options: ExamineOptions,
  anchorFile: AnchorFile,
  dwbPath: string,
): Promise<string | undefined> {
  const { copies, anchor } = anchorFile;
  if (anchor !== undefined) return "an anchor";
  if (copies !== "absent" && copies.some((copy) => copy.state !== "blank")) return "a damaged anchor";
  // A buffer that lies elsewhere may have served another log.
  if (!dwbPath.startsWith(`${options.directory}/`)) return undefined;
  const dwb = await readCopies(options.io, dwbPath, !options.live);
  return dwb !== undefined && holdsFrames(dwb) ? "frames in its double-write buffer" : undefined;
}
