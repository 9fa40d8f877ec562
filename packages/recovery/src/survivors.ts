import {
  FRAME_HEADER_BYTES,
  FRAMES_START,
  type FrameHeader,
  FrameVerifier,
  frameRecords,
  intactRecords,
  type LogRecord,
  MIN_BLOCK_BYTES,
  type Preamble,
  paddedFrameBytes,
} from "@stonewal/record";
import { type Beginning, lastLsnUpTo, readBeginnings } from "./beginnings.js";
import type { SegmentFile } from "./directory.js";
import { type DiskFile, openDisk } from "./disk.js";
import { framesIn, headersIn } from "./dwb-copies.js";
import type { Examination } from "./examine.js";
import { headerOf, type SegmentIdentity, unpackFrame } from "./frame-scan.js";
import { headlessRecords } from "./headless-records.js";
import { readTail } from "./tail.js";

/** A segment, or what is left of one, behind the readable part of a log. */
interface Place {
  readonly file: SegmentFile;
  readonly identity: SegmentIdentity;
  readonly recycled: boolean;
  /** Where the readable part ends in it, and what its next frame has to begin with, if that is known. */
  readonly from: number;
  readonly nextLsn: number | undefined;
  /** What the segment that follows says about its end: behind it nothing exists. */
  readonly end: Pick<Preamble, "previousFrameNumber" | "previousLsn"> | undefined;
}

/** An intact frame in the double-write buffer. */
interface Copy {
  readonly header: FrameHeader;
  readonly bytes: Uint8Array;
}

const EVERYTHING = { previousFrameNumber: Number.MAX_SAFE_INTEGER, previousLsn: Number.MAX_SAFE_INTEGER };

/**
 * The records behind the readable part of a damaged log that are intact beyond doubt, in the order of their frames. A frame
 * that is damaged in part gives its intact records only where something later shows that it had been durable: half of
 * an interrupted write is nobody's. Of the double-write buffer only what is chained to a frame of the log counts. `known` is told of LSNs
 * which had been durable, whether or not there is anything left of their records.
 */
export async function* survivors(
  found: Examination,
  known: (lsn: number) => void,
): AsyncGenerator<LogRecord[], void, undefined> {
  const logId = await logIdOf(found);
  if (logId === undefined) return;
  const last = found.segments.at(-1)?.walked.file.sequence ?? 0;
  const files = found.listing.segments.filter((file) => file.sequence >= last);
  const beginnings = await readBeginnings(found.access, files, logId);
  const places = placesBehind(found, logId, beginnings);
  const copies = copiesBehind(found, logId);
  const sequences = new Set([...places.keys(), ...copies.map(({ header }) => header.sequence)]);
  let chain = found.position.chain;
  for (const sequence of [...sequences].sort((a, b) => a - b)) {
    const here = copies.filter(({ header }) => header.sequence === sequence);
    const place = places.get(sequence);
    const lastLsn = lastLsnUpTo(sequence, beginnings, found.anchorFile.anchor);
    const counts = (record: LogRecord) => record.lsn <= lastLsn;
    if (place === undefined) {
      if (isCutAway(sequence, beginnings)) continue;
      for (const copy of here) {
        // There may be several of one frame, and some that were never part of the log.
        if (copy.header.chain !== chain) continue;
        chain = copy.header.checksum;
        const records = await unpacked(found, copy.bytes, copy.header, isEncrypted(found));
        yield records.filter(counts);
      }
      continue;
    }
    const disk = await openDisk(found.access, place.file.path);
    try {
      const knownHere = (lsn: number) => known(Math.min(lsn, lastLsn));
      for await (const { records, checksum } of inPlace(found, place, disk, here, chain, knownHere)) {
        chain = checksum;
        yield records.filter(counts);
      }
    } finally {
      await disk.close();
    }
  }
}

interface Fragment {
  readonly records: LogRecord[];
  /** Of the frame they were in, or of the last one known. */
  readonly checksum: bigint;
}

