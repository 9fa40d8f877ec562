import { copyBytes, firstNonZero, getCount, requireCount, requireId, setCount, viewOf } from "./binary.js";
import {
  ANCHOR_BYTES,
  FORMAT_VERSION,
  ID_BYTES,
  PREAMBLE_BYTES,
  PREAMBLE_COPY_OFFSET,
  TAG_BYTES,
} from "./constants.js";
import { crc32c } from "./crc32c.js";
import { RecordError } from "./errors.js";
import type { LogCipher, LogDecipher } from "./log-cipher.js";
import { ANCHOR_MAGIC, hasMagic } from "./magic.js";
import { NO_TAG } from "./packed-body.js";

/** The trim point, and a second witness of what was durable. Counts are safe integers. */
export interface Anchor {
  /** 16 bytes. */
  readonly logId: Uint8Array;
  /** One more at every write, from 1. Of two valid copies the one with the higher generation counts. */
  readonly generation: number;
  /** Records up to this LSN may be gone; 0: none. */
  readonly trimPoint: number;
  /** Every frame with a number below this one was durable when the anchor was written. */
  readonly watermark: number;
  /** Last LSN durable at that watermark; 0: none. */
  readonly durableLsn: number;
  /** Sequence of the newest segment that had its name, from 1: should it vanish, that is noticed. */
  readonly sequence: number;
  /** When it was written, in milliseconds since the Unix epoch. */
  readonly time: number;
  /** Present where the log is encrypted. */
  readonly encryption?: AnchorEncryption | undefined;
}

/** What the anchor of an encrypted log states besides. Nothing in it is secret: it is authenticated. */
export interface AnchorEncryption {
  /** From 1. */
  readonly keyId: number;
  /** Of the writer that wrote it, 16 bytes. */
  readonly incarnation: Uint8Array;
  /** 16 bytes, of all that the anchor states. */
  readonly tag: Uint8Array;
}

const AES_256_GCM = 1;
/** Offsets of what the tag of an anchor doesn't cover: its checksum, which copy it is, itself. */
const NOT_AUTHENTICATED: readonly (readonly [from: number, to: number])[] = [
  [8, 12],
  [64, 68],
  [112, 128],
];

/** What `anchor` states, and its tag. */
export function sealAnchor(
  anchor: Omit<Anchor, "encryption">,
  cipher: LogCipher,
  incarnation: Uint8Array,
): Anchor {
  const sealed = { ...anchor, encryption: { keyId: cipher.keyId, incarnation, tag: NO_TAG } };
  const { tag } = cipher.encrypt("anchor", anchor.generation, authenticated(sealed), new Uint8Array(0));
  return { ...sealed, encryption: { ...sealed.encryption, tag } };
}

/**
 * Passes for an anchor that was written with the key it names, and for one without encryption.
 *
 * @throws RecordError `KEY_MISSING`, `NOT_AUTHENTIC`.
 */
export function authenticateAnchor(anchor: Anchor, decipher: LogDecipher): void {
  const { encryption, logId, generation } = anchor;
  if (encryption === undefined) return;
  const { keyId, incarnation, tag } = encryption;
  const place = { keyId, logId, incarnation };
  decipher.decrypt("anchor", place, generation, authenticated(anchor), new Uint8Array(0), tag);
}

function authenticated(anchor: Anchor): Uint8Array {
  const bytes = encodeAnchor(anchor).slice(0, PREAMBLE_BYTES);
  for (const [from, to] of NOT_AUTHENTICATED) bytes.fill(0, from, to);
  return bytes;
}

/**
 * The whole file, {@link ANCHOR_BYTES}: two copies, the second at {@link PREAMBLE_COPY_OFFSET}. They are to be written
 * one after the other, with a sync between.
 *
 * @throws RecordError `RECORD_ARGUMENT` when a field can't be.
 */
