import { copyBytes, firstNonZero } from "./binary.js";
import { type CompressionAlgorithm, compressionAlgorithm, compressionNumber } from "./compression.js";
import {
  FRAME_HEADER_BYTES,
  MAX_PACKED_BYTES,
  RECORD_HEADER_BYTES,
  ROUTING_BYTES,
  TAG_BYTES,
} from "./constants.js";
import { RecordError } from "./errors.js";

/** No tag: what stands in the place of one where nothing is encrypted. */
export const NO_TAG: Uint8Array = new Uint8Array(TAG_BYTES);

/** How the records of a frame are stored, where it isn't as they are: compressed, encrypted, or both. */
export interface PackedBody {
  readonly encrypted: boolean;
  /** 0 unless encrypted. */
  readonly keyId: number;
  readonly compression: CompressionAlgorithm | undefined;
  /** Whether a routing table stands in the clear before the records. */
  readonly routing: boolean;
  /** Bytes of the records. */
  readonly plainBytes: number;
  /** Bytes that they are stored in. */
  readonly storedBytes: number;
  /** 16 bytes, a copy; {@link NO_TAG} unless encrypted. */
  readonly tag: Uint8Array;
  /** The tag of the frame or, at a segment's start, of the preamble before it. */
  readonly previousTag: Uint8Array;
}

const ENCRYPTED = 1;
const ROUTING = 2;

/** The offsets, in a frame's header, of what its tag can't cover: checksums and mask, made of what it covers, and itself. */
const NOT_AUTHENTICATED: readonly (readonly [from: number, to: number])[] = [
  [8, 16],
  [120, 128],
  [144, 160],
];

export function alignedBytes(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Bytes of a frame, header included and padding of the last block not. */
export function packedFrameBytes(routingBytes: number, storedBytes: number): number {
  return FRAME_HEADER_BYTES + routingBytes + alignedBytes(storedBytes);
}

export function writePackedFields(bytes: Uint8Array, view: DataView, at: number, packed: PackedBody): void {
  view.setUint16(at + 26, (packed.encrypted ? ENCRYPTED : 0) | (packed.routing ? ROUTING : 0), true);
  view.setUint16(at + 28, compressionNumber(packed.compression), true);
  view.setUint32(at + 128, packed.keyId, true);
  view.setUint32(at + 132, packed.plainBytes, true);
  view.setUint32(at + 136, packed.storedBytes, true);
  bytes.set(packed.tag, at + 144);
  bytes.set(packed.previousTag, at + 160);
}

/** `undefined` for a frame whose records are stored as they are. Throws `UNSUPPORTED_FORMAT`. */
export function readPackedFields(bytes: Uint8Array, view: DataView, at: number): PackedBody | undefined {
  const flags = view.getUint16(at + 26, true);
  const compression = view.getUint16(at + 28, true);
  if (flags === 0 && compression === 0) {
    requireZeros(bytes, at + 30, at + 32);
    requireZeros(bytes, at + 128, at + FRAME_HEADER_BYTES);
    return undefined;
  }
  if ((flags & ~(ENCRYPTED | ROUTING)) !== 0) {
    throw new RecordError("UNSUPPORTED_FORMAT", `frame flags ${flags} are unknown to this version`);
  }
  const encrypted = (flags & ENCRYPTED) !== 0;
  requireZeros(bytes, at + 30, at + 32);
  requireZeros(bytes, at + 140, at + 144);
  requireZeros(bytes, at + 176, at + FRAME_HEADER_BYTES);
  if (!encrypted) {
    requireZeros(bytes, at + 128, at + 132);
    requireZeros(bytes, at + 144, at + 176);
  }
  return {
    encrypted,
    keyId: view.getUint32(at + 128, true),
    compression: compressionAlgorithm(compression),
    routing: (flags & ROUTING) !== 0,
    plainBytes: view.getUint32(at + 132, true),
    storedBytes: view.getUint32(at + 136, true),
    tag: encrypted ? copyBytes(bytes, at + 144, at + 144 + TAG_BYTES) : NO_TAG,
    previousTag: encrypted ? copyBytes(bytes, at + 160, at + 160 + TAG_BYTES) : NO_TAG,
  };
}

function requireZeros(bytes: Uint8Array, from: number, to: number): void {
  if (firstNonZero(bytes, from, to) === -1) return;
  throw new RecordError(
    "UNSUPPORTED_FORMAT",
    "a frame header with something in the bytes that must be zero is unknown to this version",
  );
}

/** Whether the fields agree with each other and with the rest of the header. `clearBytes` is an open frame's body. */
export function packedFits(
  packed: PackedBody,
  { length, recordCount, clearBytes }: { length: number; recordCount: number; clearBytes: number },
): boolean {
  const { encrypted, keyId, compression, routing, plainBytes, storedBytes } = packed;
  if (encrypted !== keyId > 0 || (routing && !encrypted)) return false;
  if (recordCount === 0) {
    const nothing = plainBytes === 0 && storedBytes === 0 && compression === undefined && !routing;
    return nothing && encrypted && length === FRAME_HEADER_BYTES + clearBytes;
  }
  const stored = compression === undefined ? storedBytes === plainBytes : storedBytes < plainBytes;
  return (
    stored &&
    storedBytes > 0 &&
    plainBytes % 8 === 0 &&
    plainBytes <= MAX_PACKED_BYTES &&
    recordCount * RECORD_HEADER_BYTES <= plainBytes &&
    length === packedFrameBytes(routing ? recordCount * ROUTING_BYTES : 0, storedBytes)
  );
}

/**
 * What a frame's tag covers besides its records: the header, with zeros for what it can't cover, and what stands in the clear
 * before them, `clearBytes` of it.
 */
export function authenticatedBytes(bytes: Uint8Array, at: number, clearBytes: number): Uint8Array {
  const authenticated = copyBytes(bytes, at, at + FRAME_HEADER_BYTES + clearBytes);
  for (const [from, to] of NOT_AUTHENTICATED) authenticated.fill(0, from, to);
  return authenticated;
}
