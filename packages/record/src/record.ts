import { isU32, isU64, setU64, viewOf } from "./binary.js";
import { MAX_PAYLOAD_BYTES, RECORD_HEADER_BYTES, REQUIRED_TYPE } from "./constants.js";
import { crc32c } from "./crc32c.js";
import { RecordError } from "./errors.js";

/** What a caller wants written. The fields besides the payload are its own to give meaning to; each defaults to 0. */
export interface RecordInput {
  /** Any bytes, none included. Copied once, when the record is appended. */
  readonly payload: Uint8Array;
  /** u32. With bit 31 ({@link REQUIRED_TYPE}) a reader that doesn't know it must stop, not skip. */
  readonly type?: number;
  /** u64: a bigint, or a safe integer. */
  readonly tenant?: number | bigint;
  /** u32. */
  readonly shard?: number;
  /** u64: a bigint, or a safe integer. */
  readonly database?: number | bigint;
}

/** What is in an encoded record. The LSN isn't: it follows from the record's place in its frame. */
export interface RecordFields {
  readonly type: number;
  /** Bit 31 of the type. */
  readonly required: boolean;
  readonly tenant: bigint;
  readonly shard: number;
  readonly database: bigint;
  /** A view of the bytes decoded, not a copy. */
  readonly payload: Uint8Array;
}

/** Bytes that a record with a payload of this many bytes takes in a frame: header, payload, zeros to a multiple of 8. */
export function recordBytes(payloadBytes: number): number {
  const end = RECORD_HEADER_BYTES + payloadBytes;
  return end + ((8 - (end % 8)) % 8);
}

/**
 * Checks a record as a caller gave it and answers how many bytes it takes in a frame.
 *
 * @throws RecordError `RECORD_ARGUMENT` for a payload that isn't a `Uint8Array`, or whose memory was transferred, a type or shard that isn't a u32, a
 * tenant or database that isn't a u64; `RECORD_TOO_LARGE` for a payload above {@link MAX_PAYLOAD_BYTES}.
 */
export function validateRecord(input: RecordInput): number {
  if (typeof input !== "object" || input === null) throw notBytes();
  const { payload, type, tenant, shard, database } = input;
  if (!(payload instanceof Uint8Array)) throw notBytes();
  if (payload.length === 0 && !isThere(payload)) {
    throw new RecordError(
      "RECORD_ARGUMENT",
      "the memory of a record's payload was transferred, or has shrunk",
    );
  }
  if (type !== undefined && !isU32(type)) throw outOfRange("type", type, 32);
  if (shard !== undefined && !isU32(shard)) throw outOfRange("shard", shard, 32);
  if (tenant !== undefined && !isU64(tenant)) throw outOfRange("tenant", tenant, 64);
  if (database !== undefined && !isU64(database)) throw outOfRange("database", database, 64);
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw new RecordError(
      "RECORD_TOO_LARGE",
      `a payload of ${payload.length} bytes is above the limit of ${MAX_PAYLOAD_BYTES}`,
    );
  }
  return recordBytes(payload.length);
}

function notBytes(): RecordError {
  return new RecordError("RECORD_ARGUMENT", "a record's payload must be a Uint8Array");
}

/** Whether a view without bytes is one of memory that is still there: its length doesn't say. */
function isThere(view: Uint8Array): boolean {
  try {
    view.at(0);
    return true;
  } catch {
    return false;
  }
}

function outOfRange(field: string, value: unknown, bits: number): RecordError {
  const range =
    bits === 64 ? "an integer from 0 to 2^64 - 1 (a bigint above 2^53 - 1)" : "an integer from 0 to 2^32 - 1";
  return new RecordError("RECORD_ARGUMENT", `a record's ${field} must be ${range}, not ${String(value)}`);
}

/**
 * Writes a validated record with this payload at `at`, all but its checksum, and answers where it ends. The caller has made sure
 * that it fits. Only what is written here is checksummed later, so a payload that changes in the meantime harms nothing.
 */
export function writeRecord(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  payload: Uint8Array,
  input: Omit<RecordInput, "payload">,
): number {
  const payloadBytes = payload.length;
  const end = at + recordBytes(payloadBytes);
  // The padding first, as one word: buffers are reused, and the payload overwrites what isn't padding.
  if (payloadBytes > 0) {
    view.setUint32(end - 8, 0, true);
    view.setUint32(end - 4, 0, true);
  }
  view.setUint32(at + 4, payloadBytes, true);
  view.setUint32(at + 8, input.type ?? 0, true);
  view.setUint32(at + 12, input.shard ?? 0, true);
  setU64(view, at + 16, input.tenant ?? 0);
  setU64(view, at + 24, input.database ?? 0);
  bytes.set(payload, at + RECORD_HEADER_BYTES);
  return end;
}

/**
 * Where the record at `at` ends, or -1 when it doesn't end by `limit` or its padding isn't zero. `limit` is within the
 * bytes, so nothing outside them is read, whatever the length says.
 */
export function recordEnd(bytes: Uint8Array, view: DataView, at: number, limit: number): number {
  if (at + RECORD_HEADER_BYTES > limit) return -1;
  const payloadEnd = at + RECORD_HEADER_BYTES + view.getUint32(at + 4, true);
  const end = payloadEnd + ((8 - ((payloadEnd - at) % 8)) % 8);
  if (end > limit) return -1;
  for (let i = payloadEnd; i < end; i++) if (bytes[i] !== 0) return -1;
  return end;
}

/**
 * A record encoded on its own, checksum set, for `FrameBuilder.appendEncoded`.
 *
 * @throws RecordError as {@link validateRecord}.
 */
export function encodeRecord(input: RecordInput): Uint8Array {
  validateRecord(input);
  const { payload } = input;
  const bytes = new Uint8Array(recordBytes(payload.length));
  const view = viewOf(bytes);
  writeRecord(bytes, view, 0, payload, input);
  view.setUint32(0, crc32c(bytes, 4), true);
  return bytes;
}

/**
 * The fields of one encoded record, which must fill `bytes` exactly.
 *
 * @throws RecordError `RECORD_MALFORMED` when the length doesn't match or the padding isn't zero; `RECORD_CHECKSUM`.
 */
export function decodeRecord(bytes: Uint8Array): RecordFields {
  const view = viewOf(bytes);
  verifyRecord(bytes, view, 0, bytes.length);
  const type = view.getUint32(8, true);
  return {
    type,
    required: type >= REQUIRED_TYPE,
    shard: view.getUint32(12, true),
    tenant: view.getBigUint64(16, true),
    database: view.getBigUint64(24, true),
    payload: new Uint8Array(bytes.buffer, bytes.byteOffset + RECORD_HEADER_BYTES, view.getUint32(4, true)),
  };
}

/** Throws unless one whole record with the right checksum fills `[at, end)`. */
export function verifyRecord(bytes: Uint8Array, view: DataView, at: number, end: number): void {
  if (recordEnd(bytes, view, at, end) !== end) {
    throw new RecordError("RECORD_MALFORMED", `${end - at} bytes are not exactly one record`);
  }
  if (view.getUint32(at, true) !== crc32c(bytes, at + 4, end)) {
    throw new RecordError("RECORD_CHECKSUM", "the checksum of an encoded record is wrong");
  }
}
