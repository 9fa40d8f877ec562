import { type IoBackend, IoError } from "@stonewal/io";
import { parseSegmentName, parseSpareName, RecordError } from "@stonewal/record";
import { RecoveryError } from "./errors.js";

/** A file with the name of a segment. What is in it is another matter. */
export interface SegmentFile {
  readonly name: string;
  readonly path: string;
  readonly sequence: number;
  readonly firstLsn: number;
}

export interface SpareFile {
  readonly name: string;
  readonly path: string;
  readonly number: number;
  /** Was still being written: worth nothing. */
  readonly unfinished: boolean;
}

/** What a log's directory holds, by name. Names that are not ours are left alone. */
export interface Listing {
  /** By sequence, lowest first. */
  readonly segments: readonly SegmentFile[];
  readonly spares: readonly SpareFile[];
}

/** `undefined` if there is no such directory. */
export async function listLog(io: IoBackend, directory: string): Promise<Listing | undefined> {
  const segments: SegmentFile[] = [];
  const spares: SpareFile[] = [];
  let names: readonly string[];
  try {
    names = await io.list(directory);
  } catch (error) {
    if (error instanceof IoError && error.code === "IO_NOT_FOUND") return undefined;
    throw error;
  }
  for (const name of names) {
    const path = `${directory}/${name}`;
    const { segment, spare } = understood(path, () => ({
      segment: parseSegmentName(name),
      spare: parseSpareName(name),
    }));
    if (segment !== undefined) segments.push({ name, path, ...segment });
    else if (spare !== undefined) spares.push({ name, path, ...spare });
  }
  segments.sort((a, b) => a.sequence - b.sequence);
  spares.sort((a, b) => a.number - b.number);
  return { segments, spares };
}

/** Runs a decoder of the codec; what it does not know is a `WAL_UNSUPPORTED_FORMAT` of this file. */
export function understood<T>(file: string, decode: () => T, offset?: number): T {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof RecordError && error.code === "UNSUPPORTED_FORMAT")) throw error;
    throw new RecoveryError("WAL_UNSUPPORTED_FORMAT", `${file}: ${error.message}`, {
      file,
      offset,
      cause: error,
    });
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
