import { IoError } from "@stonewal/io";
import {
  ANCHOR_BYTES,
  type Anchor,
  decodeAnchor,
  decodePreamble,
  FRAMES_START,
  firstNonZero,
  PREAMBLE_BYTES,
  PREAMBLE_COPY_OFFSET,
  type Preamble,
} from "@stonewal/record";
import { understood } from "./directory.js";
import { type DiskAccess, type DiskFile, openDisk, overlaps, SMALLEST_BLOCK } from "./disk.js";

/** Preambles and anchors are kept twice, 64 KiB apart: here both copies are read, and judged one by one. */

export type CopyState =
  /** Valid, and followed by zeros. */
  | "intact"
  /** Valid, but the zeros that belong behind it are not all there. */
  | "untidy"
  /** Readable, and not a valid copy. */
  | "damaged"
  /** Nothing but zeros, or not there. */
  | "blank"
  /** The device refuses to read it. */
  | "unreadable";

export interface Copy<T> {
  readonly state: CopyState;
  readonly value: T | undefined;
  /** Where what is wrong begins, as an offset in the file. */
  readonly offset: number;
  /** The first bytes of the copy as they were read: as many as one write of it covers at least. */
  readonly head: Uint8Array;
}

export type Copies<T> = readonly [Copy<T>, Copy<T>];

type Decode<T> = (bytes: Uint8Array, at: number, copy: 0 | 1) => T | undefined;

async function readCopies<T>(file: DiskFile, bytes: number, decode: Decode<T>): Promise<Copies<T>> {
  const arena = file.arena(bytes);
  const { length, unreadable } = await file.read(arena, 0, bytes);
  const judge = (copy: 0 | 1): Copy<T> => {
    const at = copy * PREAMBLE_COPY_OFFSET;
    const end = at + PREAMBLE_COPY_OFFSET;
    const there = arena.bytes.subarray(0, length);
    const head = there.subarray(at, at + SMALLEST_BLOCK);
    if (overlaps(unreadable, at, at + PREAMBLE_BYTES))
      return { state: "unreadable", value: undefined, offset: at, head };
    const value = understood(file.path, () => decode(there, at, copy), at);
    if (value === undefined) {
      const blank = firstNonZero(there, at, end) === -1;
      return { state: blank ? "blank" : "damaged", value, offset: at, head };
    }
    const rest = firstNonZero(there, at + PREAMBLE_BYTES, end);
    const untidy = rest === -1 && length < end ? length : rest;
    if (untidy === -1) return { state: "intact", value, offset: at, head };
    return { state: "untidy", value, offset: untidy, head };
  };
  return [judge(0), judge(1)];
}

export function readPreambles(file: DiskFile): Promise<Copies<Preamble>> {
  return readCopies(file, FRAMES_START, decodePreamble);
}

export interface AnchorFile {
  readonly path: string;
  /** `absent`: there is no such file. */
  readonly copies: Copies<Anchor> | "absent";
  /** The valid copy with the higher generation. */
  readonly anchor: Anchor | undefined;
}

export async function readAnchor(access: DiskAccess, path: string): Promise<AnchorFile> {
  let file: DiskFile;
  try {
    file = await openDisk(access, path);
  } catch (error) {
    if (error instanceof IoError && error.code === "IO_NOT_FOUND")
      return { path, copies: "absent", anchor: undefined };
    throw error;
  }
  try {
    const copies = await readCopies(file, ANCHOR_BYTES, decodeAnchor);
    const [first, second] = [copies[0].value, copies[1].value];
    const newer = first !== undefined && second !== undefined && second.generation > first.generation;
    return { path, copies, anchor: newer ? second : (first ?? second) };
  } finally {
    await file.close();
  }
}