async function* inPlace(
  found: Examination,
  place: Place,
  disk: DiskFile,
  copies: readonly Copy[],
  before: bigint,
  known: (lsn: number) => void,
): AsyncGenerator<Fragment, void, undefined> {
  const { blockBytes } = place.identity;
  const end = place.end ?? EVERYTHING;
  const tail = await readTail(disk, place.identity, place.from);
  const headers = tail.headers.filter((header) => header.frameNumber <= end.previousFrameNumber);
  const proven = Math.max(
    place.end === undefined ? 0 : end.previousFrameNumber + 1,
    found.anchorFile.anchor?.watermark ?? 0,
    ...headers.map((header) => header.watermark),
    ...(found.dwb === undefined
      ? []
      : headersIn(found.dwb, place.identity.logId).map((header) => header.watermark)),
  );
  for (const { frameNumber, watermark, firstLsn, nextLsn } of headers) {
    if (frameNumber < proven) known(nextLsn - 1);
    else if (frameNumber === watermark) known(firstLsn - 1);
  }
  let chain = before;
  let offset = place.from;
  let { nextLsn } = place;
  for (const [i, header] of [...headers, undefined].entries()) {
    // What is missing before this frame: in the buffer, or here without its header.
    for (const copy of copies) {
      const { frameNumber, checksum } = copy.header;
      const between =
        copy.header.offset >= offset && (header === undefined || copy.header.offset < header.offset);
      const linked =
        copy.header.chain === chain || (header?.chain === checksum && header.frameNumber === frameNumber + 1);
      if (!between || !linked) continue;
      chain = checksum;
      nextLsn = copy.header.nextLsn;
      offset = copy.header.offset + paddedFrameBytes(copy.header.length, blockBytes);
      const records = await unpacked(found, copy.bytes, copy.header, place.identity.keyId > 0);
      yield { records, checksum };
    }
    const gapEnd = header?.offset ?? (place.end === undefined ? offset : place.identity.segmentBytes);
    if (offset < gapEnd && nextLsn !== undefined && !place.recycled && place.identity.keyId === 0) {
      const lastLsn = header === undefined ? end.previousLsn : header.firstLsn - 1;
      const records = await headlessRecords(disk, offset, gapEnd, { firstLsn: nextLsn, lastLsn });
      if (records.length > 0) yield { records, checksum: chain };
    }
    if (header === undefined) return;
    const copy = copies.find((candidate) => candidate.header.checksum === header.checksum);
    const records = await recordsOf(found, disk, place, header, header.frameNumber < proven, copy);
    ({ nextLsn, checksum: chain } = header);
    offset = header.offset + paddedFrameBytes(header.length, blockBytes);
    if (records.length > 0 || i === 0) yield { records, checksum: chain };
  }
}

/** The records of a frame whose header is intact: all of them, or those that are where nothing else has them. */
async function recordsOf(
  found: Examination,
  disk: DiskFile,
  { identity }: Place,
  header: FrameHeader,
  proven: boolean,
  copy: Copy | undefined,
): Promise<LogRecord[]> {
  const padded = paddedFrameBytes(header.length, identity.blockBytes);
  const arena = disk.arena(Math.min(padded, identity.segmentBytes - header.offset));
  const read = await disk.read(arena, header.offset, arena.bytes.length);
  const bytes = arena.bytes.subarray(0, read.length);
  // The header again, from the bytes that it is used with.
  const again = headerOf(disk.path, bytes, 0, identity, header.offset);
  if (again === undefined) return [];
  const whole = padded <= bytes.length && isIntact(found, bytes, again, identity.blockBytes);
  if (whole) return unpacked(found, bytes, again, identity.keyId > 0);
  if (copy !== undefined) return unpacked(found, copy.bytes, copy.header, identity.keyId > 0);
  return proven && identity.keyId === 0 ? [...intactRecords(bytes, 0, again, identity.blockBytes)] : [];
}

/** The records of an intact frame; none where it isn't authentic, or can't be unpacked. */
async function unpacked(
  found: Examination,
  bytes: Uint8Array,
  header: FrameHeader,
  encrypted: boolean,
): Promise<LogRecord[]> {
  const { packed } = header;
  if ((packed?.encrypted ?? false) !== encrypted) return [];
  const unpacker = await found.keys.unpackerWith(`frame ${header.frameNumber}`, packed?.keyId ?? 0);
  if (unpacker === undefined) return [];
  const opened = unpackFrame(`frame ${header.frameNumber}`, unpacker, bytes, 0, header);
  return "code" in opened ? [] : [...frameRecords(bytes, 0, header, opened.records)];
}

