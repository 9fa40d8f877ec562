import type { Arena, ChecksumRanges } from "@stonewal/io";
import {
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FramePlace,
  FrameVerifier,
  paddedFrameBytes,
  readFrameHeader,
} from "@stonewal/record";
import { sameBytes, understood } from "./directory.js";
import { type DiskFile, overlaps, type ReadResult } from "./disk.js";
import type { Position } from "./model.js";

/** What frames of a segment have to agree with, besides the position. */
export interface SegmentIdentity {
  readonly logId: Uint8Array;
  readonly sequence: number;
  readonly blockBytes: number;
  readonly segmentBytes: number;
}

/** Frames found valid, in order, with the bytes they lie in. */
export interface FrameChunk {
  readonly bytes: Uint8Array;
  readonly frames: readonly FramePlace[];
}

/** Why a scan went no further than its position. */
export type Stop =
  /** The segment is full. */
  | { readonly kind: "full" }
  /** The frame behind the last one that was asked for. */
  | { readonly kind: "limit" }
  /** No valid frame there; `what` says what is wrong. */
  | { readonly kind: "invalid"; readonly what: string }
  /** The device refuses to read what is there. */
  | { readonly kind: "unreadable"; readonly offset: number };

export interface ScanOptions {
  readonly checksum: ChecksumRanges | undefined;
  /** Bytes read at a time, a multiple of the largest block; more for a larger frame. */
  readonly chunkBytes: number;
  /** Read the next chunk while this one is worked on. */
  readonly ahead: boolean;
}

const FIRST_CHUNK_BYTES = 65536;

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
      const frames = wrong === -1 ? walked.frames : walked.frames.slice(0, wrong);
      if (wrong !== -1) {
        this.#stop = { kind: "invalid", what: "its contents do not match its checksums" };
        this.#position = before(walked.frames[wrong]!.header);
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

/** The position behind a valid frame that ends, with its padding, at `offset`. */
export function behind(header: FrameHeader, offset: number): Position {
  return {
    offset,
    frameNumber: header.frameNumber + 1,
    nextLsn: header.nextLsn,
    chain: header.checksum,
  };
}

/** The position that a frame with a right header takes. */
function before(header: FrameHeader): Position {
  return {
    offset: header.offset,
    frameNumber: header.frameNumber,
    nextLsn: header.firstLsn,
    chain: header.chain,
  };
}
