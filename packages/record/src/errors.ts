/**
 * What went wrong, stable across releases:
 *
 * - `RECORD_ARGUMENT`: the caller handed in something that can't be (a payload that is no `Uint8Array`, a type that is
 *   no u32, a frame that isn't wholly inside the bytes). Nothing was written.
 * - `RECORD_TOO_LARGE`: a record that can't fit: above {@link MAX_PAYLOAD_BYTES}, or no room for it in this frame.
 * - `RECORD_MALFORMED`: bytes that should be a record and aren't: lengths that don't add up, padding that isn't zero.
 * - `RECORD_CHECKSUM`: the checksum doesn't match the bytes.
 * - `LSN_EXHAUSTED`: no LSN is left for the record ({@link MAX_LSN}).
 * - `UNSUPPORTED_FORMAT`: intact (its checksum is right), but written by rules this version doesn't know: another
 *   version, kind, flag or cipher, something in a field that must be zero, a count above 2^53 − 1; or compressed with what
 *   this Node.js lacks. Guessing here would lose data: to take it for "no valid frame" would be to cut the log there.
 * - `KEY_ARGUMENT`: a key or its id can't be: not 32 bytes, an id that is no u32 from 1.
 * - `KEY_MISSING`: a key that is needed is not in the key ring, or its provider did not give it; `keyId` names it.
 * - `KEY_WRONG`: the key with this id is not the one that the log was written with.
 * - `NOT_AUTHENTIC`: checksums are right and the key is, but what is there was not written with it.
 */
export type RecordErrorCode =
  | "RECORD_ARGUMENT"
  | "RECORD_TOO_LARGE"
  | "RECORD_MALFORMED"
  | "RECORD_CHECKSUM"
  | "LSN_EXHAUSTED"
  | "UNSUPPORTED_FORMAT"
  | "KEY_ARGUMENT"
  | "KEY_MISSING"
  | "KEY_WRONG"
  | "NOT_AUTHENTIC";

/** The only error this package throws, whatever bytes it is given. */
export class RecordError extends Error {
  override readonly name = "RecordError";
  readonly code: RecordErrorCode;
  /** The key concerned, where there is one. */
  readonly keyId: number | undefined;

  constructor(code: RecordErrorCode, message: string, details: { keyId?: number; cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.keyId = details.keyId;
  }
}
