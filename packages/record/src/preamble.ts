import {
  copyBytes,
  firstNonZero,
  getCount,
  isBlockBytes,
  requireBlockBytes,
  requireChecksum,
  requireCount,
  requireId,
  setCount,
  viewOf,
} from "./binary.js";
import {
  FORMAT_VERSION,
  FRAMES_START,
  ID_BYTES,
  KEY_CHECK_BYTES,
  MIN_BLOCK_BYTES,
  PREAMBLE_BYTES,
  PREAMBLE_COPY_OFFSET,
  TAG_BYTES,
} from "./constants.js";
import { crc32c } from "./crc32c.js";
import { RecordError } from "./errors.js";
import type { LogCipher, LogDecipher } from "./log-cipher.js";
import { hasMagic, PREAMBLE_MAGIC } from "./magic.js";
import { NO_TAG } from "./packed-body.js";

/** What a segment says about itself and about where the one before it ends. Counts are safe integers. */
export interface Preamble {
  /** 16 bytes, drawn when the log was created. */
  readonly logId: Uint8Array;
  /** From 1; never used twice in a log. */
  readonly sequence: number;
  /** LSN of the first record this segment can hold, from 1. */
  readonly firstLsn: number;
  /** From 1. */
  readonly firstFrameNumber: number;
  /** Size of the file in bytes: a multiple of the block size, with room for a frame. */
  readonly segmentBytes: number;
  /** A power of two, 4,096 to 65,536. */
  readonly blockBytes: number;
  /** Sequence of the segment before this one in the log; 0 for the first, and only there. */
  readonly previousSequence: number;
  /** Number of the last frame that counts there; 0 where there is none before this segment in the log. */
  readonly previousFrameNumber: number;
  /** Last LSN that counts there: `firstLsn - 1`. */
  readonly previousLsn: number;
  /** Checksum of that frame, which the first frame here has as its chain; 0n where there is none. */
  readonly previousChecksum: bigint;
  /** File offset behind that frame in the previous segment, in bytes; 0 without a previous segment. */
  readonly previousEnd: number;
  /** When the segment was created, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** Of the writer that created it, 16 bytes. */
  readonly incarnation: Uint8Array;
  /** Behind the last frame there may be bytes of the file's former life; otherwise zeros. */
  readonly recycled: boolean;
  /** Present where the frames of this segment are encrypted, each of them. */
  readonly encryption?: PreambleEncryption | undefined;
}

/** What an encrypted segment states besides. */
export interface PreambleEncryption {
  /** From 1. */
  readonly keyId: number;
  /** 16 bytes that tell whether a key is the right one. */
  readonly keyCheck: Uint8Array;
  /** 16 bytes: the tag of the last frame that counts before this segment, or, with none in it, of the previous preamble; zeros where that isn't encrypted. */
  readonly previousTag: Uint8Array;
  /** 16 bytes: of all that the preamble states. The first frame states it as the tag before it. */
  readonly tag: Uint8Array;
}

const RECYCLED = 1;
const AES_256_GCM = 1;
/** Offsets of what the tag of a preamble doesn't cover: its checksum, which copy it is, itself. */
const NOT_AUTHENTICATED: readonly (readonly [from: number, to: number])[] = [
  [8, 12],
  [68, 72],
  [184, 200],
];

/** 16 bytes: what the first frame of a segment states as the tag before it. Zeros where the segment isn't encrypted. */
export function preambleTag(preamble: Preamble): Uint8Array {
  return preamble.encryption?.tag ?? NO_TAG;
}

/**
 * The preamble of a segment that is written with `cipher`: what `preamble` states, and its tag.
 *
 * @throws RecordError `RECORD_ARGUMENT` when a field can't be.
 */
export function sealPreamble(
  preamble: Omit<Preamble, "encryption">,
  cipher: LogCipher,
  previousTag: Uint8Array,
): Preamble {
  const { keyId, keyCheck } = cipher;
  const sealed = { ...preamble, encryption: { keyId, keyCheck, previousTag, tag: NO_TAG } };
  const { tag } = cipher.encrypt("preamble", preamble.sequence, authenticated(sealed), new Uint8Array(0));
  return { ...sealed, encryption: { ...sealed.encryption, tag } };
}

/**
 * Passes for a preamble that was written with the key it names, and for one without encryption.
 *
 * @throws RecordError `KEY_MISSING`, `KEY_WRONG`, `NOT_AUTHENTIC`.
 */
