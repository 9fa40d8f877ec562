import type { Arena, ChecksumRanges } from "@stonewal/io";
import {
  FRAME_HEADER_BYTES,
  FRAMES_START,
  type FrameHeader,
  type FramePlace,
  type FrameUnpacker,
  FrameVerifier,
  frameTag,
  NO_TAG,
  paddedFrameBytes,
  RecordError,
  readFrameHeader,
} from "@stonewal/record";
import { sameBytes, understood } from "./directory.js";
import { type DiskFile, overlaps, type ReadResult } from "./disk.js";
import type { Position } from "./model.js";
import { keyError } from "./segment-keys.js";

/** What frames of a segment have to agree with, besides the position. */
export interface SegmentIdentity {
  readonly logId: Uint8Array;
  readonly sequence: number;
  readonly blockBytes: number;
  readonly segmentBytes: number;
  /** Of the key that all of its frames are encrypted with; 0: none is. */
  readonly keyId: number;
}

export interface ChunkFrame extends FramePlace {
  /** The records, where the frame stores them compressed or encrypted, and they were asked for. */
  readonly unpacked?: Uint8Array | undefined;
}

/** Frames found valid, in order, with the bytes they lie in. */
export interface FrameChunk {
  readonly bytes: Uint8Array;
  readonly frames: readonly ChunkFrame[];
}

/** Why a scan went no further than its position. */
export type Stop =
  /** The segment is full. */
  | { readonly kind: "full" }
  /** The frame behind the last one that was asked for. */
  | { readonly kind: "limit" }
  /** No valid frame there; `what` says what is wrong. */
  | { readonly kind: "invalid"; readonly what: string }
  /**
   * Intact, and in its place in the chain, yet not what the log's writer put there. No interrupted write leaves that: it is
   * never the end of a log.
   */
  | { readonly kind: "unsound"; readonly code: UnsoundCode; readonly what: string }
  /** The device refuses to read what is there. */
  | { readonly kind: "unreadable"; readonly offset: number };

/** A frame that no crash can have left there. */
export type UnsoundCode = "WAL_TAMPERED" | "WAL_REPLAYED" | "WAL_CORRUPT";

export interface Unsound {
  readonly code: UnsoundCode;
  readonly what: string;
}

export interface ScanOptions {
  /** Unpacks each frame, and so shows that it is authentic. Without, the structure is to do. */
  readonly unpacker: FrameUnpacker | undefined;
  /** Whether what was unpacked is wanted. */
  readonly keep: boolean;
  readonly checksum: ChecksumRanges | undefined;
  /** Bytes read at a time, a multiple of the largest block; more for a larger frame. */
  readonly chunkBytes: number;
  /** Read the next chunk while this one is worked on. */
  readonly ahead: boolean;
}

const FIRST_CHUNK_BYTES = 65536;
/** Bound on what the frames of a chunk unpack to, in chunks; a single frame may be more. */
const UNPACKED_CHUNKS = 4;

interface Loaded extends ReadResult {
  readonly arena: Arena;
  readonly offset: number;
  /** Bytes asked for; `length` is less at the end of the file. */
  readonly asked: number;
}

interface Walked {
  readonly frames: FramePlace[];
  /** Behind the last of them. */
  readonly position: Position;
  readonly stop: Stop | undefined;
  /** Bytes it takes to go on, where the first frame is larger than the chunk; else 0. */
  readonly needed: number;
}

/**
 * Reads the frames of a segment in order, each checked against everything that the one before it says. Hostile bytes
 * cost at most one read of what is left of the segment.
 */
export class FrameScanner {
  readonly #file: DiskFile;
  readonly #segment: SegmentIdentity;
  readonly #options: ScanOptions;
  readonly #verifier: FrameVerifier;
  readonly #free: Arena[] = [];
  #position: Position;
  #stop: Stop | undefined;
  #ahead: { readonly offset: number; readonly bytes: number; readonly loaded: Promise<Loaded> } | undefined;
  #last: Arena | undefined;
  #chunkBytes: number;