/** Whether what lies behind the readable part of the log must be encrypted, as far as is known. */
function isEncrypted(found: Examination): boolean {
  const last = found.segments.at(-1)?.walked.preamble ?? found.anchorFile.anchor;
  return last?.encryption !== undefined;
}

function isIntact(found: Examination, bytes: Uint8Array, header: FrameHeader, blockBytes: number): boolean {
  return new FrameVerifier(blockBytes, found.io.checksum).verify(bytes, [{ header, at: 0 }])[0]!;
}

/** Copies of frames behind the readable part, by number, the newest of each first. */
function copiesBehind(found: Examination, logId: Uint8Array): Copy[] {
  const { dwb, position } = found;
  if (dwb === undefined) return [];
  const copies: Copy[] = [];
  const blockBytes = blockBytesOf(found);
  for (const { image, header: stated } of framesIn(dwb, logId)) {
    if (stated.frameNumber < position.frameNumber) continue;
    const bytes = new Uint8Array(paddedFrameBytes(image.length, blockBytes));
    bytes.set(image.stored);
    // The header again, from the bytes that it is used with.
    const header = headerOf("a copy", bytes, 0, stated, stated.offset);
    if (header === undefined || paddedFrameBytes(header.length, blockBytes) > bytes.length) continue;
    if (isIntact(found, bytes, header, blockBytes)) copies.push({ header, bytes });
  }
  return copies.sort((a, b) => a.header.frameNumber - b.header.frameNumber);
}

/** Whether a later segment follows on an earlier one than this. */
function isCutAway(sequence: number, beginnings: readonly Beginning[]): boolean {
  return beginnings.some(
    ({ preamble }) =>
      preamble !== undefined && preamble.previousSequence < sequence && sequence < preamble.sequence,
  );
}

function placesBehind(
  found: Examination,
  logId: Uint8Array,
  beginnings: readonly Beginning[],
): Map<number, Place> {
  const last = found.segments.at(-1)?.walked.file.sequence ?? 0;
  const places = new Map<number, Place>();
  const preambles = beginnings.flatMap(({ preamble }) => preamble ?? []);
  for (const { file, size, preamble } of beginnings) {
    // A segment that is missing can't be told from one that is cut away, but what names it can.
    if (preamble !== undefined && isCutAway(file.sequence, beginnings)) continue;
    // Of several files that claim to be a segment the one counts that says so itself.
    if (places.has(file.sequence) && preamble?.firstLsn !== file.firstLsn) continue;
    const blockBytes = preamble?.blockBytes ?? blockBytesOf(found);
    const segmentBytes = Math.min(preamble?.segmentBytes ?? size, Math.floor(size / blockBytes) * blockBytes);
    const here = file.sequence === last && found.segments.length > 0;
    // One before the last that names it may have been cut away.
    const after = preambles.findLast(({ previousSequence }) => previousSequence === file.sequence);
    places.set(file.sequence, {
      file,
      identity: {
        logId,
        sequence: file.sequence,
        blockBytes,
        segmentBytes,
        keyId: preamble === undefined ? Number(isEncrypted(found)) : (preamble.encryption?.keyId ?? 0),
      },
      recycled: preamble?.recycled ?? true,
      from: here ? found.position.offset : FRAMES_START,
      nextLsn: here ? found.position.nextLsn : preamble?.firstLsn,
      end: after,
    });
  }
  return places;
}

function blockBytesOf(found: Examination): number {
  return found.segments.at(-1)?.walked.preamble.blockBytes ?? MIN_BLOCK_BYTES;
}

/** The log's id, from whatever still says it. */
async function logIdOf(found: Examination): Promise<Uint8Array | undefined> {
  const stated = found.segments.at(-1)?.walked.preamble.logId ?? found.anchorFile.anchor?.logId;
  if (stated !== undefined) return stated;
  const segments = await readBeginnings(found.access, found.listing.segments, undefined);
  const newest = segments.findLast(({ preamble }) => preamble !== undefined)?.preamble;
  if (newest !== undefined) return newest.logId;
  for (const image of found.dwb ?? []) {
    if (image.stored.length >= FRAME_HEADER_BYTES) return image.stored.slice(32, 48);
  }
  return undefined;
}