export function authenticatePreamble(preamble: Preamble, decipher: LogDecipher): void {
  const { encryption, logId, incarnation, sequence } = preamble;
  if (encryption === undefined) return;
  const { keyId, keyCheck, tag } = encryption;
  const place = { keyId, logId, incarnation };
  decipher.requireKey(place, keyCheck);
  decipher.decrypt("preamble", place, sequence, authenticated(preamble), new Uint8Array(0), tag);
}

/** Everything that a preamble states is in its fields, so what was covered can be made of them again. */
function authenticated(preamble: Preamble): Uint8Array {
  const bytes = new Uint8Array(PREAMBLE_BYTES);
  writeCopy(bytes, 0, preamble, 0);
  for (const [from, to] of NOT_AUTHENTICATED) bytes.fill(0, from, to);
  return bytes;
}

/**
 * Both copies of a preamble, each with the zeros behind it: the first {@link FRAMES_START} bytes of a segment.
 *
 * @throws RecordError `RECORD_ARGUMENT` when a field can't be.
 */
export function encodePreamble(preamble: Preamble): Uint8Array {
  validate(preamble);
  const bytes = new Uint8Array(FRAMES_START);
  for (const copy of [0, 1] as const) writeCopy(bytes, copy * PREAMBLE_COPY_OFFSET, preamble, copy);
  return bytes;
}

function validate(preamble: Preamble): void {
  requireId(preamble.logId, "the log id");
  requireId(preamble.incarnation, "the incarnation");
  requireCount(preamble.sequence, 1, "the sequence");
  requireCount(preamble.firstLsn, 1, "the first LSN");
  requireCount(preamble.firstFrameNumber, 1, "the first frame number");
  requireBlockBytes(preamble.blockBytes);
  requireCount(preamble.segmentBytes, FRAMES_START + preamble.blockBytes, "the segment size");
  requireCount(preamble.previousSequence, 0, "the previous segment's sequence");
  requireCount(preamble.previousFrameNumber, 0, "the previous segment's last frame number");
  requireCount(preamble.previousLsn, 0, "the previous segment's last LSN");
  requireChecksum(preamble.previousChecksum, "the previous segment's last checksum");
  requireCount(preamble.previousEnd, 0, "the previous segment's end");
  requireCount(preamble.time, 0, "the time");
  const wrong = contradiction(preamble);
  if (wrong !== undefined) throw new RecordError("RECORD_ARGUMENT", `not a preamble: ${wrong}`);

  const { encryption } = preamble;
  if (encryption === undefined) return;
  requireCount(encryption.keyId, 1, "the key id");
  if (
    encryption.keyId > 0xffffffff ||
    encryption.keyCheck.length !== KEY_CHECK_BYTES ||
    encryption.previousTag.length !== TAG_BYTES ||
    encryption.tag.length !== TAG_BYTES
  ) {
    throw new RecordError("RECORD_ARGUMENT", "not a preamble: key id, key check or a tag");
  }
}

function writeCopy(bytes: Uint8Array, at: number, preamble: Preamble, copy: 0 | 1): void {
  const view = viewOf(bytes);
  bytes.set(PREAMBLE_MAGIC, at);
  view.setUint32(at + 12, FORMAT_VERSION, true);
  bytes.set(preamble.logId, at + 16);
  setCount(view, at + 32, preamble.sequence);
  setCount(view, at + 40, preamble.firstLsn);
  setCount(view, at + 48, preamble.firstFrameNumber);
  setCount(view, at + 56, preamble.segmentBytes);
  view.setUint32(at + 64, preamble.blockBytes, true);
  view.setUint32(at + 68, copy, true);
  setCount(view, at + 72, preamble.previousSequence);
  setCount(view, at + 80, preamble.previousFrameNumber);
  setCount(view, at + 88, preamble.previousLsn);
  view.setBigUint64(at + 96, preamble.previousChecksum, true);
  setCount(view, at + 104, preamble.previousEnd);
  setCount(view, at + 112, preamble.time);
  bytes.set(preamble.incarnation, at + 120);
  view.setUint32(at + 144, preamble.recycled ? RECYCLED : 0, true);
  if (preamble.encryption !== undefined) {
    const { keyId, keyCheck, previousTag, tag } = preamble.encryption;
    view.setUint32(at + 136, AES_256_GCM, true);
    view.setUint32(at + 140, keyId, true);
    bytes.set(keyCheck, at + 152);
    bytes.set(previousTag, at + 168);
    bytes.set(tag, at + 184);
  }
  view.setUint32(at + 8, crc32c(bytes, at + 12, at + PREAMBLE_BYTES), true);
}