  constructor(file: DiskFile, segment: SegmentIdentity, position: Position, options: ScanOptions) {
    this.#file = file;
    this.#segment = segment;
    this.#position = position;
    this.#options = options;
    this.#verifier = new FrameVerifier(segment.blockBytes, options.checksum);
    this.#chunkBytes = Math.min(FIRST_CHUNK_BYTES, options.chunkBytes);
  }

  /** Where the next frame belongs. */
  get position(): Position {
    return this.#position;
  }

  /** Set when `next` has answered `undefined`. */
  get stop(): Stop | undefined {
    return this.#stop;
  }

  /** Nothing of the chunk that came last is in use any more: its memory may be read into again. */
  release(): void {
    if (this.#last !== undefined) this.#free.push(this.#last);
    this.#last = undefined;
  }

  /** Looks again at the place where the scan stopped: something has changed there. */
  resume(): void {
    this.#stop = undefined;
    this.#ahead = undefined;
  }

  /** The next frames, none numbered above `limit`; `undefined` where `stop` says why. */
  async next(limit = Number.MAX_SAFE_INTEGER): Promise<FrameChunk | undefined> {
    if (this.#stop !== undefined) return undefined;
    this.#last = undefined;
    let bytes = this.#chunkBytes;
    for (;;) {
      if (this.#position.frameNumber > limit) return this.#ended({ kind: "limit" });
      if (this.#position.offset >= this.#segment.segmentBytes) return this.#ended({ kind: "full" });
      const loaded = await this.#load(this.#position.offset, bytes);
      const walked = this.#walk(loaded, limit);
      if (walked.needed > 0) {
        bytes = walked.needed;
        this.#free.push(loaded.arena);
        continue;
      }
      this.#chunkBytes = Math.min(this.#options.chunkBytes, 2 * this.#chunkBytes);
      const end = walked.position;
      if (walked.stop === undefined && this.#options.ahead && end.frameNumber <= limit)
        this.#loadAhead(end.offset);
      const verdicts = this.#verifier.verify(loaded.arena.bytes, walked.frames);
      const wrong = verdicts.indexOf(false);
      const intact = wrong === -1 ? walked.frames : walked.frames.slice(0, wrong);
      const { frames, unsound } = this.#unpack(loaded.arena.bytes, intact);
      const ended = walked.frames[frames.length];
      if (ended !== undefined) {
        this.#stop = unsound ?? { kind: "invalid", what: "its contents do not match its checksums" };
        this.#position = before(ended.header);
      } else {
        this.#stop = walked.stop;
        this.#position = end;
      }
      if (frames.length > 0) {
        this.#last = loaded.arena;
        return { bytes: loaded.arena.bytes, frames };
      }
      this.#free.push(loaded.arena);
      if (this.#stop !== undefined) return undefined;
    }
  }

  /** The frames up to the first that can't be unpacked. */
  #unpack(
    bytes: Uint8Array,
    places: readonly FramePlace[],
  ): { frames: readonly ChunkFrame[]; unsound?: Stop } {
    const { unpacker, keep } = this.#options;
    if (unpacker === undefined || places.every(({ header }) => header.packed === undefined)) {
      return { frames: places };
    }
    const frames: ChunkFrame[] = [];
    for (const { header, at } of places) {
      const opened = unpackFrame(this.#file.path, unpacker, bytes, at, header);
      if ("code" in opened) return { frames, unsound: { kind: "unsound", ...opened } };
      frames.push({ header, at, unpacked: keep ? opened.records : undefined });
    }
    return { frames };
  }

  /** Waits for what is being read. Nothing may be asked afterwards. */
  async end(): Promise<void> {
    await this.#ahead?.loaded.catch(() => undefined);
    this.#ahead = undefined;
  }

  #ended(stop: Stop): undefined {
    this.#stop = stop;
    return undefined;
  }

  async #load(offset: number, bytes: number): Promise<Loaded> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined && ahead.offset === offset && ahead.bytes >= bytes) return ahead.loaded;
    await ahead?.loaded.catch(() => undefined);
    return this.#read(offset, bytes);
  }

  #loadAhead(offset: number): void {
    if (offset >= this.#segment.segmentBytes) return;
    const bytes = this.#chunkBytes;
    const loaded = this.#read(offset, bytes);
    // Its failure is that of the call of `next` that asks for it.
    loaded.catch(() => undefined);
    this.#ahead = { offset, bytes, loaded };
  }

  async #read(offset: number, wanted: number): Promise<Loaded> {
    const bytes = Math.min(wanted, this.#segment.segmentBytes - offset);
    const reusable = this.#free.findIndex((arena) => arena.bytes.length >= bytes);
    const arena = reusable === -1 ? this.#file.arena(bytes) : this.#free.splice(reusable, 1)[0]!;
    const result = await this.#file.read(arena, offset, bytes);
    return { arena, offset, asked: bytes, ...result };
  }

  /** Follows the headers through a chunk, as far as whole frames reach; bodies are checked later, all at once. */
  #walk(loaded: Loaded, limit: number): Walked {
    const { segmentBytes, blockBytes } = this.#segment;
    const frames: FramePlace[] = [];
    let unpackedBytes = 0;
    let position = this.#position;
    const walked = (stop?: Stop, needed = 0): Walked => ({ frames, position, stop, needed });
    for (;;) {
      const at = position.offset - loaded.offset;
      if (position.offset >= segmentBytes) return walked({ kind: "full" });
      if (position.frameNumber > limit) return walked({ kind: "limit" });
      if (at > 0 && at + blockBytes > loaded.length) return walked();
      const found = this.#judge(loaded, at, position);
      if ("kind" in found) return walked(found);
      const end = at + paddedFrameBytes(found.header.length, blockBytes);
      if (end > loaded.asked) return walked(undefined, frames.length > 0 ? 0 : end);
      if (end > loaded.length) return walked({ kind: "invalid", what: "the file ends within it" });
      unpackedBytes += found.header.packed?.plainBytes ?? 0;
      if (unpackedBytes > UNPACKED_CHUNKS * this.#options.chunkBytes && frames.length > 0) return walked();
      frames.push(found);
      position = behind(found.header, loaded.offset + end);
    }
  }

  /** The frame at `at` as far as its header tells; or what keeps it from being one. */
  #judge(loaded: Loaded, at: number, position: Position): FramePlace | Stop {
    const { blockBytes, segmentBytes } = this.#segment;
    const { offset } = position;
    if (overlaps(loaded.unreadable, offset, offset + blockBytes)) return { kind: "unreadable", offset };
    const bytes = loaded.arena.bytes.subarray(0, loaded.length);
    const header = headerOf(this.#file.path, bytes, at, this.#segment, offset);
    if (header === undefined) return { kind: "invalid", what: "there is no frame of this segment" };
    const mismatch = unexpected(header, position);
    if (mismatch !== undefined) return { kind: "invalid", what: mismatch };
    const unsound = misplaced(header, position, this.#segment);
    if (unsound !== undefined) return { kind: "unsound", ...unsound };
    if ((header.packed?.plainBytes ?? 0) > segmentBytes - FRAMES_START) {
      return { kind: "unsound", code: "WAL_CORRUPT", what: "it states more records than a segment holds" };
    }
    const end = offset + paddedFrameBytes(header.length, blockBytes);
    if (end > segmentBytes) return { kind: "invalid", what: "it would reach out of the segment" };
    const unreadable = loaded.unreadable.find(([from, to]) => from < end && to > offset);
    if (unreadable !== undefined) return { kind: "unreadable", offset: unreadable[0] };
    return { header, at };
  }
}

const MAGIC = Uint8Array.from("SWFRAME1", (character) => character.charCodeAt(0));

/**
 * The header at `at` if it is one that the log wrote at this place of this segment. Bytes of another log or of a
 * recycled file's former life are passed over before anything else about them can matter: not even a version that
 * is unknown may raise an alarm there.
 */
export function headerOf(
  file: string,
  bytes: Uint8Array,
  at: number,
  segment: Pick<SegmentIdentity, "logId" | "sequence">,
  offset: number,
): FrameHeader | undefined {
  if (at + FRAME_HEADER_BYTES > bytes.length) return undefined;
  for (let i = 0; i < MAGIC.length; i++) if (bytes[at + i] !== MAGIC[i]) return undefined;
  if (!sameBytes(bytes.subarray(at + 32, at + 48), segment.logId)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FRAME_HEADER_BYTES);
  if (view.getBigUint64(64, true) !== BigInt(segment.sequence)) return undefined;
  if (view.getBigUint64(72, true) !== BigInt(offset)) return undefined;
  return understood(file, () => readFrameHeader(bytes, at), offset);
}

/** What about a header is not what the frame before it, or the segment's preamble, makes it be. */
export function unexpected(header: FrameHeader, position: Position): string | undefined {
  if (header.frameNumber !== position.frameNumber) {
    return `it is frame ${header.frameNumber} and not ${position.frameNumber}`;
  }
  if (header.firstLsn !== position.nextLsn)
    return `it begins at LSN ${header.firstLsn}, not ${position.nextLsn}`;
  if (header.chain !== position.chain) return "it does not follow on the frame before it";
  return undefined;
}

/**
 * What about a frame that fits its position can't have been written there by the log's writer: it is not encrypted as its segment is, or
 * it follows on another frame than the one before it. No key is needed to see that.
 */
export function misplaced(
  { packed }: FrameHeader,
  position: Position,
  { keyId }: Pick<SegmentIdentity, "keyId">,
): Unsound | undefined {
  if ((packed?.keyId ?? 0) !== keyId) {
    const what =
      keyId === 0 ? "it is encrypted, in a segment that isn't" : "it is not encrypted with the segment's key";
    return { code: "WAL_TAMPERED", what };
  }
  if (keyId === 0 || sameBytes(packed!.previousTag, position.tag)) return undefined;
  return { code: "WAL_REPLAYED", what: "its tag follows on another frame than the one before it" };
}

/**
 * The records of a verified frame, or what shows that its writer did not write it so.
 *
 * @throws RecoveryError `WAL_KEY_MISSING`; `WAL_UNSUPPORTED_FORMAT` for a compression that this Node.js lacks.
 */
export function unpackFrame(
  file: string,
  unpacker: FrameUnpacker,
  bytes: Uint8Array,
  at: number,
  header: FrameHeader,
): { readonly records: Uint8Array | undefined } | Unsound {
  try {
    return { records: understood(file, () => unpacker.unpack(bytes, at, header), header.offset) };
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    if (error.code === "KEY_MISSING") throw keyError(file, error);
    if (error.code === "NOT_AUTHENTIC") {
      return { code: "WAL_TAMPERED", what: `it was not written with key ${error.keyId}` };
    }
    return { code: "WAL_CORRUPT", what: error.message };
  }
}

/** The position behind a valid frame that ends, with its padding, at `offset`. */
export function behind(header: FrameHeader, offset: number): Position {
  return {
    offset,
    frameNumber: header.frameNumber + 1,
    nextLsn: header.nextLsn,
    chain: header.checksum,
    tag: frameTag(header),
  };
}

/** The position that a frame with a right header takes. */
function before(header: FrameHeader): Position {
  return {
    offset: header.offset,
    frameNumber: header.frameNumber,
    nextLsn: header.firstLsn,
    chain: header.chain,
    tag: header.packed?.previousTag ?? NO_TAG,
  };
}
