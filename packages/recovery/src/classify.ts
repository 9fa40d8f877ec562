import type { DwbImages } from "@stonewal/dwb";
import {
  type Anchor,
  type FrameHeader,
  type FrameUnpacker,
  type OpenBody,
  paddedFrameBytes,
} from "@stonewal/record";
import { sameBytes } from "./directory.js";
import { type DiskAccess, openDisk } from "./disk.js";
import { headersIn } from "./dwb-copies.js";
import type { Stop } from "./frame-scan.js";
import { isElsewhere } from "./misplaced-frame.js";
import type { Corruption, Position } from "./model.js";
import { identityOf } from "./segment-scan.js";
import { intactFrames, type Tail } from "./tail.js";
import type { Problem, WalkedSegment } from "./walk.js";

/** The remains of an interrupted write behind the end of the log. */
export interface Tear {
  readonly path: string;
  readonly sequence: number;
  readonly offset: number;
  /** [from, to), to be zeroed before anything is appended. */
  readonly clear: readonly (readonly [number, number])[];
  /** Intact in themselves, but behind a hole. */
  readonly frames: readonly FrameHeader[];
  /** Whether an interrupted write is proven: what a recycled file's former life left there does not count. */
  readonly torn: boolean;
}

export interface EndOfLog {
  readonly access: DiskAccess;
  readonly live: boolean;
  readonly dwbPath: string;
  readonly dwb: DwbImages | undefined;
  readonly anchor: Anchor | undefined;
  readonly segment: WalkedSegment;
  readonly tail: Tail;
  readonly stop: Stop;
  /** Unpacks the segment's frames; without, the structure is to do. */
  readonly unpacker: FrameUnpacker | undefined;
  readonly position: Position;
  readonly lastFrame: FrameHeader | undefined;
  readonly lastOpen: OpenBody | undefined;
  readonly closedCleanly: boolean;
}

export interface EndVerdict {
  readonly problems: readonly Problem[];
  readonly repairable: readonly Corruption[];
  readonly tear: Tear | undefined;
}

/**
 * Decides what the first position without a valid frame is: the end of what was acknowledged, or a hole in it.
 * Neither the scan nor the double-write buffer has a frame for it.
 */
export async function judgeEnd(end: EndOfLog): Promise<EndVerdict> {
  const problem = missingBuffer(end) ?? unreadableEnd(end) ?? unsoundEnd(end);
  if (problem !== undefined) return { problems: [problem], repairable: [], tear: undefined };
  const witnesses = findWitnesses(end);
  const harmless = onlyWitnessesLost(end, witnesses);
  if (witnesses.some && !harmless) {
    const problem = await named(end, corruption(end, witnesses));
    return { problems: [problem], repairable: [], tear: undefined };
  }
  const tear = await tearOf(end);
  const undecided = undecidable(end, tear.torn || harmless);
  if (undecided !== undefined) return { problems: [undecided], repairable: [], tear: undefined };
  const repairable: Corruption[] = [];
  const { file } = end.segment;
  if (harmless) {
    const { offset, frameNumber } = end.position;
    const message = `${file.name} at ${offset}: frame ${frameNumber}, which held no record, is damaged`;
    repairable.push({ code: "WAL_CORRUPT", message, file: file.path, offset, frameNumber, repairable: true });
  } else if (end.closedCleanly && tear.torn && !(await isTornOpenFrame(end, tear))) {
    const offset = tear.clear[0]?.[0] ?? tear.offset;
    const message = `${file.name} at ${offset}: there is something behind the end of a log that was closed`;
    repairable.push({ code: "WAL_CORRUPT", message, file: file.path, offset, repairable: true });
  }
  return { problems: [], repairable, tear: tear.clear.length > 0 ? tear : undefined };
}

interface Witnesses {
  /** In the segment itself, behind the position. */
  readonly home: readonly FrameHeader[];
  readonly dwb: readonly FrameHeader[];
  readonly anchor: boolean;
  readonly some: boolean;
}

/**
 * Everything that says that the frame missing at the position had been durable. A header is believed by its own checksum,
 * even where its body is torn: the header is what states the watermark, and it was true when it was built. Asking for the
 * body too would let a crash that tears the one frame behind a rotten block hide that the block had been acknowledged.
 */