/**
 * Copy 0 or 1 of a preamble, from the {@link PREAMBLE_BYTES} at `at`; `undefined` when it isn't valid: too few bytes, no
 * magic, a wrong checksum, the other copy, fields that contradict each other. That the rest of the copy's 64 KiB is zero
 * is for `firstNonZero` to say, where it matters.
 *
 * @throws RecordError `UNSUPPORTED_FORMAT` when the checksum is right, but version, cipher, flags or reserved bytes are
 * unknown, or a count is above 2^53 − 1.
 */
export function decodePreamble(bytes: Uint8Array, at: number, copy: 0 | 1): Preamble | undefined {
  const end = at + PREAMBLE_BYTES;
  if (!(at >= 0 && end <= bytes.length) || !hasMagic(bytes, at, PREAMBLE_MAGIC)) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(at + 8, true) !== crc32c(bytes, at + 12, end)) return undefined;
  const version = view.getUint32(at + 12, true);
  if (version !== FORMAT_VERSION) throw unsupported(`format version ${version}`);
  const cipher = view.getUint32(at + 136, true);
  if (cipher > AES_256_GCM) throw unsupported(`cipher ${cipher}`);
  const flags = view.getUint32(at + 144, true);
  if ((flags & ~RECYCLED) !== 0) throw unsupported(`a segment with flags ${flags}`);
  const plain = cipher === 0;
  const zeros =
    firstNonZero(bytes, at + 148, plain ? end : at + 152) === -1 &&
    (plain ? view.getUint32(at + 140, true) === 0 : firstNonZero(bytes, at + 200, end) === -1);
  if (!zeros) {
    throw unsupported("a preamble with something in the bytes that must be zero");
  }
  const preamble: Preamble = {
    logId: copyBytes(bytes, at + 16, at + 16 + ID_BYTES),
    sequence: getCount(view, at + 32, "a segment's sequence"),
    firstLsn: getCount(view, at + 40, "a segment's first LSN"),
    firstFrameNumber: getCount(view, at + 48, "a segment's first frame number"),
    segmentBytes: getCount(view, at + 56, "a segment's size"),
    blockBytes: view.getUint32(at + 64, true),
    previousSequence: getCount(view, at + 72, "the previous segment's sequence"),
    previousFrameNumber: getCount(view, at + 80, "the previous segment's last frame number"),
    previousLsn: getCount(view, at + 88, "the previous segment's last LSN"),
    previousChecksum: view.getBigUint64(at + 96, true),
    previousEnd: getCount(view, at + 104, "the previous segment's end"),
    time: getCount(view, at + 112, "a segment's creation time"),
    incarnation: copyBytes(bytes, at + 120, at + 120 + ID_BYTES),
    recycled: (flags & RECYCLED) !== 0,
    ...(plain
      ? {}
      : {
          encryption: {
            keyId: view.getUint32(at + 140, true),
            keyCheck: copyBytes(bytes, at + 152, at + 152 + KEY_CHECK_BYTES),
            previousTag: copyBytes(bytes, at + 168, at + 168 + TAG_BYTES),
            tag: copyBytes(bytes, at + 184, at + 184 + TAG_BYTES),
          },
        }),
  };
  return view.getUint32(at + 68, true) === copy && contradiction(preamble) === undefined
    ? preamble
    : undefined;
}

/** The first thing in it that can't be, whatever the log. */
function contradiction(p: Preamble): string | undefined {
  if (p.sequence < 1 || p.firstLsn < 1 || p.firstFrameNumber < 1) return "counts start at 1";
  if (!isBlockBytes(p.blockBytes)) return "the block size";
  if (p.segmentBytes % p.blockBytes !== 0 || p.segmentBytes < FRAMES_START + p.blockBytes)
    return "the segment size";
  if (p.previousLsn !== p.firstLsn - 1) return "the first LSN is not the one behind the previous segment";
  if (p.previousFrameNumber >= p.firstFrameNumber)
    return "the first frame number is not above the previous one";
  if ((p.previousSequence === 0) !== (p.sequence === 1))
    return "the first segment, and no other, has none before it";
  if (p.previousSequence >= p.sequence) return "the previous segment has a higher sequence";
  if (p.encryption?.keyId === 0) return "the key id";
  if (p.previousSequence === 0) {
    const nothing = p.previousFrameNumber === 0 && p.previousChecksum === 0n && p.previousEnd === 0;
    return nothing ? undefined : "nothing comes before the first segment";
  }
  if (p.previousEnd < FRAMES_START || p.previousEnd % MIN_BLOCK_BYTES !== 0)
    return "the previous segment's end";
  return undefined;
}

function unsupported(what: string): RecordError {
  return new RecordError("UNSUPPORTED_FORMAT", `${what} is unknown to this version`);
}