export function encodeAnchor(anchor: Anchor): Uint8Array {
  requireId(anchor.logId, "the log id");
  requireCount(anchor.generation, 1, "the generation");
  requireCount(anchor.trimPoint, 0, "the trim point");
  requireCount(anchor.watermark, 0, "the watermark");
  requireCount(anchor.durableLsn, 0, "the durable LSN");
  requireCount(anchor.sequence, 1, "the newest segment's sequence");
  requireCount(anchor.time, 0, "the time");
  if (anchor.encryption !== undefined) {
    requireCount(anchor.encryption.keyId, 1, "the key id");
    requireId(anchor.encryption.incarnation, "the incarnation");
    requireId(anchor.encryption.tag, "the tag");
  }
  const bytes = new Uint8Array(ANCHOR_BYTES);
  const view = viewOf(bytes);
  for (const copy of [0, 1]) {
    const at = copy * PREAMBLE_COPY_OFFSET;
    bytes.set(ANCHOR_MAGIC, at);
    view.setUint32(at + 12, FORMAT_VERSION, true);
    bytes.set(anchor.logId, at + 16);
    setCount(view, at + 32, anchor.generation);
    setCount(view, at + 40, anchor.trimPoint);
    setCount(view, at + 48, anchor.watermark);
    setCount(view, at + 56, anchor.durableLsn);
    view.setUint32(at + 64, copy, true);
    setCount(view, at + 72, anchor.time);
    setCount(view, at + 80, anchor.sequence);
    if (anchor.encryption !== undefined) {
      view.setUint32(at + 88, AES_256_GCM, true);
      view.setUint32(at + 92, anchor.encryption.keyId, true);
      bytes.set(anchor.encryption.incarnation, at + 96);
      bytes.set(anchor.encryption.tag, at + 112);
    }
    view.setUint32(at + 8, crc32c(bytes, at + 12, at + PREAMBLE_BYTES), true);
  }
  return bytes;
}

/**
 * Copy 0 or 1 of an anchor, from the 256 bytes at `at`; `undefined` when it isn't valid: too few bytes, no magic, a wrong
 * checksum, the other copy, generation or sequence 0.
 *
 * @throws RecordError `UNSUPPORTED_FORMAT` when the checksum is right, but the version is unknown, reserved bytes aren't
 * zero, or a count is above 2^53 − 1.
 */
export function decodeAnchor(bytes: Uint8Array, at: number, copy: 0 | 1): Anchor | undefined {
  const end = at + PREAMBLE_BYTES;
  if (!(at >= 0 && end <= bytes.length) || !hasMagic(bytes, at, ANCHOR_MAGIC)) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(at + 8, true) !== crc32c(bytes, at + 12, end)) return undefined;
  const version = view.getUint32(at + 12, true);
  if (version !== FORMAT_VERSION) {
    throw new RecordError("UNSUPPORTED_FORMAT", `format version ${version} is unknown to this version`);
  }
  const cipher = view.getUint32(at + 88, true);
  if (cipher > AES_256_GCM) {
    throw new RecordError("UNSUPPORTED_FORMAT", `cipher ${cipher} is unknown to this version`);
  }
  if (
    view.getUint32(at + 68, true) !== 0 ||
    firstNonZero(bytes, cipher === 0 ? at + 92 : at + 128, end) !== -1
  ) {
    throw new RecordError("UNSUPPORTED_FORMAT", "an anchor has something in the bytes that must be zero");
  }
  const anchor: Anchor = {
    logId: copyBytes(bytes, at + 16, at + 16 + ID_BYTES),
    generation: getCount(view, at + 32, "the anchor's generation"),
    trimPoint: getCount(view, at + 40, "the trim point"),
    watermark: getCount(view, at + 48, "the anchor's watermark"),
    durableLsn: getCount(view, at + 56, "the anchor's durable LSN"),
    time: getCount(view, at + 72, "the anchor's time"),
    sequence: getCount(view, at + 80, "the newest segment's sequence"),
    ...(cipher === 0
      ? {}
      : {
          encryption: {
            keyId: view.getUint32(at + 92, true),
            incarnation: copyBytes(bytes, at + 96, at + 96 + ID_BYTES),
            tag: copyBytes(bytes, at + 112, at + 112 + TAG_BYTES),
          },
        }),
  };
  return view.getUint32(at + 64, true) === copy &&
    anchor.generation >= 1 &&
    anchor.sequence >= 1 &&
    anchor.encryption?.keyId !== 0
    ? anchor
    : undefined;
}