function findWitnesses(end: EndOfLog): Witnesses {
  const missing = end.position.frameNumber;
  const proves = (header: FrameHeader) => header.frameNumber > missing && header.watermark > missing;
  const home = end.tail.headers.filter(proves);
  const dwb = end.dwb === undefined ? [] : headersIn(end.dwb, end.segment.preamble.logId).filter(proves);
  const anchor = (end.anchor?.watermark ?? 0) > missing;
  return { home, dwb, anchor, some: home.length > 0 || dwb.length > 0 || anchor };
}

/**
 * Frames without records bear witness and hold nothing: where only such are missing, nothing that was acknowledged is. Every
 * trace behind the position says so by itself: none has a record, and none knows of an LSN that the position does not. So
 * a closed log is not refused for a damaged byte in one of its close frames.
 */
function onlyWitnessesLost(end: EndOfLog, witnesses: Witnesses): boolean {
  const { frameNumber, nextLsn } = end.position;
  const copies = end.dwb === undefined ? [] : headersIn(end.dwb, end.segment.preamble.logId);
  for (const header of [...end.tail.headers, ...copies]) {
    if (header.frameNumber <= frameNumber) continue;
    if (header.recordCount > 0 || header.firstLsn > nextLsn) return false;
  }
  return witnesses.some && (end.anchor?.durableLsn ?? 0) < nextLsn;
}

function corruption(end: EndOfLog, witnesses: Witnesses): Problem {
  const { position, segment, anchor } = end;
  const { file } = segment;
  const { frameNumber, nextLsn, offset } = position;
  const survivors = [...witnesses.home, ...witnesses.dwb].map((header) => header.firstLsn);
  const lastLsn = survivors.length > 0 ? Math.min(...survivors) - 1 : anchor!.durableLsn;
  const lost = lastLsn >= nextLsn ? { firstLsn: nextLsn, lastLsn } : {};
  const what = lastLsn >= nextLsn ? `LSN ${nextLsn} to ${lastLsn}` : "no record, but the place of one";
  const details = { file: file.path, sequence: file.sequence, offset, frameNumber, ...lost };
  const later = witnesses.dwb.find((header) => header.sequence > file.sequence);
  if (later !== undefined && witnesses.home.length === 0) {
    const message = `segment ${later.sequence} is missing: the double-write buffer holds acknowledged frames of it`;
    return { code: "WAL_MISSING_SEGMENT", message, details: { ...details, sequence: later.sequence } };
  }
  const says =
    witnesses.home.length > 0
      ? "a later frame"
      : witnesses.dwb.length > 0
        ? "the double-write buffer"
        : "the anchor";
  const reason = end.stop.kind === "invalid" ? end.stop.what : "nothing follows";
  const message = `${file.name} at ${offset}: frame ${frameNumber} is damaged (${reason}), and ${says} says that it had been acknowledged: ${what}`;
  return { code: "WAL_CORRUPT", message, details };
}

/** Commits may have been acknowledged by nothing but a buffer that isn't there. */
function missingBuffer(end: EndOfLog): Problem | undefined {
  const { lastOpen, lastFrame, dwb, dwbPath, live } = end;
  // Before a close frame everything has been written home.
  if (live || lastOpen?.ack !== "dwb" || lastFrame?.kind === "close") return undefined;
  if (dwb?.id !== undefined && sameBytes(dwb.id, lastOpen.dwbId)) return undefined;
  const what = dwb === undefined ? "is not there" : "is another one";
  const message = `the double-write buffer that acknowledged this log's commits ${what}: ${dwbPath}; it may lie elsewhere`;
  return { code: "WAL_DWB_MISSING", message, details: { file: dwbPath, firstLsn: end.position.nextLsn } };
}

function unreadableEnd(end: EndOfLog): Problem | undefined {
  const { stop, position, segment } = end;
  if (stop.kind !== "unreadable") return undefined;
  const { file } = segment;
  const message = `${file.name} at ${stop.offset}: the device can't read frame ${position.frameNumber}, and there is no copy of it`;
  const { frameNumber, nextLsn } = position;
  const details = {
    file: file.path,
    sequence: file.sequence,
    offset: stop.offset,
    frameNumber,
    firstLsn: nextLsn,
  };
  return { code: "WAL_UNREADABLE", message, details };
}

/** Its checksums are right, and it is in its place in the chain: no crash leaves that, so it takes no witness to refuse. */
function unsoundEnd(end: EndOfLog): Problem | undefined {
  const { stop, position, segment } = end;
  if (stop.kind !== "unsound") return undefined;
  const { file } = segment;
  const { frameNumber, offset, nextLsn: firstLsn } = position;
  const message = `${file.name} at ${offset}: frame ${frameNumber} is not the log's: ${stop.what}`;
  const details = { file: file.path, sequence: file.sequence, offset, frameNumber, firstLsn };
  return { code: stop.code, message, details };
}

