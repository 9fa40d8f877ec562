import { type Arena, IoError, type Region } from "@stonewal/io";

/** Calls that are wrong in themselves, refused before anything is done. */

/** Memory of a simulated back end. */
export class SimArena implements Arena {
  readonly bytes: Uint8Array;

  constructor(bytes: number) {
    if (!Number.isSafeInteger(bytes) || bytes < 1)
      throw new IoError("IO_ARGUMENT", `an arena of ${bytes} bytes: a positive safe integer is expected`);
    this.bytes = new Uint8Array(bytes);
  }
}

export function closedFile(path: string, step?: number): IoError {
  return new IoError("IO_CLOSED", `${path} is closed`, { path, step });
}

export function rangeProblem(
  offset: number,
  length: number,
  path: string,
  step?: number,
): IoError | undefined {
  const counts = [offset, length].every((value) => Number.isSafeInteger(value) && value >= 0);
  // Not the sum: it may round down to a safe integer.
  if (counts && offset <= Number.MAX_SAFE_INTEGER - length) return undefined;
  return new IoError("IO_ARGUMENT", `${path}: not a range of a file: ${offset}+${length}`, { path, step });
}

export function regionProblem(
  region: Region,
  minimum: number,
  path: string,
  step?: number,
): IoError | undefined {
  const { start, length, arena } = region;
  if (!(arena instanceof SimArena))
    return new IoError("IO_ARGUMENT", `${path}: the region is not in an arena of this back end`, {
      path,
      step,
    });
  const counts = [start, length].every((value) => Number.isSafeInteger(value) && value >= 0);
  if (counts && length >= minimum && start + length <= arena.bytes.length) return undefined;
  const message = `${path}: region ${start}+${length} of an arena of ${arena.bytes.length} bytes`;
  return new IoError("IO_ARGUMENT", message, { path, step });
}

export function pathProblem(path: string): IoError | undefined {
  if (typeof path === "string" && path !== "" && !path.includes("\0")) return undefined;
  return new IoError("IO_ARGUMENT", `not a path: ${JSON.stringify(path)}`);
}
