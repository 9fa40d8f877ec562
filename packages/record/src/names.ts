import { requireCount, requireId } from "./binary.js";
import { RecordError } from "./errors.js";

/** The trim point and a second witness of what was durable. */
export const ANCHOR_NAME = "anchor";
/** The log's double-write buffer. */
export const DWB_NAME = "dwb";
/** An empty file; the writer holds a lock on it. */
export const LOCK_NAME = "lock";

const SEGMENT = /^(\d{20})-(\d{20})\.wal$/;
const SPARE = /^spare-(\d{20})(\.new)?$/;
const ASIDE = /^aside-(\d{20})-(\d{20})-([0-9a-f]{32})$/;

/** Which segment a name stands for. */
export interface SegmentName {
  /** From 1. */
  readonly sequence: number;
  /** From 1. */
  readonly firstLsn: number;
}

/** Which spare file a name stands for. */
export interface SpareName {
  readonly number: number;
  /** The name ends in `.new`: it was still being written, and is worth nothing. */
  readonly unfinished: boolean;
}

/** Which frames a file of frames set aside holds. */
export interface AsideName {
  /** Of the segment they lay in. */
  readonly sequence: number;
  /** Number of the first of them. */
  readonly frameNumber: number;
  /** Of the writer that wrote them, 16 bytes. */
  readonly incarnation: Uint8Array;
}

/**
 * `<sequence>-<first LSN>.wal`, both of 20 digits: a listing is the order.
 *
 * @throws RecordError `RECORD_ARGUMENT` unless both are safe integers from 1.
 */
export function segmentName(sequence: number, firstLsn: number): string {
  return `${digits(sequence, 1, "the sequence")}-${digits(firstLsn, 1, "the first LSN")}.wal`;
}

/**
 * What {@link segmentName} was given, or `undefined` for any other name.
 *
 * @throws RecordError `UNSUPPORTED_FORMAT` for a number above 2^53 − 1.
 */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = SEGMENT.exec(name);
  if (match === null) return undefined;
  const sequence = count(match[1]!, name);
  const firstLsn = count(match[2]!, name);
  return sequence >= 1 && firstLsn >= 1 ? { sequence, firstLsn } : undefined;
}

/**
 * `spare-<n>`, of 20 digits; with `.new` behind it while it is still being written.
 *
 * @throws RecordError `RECORD_ARGUMENT` unless the number is a safe integer from 0.
 */
export function spareName(number: number, unfinished = false): string {
  return `spare-${digits(number, 0, "the number")}${unfinished ? ".new" : ""}`;
}

/**
 * What {@link spareName} was given, or `undefined` for any other name.
 *
 * @throws RecordError `UNSUPPORTED_FORMAT` for a number above 2^53 − 1.
 */
export function parseSpareName(name: string): SpareName | undefined {
  const match = SPARE.exec(name);
  return match === null ? undefined : { number: count(match[1]!, name), unfinished: match[2] !== undefined };
}

/**
 * `aside-<sequence>-<frame number>-<incarnation>`, 20 digits each and 32 hexadecimal ones.
 *
 * @throws RecordError `RECORD_ARGUMENT` unless the numbers are safe integers from 1 and the incarnation is 16 bytes.
 */
export function asideName(sequence: number, frameNumber: number, incarnation: Uint8Array): string {
  requireId(incarnation, "the incarnation");
  const hex = Array.from(incarnation, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `aside-${digits(sequence, 1, "the sequence")}-${digits(frameNumber, 1, "the frame number")}-${hex}`;
}

/**
 * What {@link asideName} was given, or `undefined` for any other name.
 *
 * @throws RecordError `UNSUPPORTED_FORMAT` for a number above 2^53 − 1.
 */
export function parseAsideName(name: string): AsideName | undefined {
  const match = ASIDE.exec(name);
  if (match === null) return undefined;
  const sequence = count(match[1]!, name);
  const frameNumber = count(match[2]!, name);
  if (sequence < 1 || frameNumber < 1) return undefined;
  const incarnation = Uint8Array.from({ length: 16 }, (_, i) =>
    Number.parseInt(match[3]!.slice(2 * i, 2 * i + 2), 16),
  );
  return { sequence, frameNumber, incarnation };
}

function digits(value: number, min: number, what: string): string {
  requireCount(value, min, what);
  return String(value).padStart(20, "0");
}

/** A file that has the form of one of ours is not to be passed over because its number is too large to handle. */
function count(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new RecordError("UNSUPPORTED_FORMAT", `the file name ${name} has a number above 2^53 - 1`);
  }
  return value;
}