/** Damage that is an authentic frame of another place is told as that. */
async function named(end: EndOfLog, problem: Problem): Promise<Problem> {
  const { access, segment, position, unpacker } = end;
  if (problem.code !== "WAL_CORRUPT") return problem;
  const disk = await openDisk(access, segment.file.path);
  try {
    const moved = await isElsewhere(disk, identityOf(segment.preamble, disk), position.offset, unpacker);
    if (moved === undefined) return problem;
    return {
      ...problem,
      code: "WAL_REPLAYED",
      message: `${segment.file.name} at ${position.offset}: ${moved}`,
    };
  } finally {
    await disk.close();
  }
}

/** Without a witness the tail is dropped, unless one may lie in what the device refuses to read. */
function undecidable(end: EndOfLog, traces: boolean): Problem | undefined {
  const { tail, segment, position, dwb, dwbPath, lastFrame, lastOpen } = end;
  const { frameNumber, nextLsn: firstLsn } = position;
  const [unreadable] = tail.unreadable;
  if (unreadable !== undefined) {
    const { file } = segment;
    const [offset] = unreadable;
    const message = `${file.name} at ${offset}: the device can't read what may show whether frame ${frameNumber} had been acknowledged`;
    const details = { file: file.path, sequence: file.sequence, offset, frameNumber, firstLsn };
    return { code: "WAL_UNREADABLE", message, details };
  }
  // A slot can hold the only copy of a commit that it acknowledged, or a witness for a torn frame; not so where a log
  // that acknowledges by its own sync ends cleanly, nor behind a close frame, before which everything was at home.
  const matters = lastFrame?.kind !== "close" && (traces || lastOpen?.ack === "dwb");
  if (dwb === undefined || dwb.unreadableSlots.length === 0 || !matters) return undefined;
  const message = `${dwbPath}: the device can't read slot ${dwb.unreadableSlots.join(", ")}, which may hold frame ${frameNumber}`;
  return { code: "WAL_UNREADABLE", message, details: { file: dwbPath, frameNumber, firstLsn } };
}

/** A tear leaves sectors as they were, as they should be, zero or in disorder; rot changes a few bits. */
const ROT_BYTES = 8;

/**
 * Behind a closed log nothing is in flight, except the first write of the next opening: its open frame, of one block. What lies
 * elsewhere, or is less than a torn sector makes, is damage to bytes that should be zero. It matters for what is reported only.
 */
async function isTornOpenFrame(end: EndOfLog, tear: Tear): Promise<boolean> {
  const { blockBytes } = end.segment.preamble;
  if (tear.clear.some(([, to]) => to > tear.offset + blockBytes)) return false;
  const disk = await openDisk(end.access, tear.path);
  try {
    const arena = disk.arena(blockBytes);
    await disk.read(arena, tear.offset, blockBytes);
    return arena.bytes.reduce((count, byte) => count + (byte === 0 ? 0 : 1), 0) > ROT_BYTES;
  } finally {
    await disk.close();
  }
}

async function tearOf(end: EndOfLog): Promise<Tear> {
  const { segment, tail, access } = end;
  const { preamble, file } = segment;
  const { blockBytes, segmentBytes, recycled } = preamble;
  const clear = recycled
    ? merged([
        // The block at the end too, so that what is behind a log's end never begins with anything.
        ...tail.nonZero
          .filter(([from]) => from === tail.offset)
          .map(([from]) => [from, from + blockBytes] as const),
        ...tail.headers.map((header) => extent(header, blockBytes, segmentBytes)),
      ])
    : tail.nonZero;
  const torn = recycled ? tail.headers.length > 0 : tail.nonZero.length > 0;
  const found = { path: file.path, sequence: file.sequence, offset: tail.offset, clear, torn };
  if (tail.headers.length === 0) return { ...found, frames: [] };
  const disk = await openDisk(access, file.path);
  try {
    const frames = await intactFrames(disk, identityOf(preamble, disk), tail.headers, access.io.checksum);
    return { ...found, frames };
  } finally {
    await disk.close();
  }
}

function extent(header: FrameHeader, blockBytes: number, segmentBytes: number): readonly [number, number] {
  const end = header.offset + paddedFrameBytes(header.length, blockBytes);
  return [header.offset, Math.min(end, segmentBytes)];
}

function merged(ranges: (readonly [number, number])[]): (readonly [number, number])[] {
  const result: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}
