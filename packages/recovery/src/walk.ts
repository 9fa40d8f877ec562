import { IoError } from "@stonewal/io";
import { FRAMES_START, type Preamble, preambleTag } from "@stonewal/record";
import { type Copies, readPreambles } from "./copies.js";
import { type SegmentFile, sameBytes } from "./directory.js";
import { type DiskAccess, type DiskFile, openDisk } from "./disk.js";
import { type ErrorDetails, RecoveryError, type RecoveryErrorCode } from "./errors.js";

/** A reason not to open: found while examining, thrown only when everything has been judged. */
export interface Problem {
  readonly code: RecoveryErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

export function problemError({ code, message, details }: Problem): RecoveryError {
  return new RecoveryError(code, message, details);
}

export interface WalkedSegment {
  readonly file: SegmentFile;
  readonly preamble: Preamble;
  readonly copies: Copies<Preamble>;
}

export interface Walk {
  /**
   * Segments that follow on each other without a gap, oldest first, from where the log begins. Without problems it ends
   * with the newest; with, it is what precedes them.
   */
  readonly run: readonly WalkedSegment[];
  /** Segments that are no part of the log: cut away, or freed and not yet removed. */
  readonly voids: readonly SegmentFile[];
  /** Lowest sequence first. */
  readonly problems: readonly Problem[];
}

/** What all segments must agree with. */
export interface LogIdentity {
  readonly trimLsn: number;
  /** The anchor's; without one the newest segment's counts. */
  readonly logId: Uint8Array | undefined;
  /** The newest segment there was when the anchor was written; 0 without an anchor. */
  readonly newestSequence: number;
}

/**
 * Finds the live log from its end: the segment with the highest sequence, the one its preamble names as previous,
 * and so on. A file that the walk does not meet is void, for a segment's name is durable only after everything before it
 * was, and what a preamble says about the past is final.
 */
export async function walkSegments(
  access: DiskAccess,
  files: readonly SegmentFile[],
  identity: LogIdentity,
): Promise<Walk> {
  const bySequence = new Map<number, SegmentFile>();
  for (const file of files) {
    const other = bySequence.get(file.sequence);
    if (other !== undefined) return { run: [], voids: [], problems: [twoFiles(other, file)] };
    bySequence.set(file.sequence, file);
  }
  let logId = identity.logId;
  let run: WalkedSegment[] = [];
  const newest = files.at(-1)?.sequence ?? 0;
  // Nothing else names the last segment. What it held is gone; or it stated a cut, and what it cut away would be back.
  const problems: Problem[] =
    newest < identity.newestSequence ? [newestMissing(identity.newestSequence)] : [];
  const met = new Set<number>();
  let file = files.at(-1);
  while (file !== undefined) {
    met.add(file.sequence);
    const found = await readSegment(access, file, logId);
    for (const problem of found.problems) problems.unshift(problem);
    const { segment } = found;
    if (segment === undefined) {
      // What lies above a gap can't be reached in order any more; what lies below it may still be read.
      run = [];
      file = below(files, file.sequence);
      continue;
    }
    logId ??= segment.preamble.logId;
    run.unshift(segment);
    const { previousSequence, firstLsn, previousLsn } = segment.preamble;
    if (previousSequence === 0 || firstLsn <= identity.trimLsn + 1) break;
    const previous = bySequence.get(previousSequence);
    if (previous === undefined) {
      problems.unshift({
        code: "WAL_MISSING_SEGMENT",
        message: `segment ${previousSequence}, which ${file.name} follows on, is missing`,
        details: { file: file.path, sequence: previousSequence, lastLsn: previousLsn },
      });
      run = [];
      file = below(files, previousSequence);
      continue;
    }
    file = previous;
  }
  const voids = problems.length > 0 ? [] : files.filter((candidate) => !met.has(candidate.sequence));
  return { run, voids, problems };
}

function newestMissing(sequence: number): Problem {
  return {
    code: "WAL_MISSING_SEGMENT",
    message: `segment ${sequence}, the newest one that the anchor knows of, is missing`,
    details: { sequence },
  };
}

function below(files: readonly SegmentFile[], sequence: number): SegmentFile | undefined {
  return files.findLast((candidate) => candidate.sequence < sequence);
}

function twoFiles(a: SegmentFile, b: SegmentFile): Problem {
  return {
    code: "WAL_OVERLAP",
    message: `${a.name} and ${b.name} are both segment ${a.sequence}`,
    details: { file: b.path, sequence: a.sequence },
  };
}

interface FoundSegment {
  readonly segment: WalkedSegment | undefined;
  readonly problems: readonly Problem[];
}

async function readSegment(
  access: DiskAccess,
  file: SegmentFile,
  logId: Uint8Array | undefined,
): Promise<FoundSegment> {
  let disk: DiskFile;
  try {
    disk = await openDisk(access, file.path);
  } catch (error) {
    if (!(error instanceof IoError && error.code === "IO_NOT_FOUND")) throw error;
    return failed(file, "WAL_MISSING_SEGMENT", "vanished while it was opened");
  }
  try {
    const copies = await readPreambles(disk);
    return judge(file, disk.size, copies, logId);
  } finally {
    await disk.close();
  }
}

function judge(
  file: SegmentFile,
  size: number,
  copies: Copies<Preamble>,
  logId: Uint8Array | undefined,
): FoundSegment {
  const valid = copies.filter((copy) => copy.value !== undefined).map((copy) => copy.value!);
  if (valid.length === 0) {
    if (size < FRAMES_START) return failed(file, "WAL_CUT_SHORT", `is only ${size} bytes long`);
    if (copies.some((copy) => copy.state === "unreadable")) {
      return failed(file, "WAL_UNREADABLE", "has no copy of its preamble that the device can read");
    }
    return failed(file, "WAL_CORRUPT", "has no intact copy of its preamble", 0);
  }
  // A file of an earlier life that a lost write left in one copy does not speak for the segment.
  const preamble = valid.find((copy) => copy.sequence === file.sequence && copy.firstLsn === file.firstLsn);
  if (preamble === undefined) {
    const says = `${valid[0]!.sequence} from LSN ${valid[0]!.firstLsn} on`;
    return failed(file, "WAL_OVERLAP", `says that it is segment ${says}`);
  }
  if (logId !== undefined && !sameBytes(preamble.logId, logId)) {
    return failed(file, "WAL_OVERLAP", "belongs to another log");
  }
  const problems: Problem[] = [];
  if (size < preamble.segmentBytes) {
    const message = `is ${size} bytes long, and its preamble says ${preamble.segmentBytes}`;
    problems.push(problemOf(file, "WAL_CUT_SHORT", message, size));
  }
  const judged = copies.map((copy) =>
    copy.value === undefined || samePreamble(copy.value, preamble)
      ? copy
      : ({ ...copy, state: "damaged" } as const),
  );
  return { segment: { file, preamble, copies: [judged[0]!, judged[1]!] }, problems };
}

function samePreamble(a: Preamble, b: Preamble): boolean {
  return (
    a.sequence === b.sequence &&
    a.firstLsn === b.firstLsn &&
    a.previousChecksum === b.previousChecksum &&
    a.previousEnd === b.previousEnd &&
    a.time === b.time &&
    sameBytes(preambleTag(a), preambleTag(b)) &&
    sameBytes(a.logId, b.logId) &&
    sameBytes(a.incarnation, b.incarnation)
  );
}

function failed(file: SegmentFile, code: RecoveryErrorCode, message: string, offset?: number): FoundSegment {
  return { segment: undefined, problems: [problemOf(file, code, message, offset)] };
}

function problemOf(file: SegmentFile, code: RecoveryErrorCode, message: string, offset?: number): Problem {
  const details = { file: file.path, offset, sequence: file.sequence, firstLsn: file.firstLsn };
  return { code, message: `${file.name} ${message}`, details };
}
