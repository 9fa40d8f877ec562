import { type Arena, type IoBackend, IoError, type IoFile } from "@stonewal/io";
import type { OverlayImage } from "./model.js";

/** Smallest unit that is asked for again, alone, when a device refuses a longer read. Every block size is a multiple of it. */
export const SMALLEST_BLOCK = 4096;

/** How the files of a log are opened for reading. */
export interface DiskAccess {
  readonly io: IoBackend;
  /** Past the page cache. */
  readonly direct: boolean;
  /**
   * Sync each file, then drop its cached pages, before it is read: after a failed sync the cache may hold pages that
   * the disk never got, and a page that was never synced is not yet an answer. Never beside a running writer, whose
   * own sync must be the one that learns of a write-back error. fdatasync needs no write access and changes nothing.
   */
  readonly settle: boolean;
}

/** Opens a file so that reads are answered by the disk, as far as `access` says. Rejects with `IO_NOT_FOUND` where there is none. */
export async function openDisk(access: DiskAccess, path: string): Promise<DiskFile> {
  const { io } = access;
  const cached = await io.open(path, { access: "read" });
  let file = cached;
  try {
    if (access.settle) {
      await cached.sync();
      await cached.dropCache();
    }
    if (access.direct) file = await openDirect(io, path, cached);
    return new DiskFile(io, file, await file.size());
  } catch (error) {
    await file.close();
    throw error;
  } finally {
    if (file !== cached) await cached.close();
  }
}

async function openDirect(io: IoBackend, path: string, fallback: IoFile): Promise<IoFile> {
  try {
    const file = await io.open(path, { access: "read", direct: true });
    if (file.alignment <= SMALLEST_BLOCK) return file;
    await file.close();
  } catch (error) {
    if (!(error instanceof IoError && error.code === "IO_UNSUPPORTED")) throw error;
  }
  return fallback;
}

export interface ReadResult {
  /** Bytes filled, from the start of the region; fewer than asked for only at the end of the file. */
  readonly length: number;
  /** Ranges [from, to), as offsets in the file, that the device refuses to read. They are zero-filled. */
  readonly unreadable: readonly (readonly [from: number, to: number])[];
}

/** A file of the log, opened for reading, with the images that stand in for some of its bytes. */
export class DiskFile {
  readonly #io: IoBackend;
  readonly #file: IoFile;
  #overlay: readonly OverlayImage[] = [];
  /** Length in bytes when it was opened. */
  readonly size: number;

  constructor(io: IoBackend, file: IoFile, size: number) {
    this.#io = io;
    this.#file = file;
    this.size = size;
  }

  get path(): string {
    return this.#file.path;
  }

  /** From now on `image` is read in place of what the file holds there, and of an earlier image of that place. */
  overlay(image: OverlayImage): void {
    this.#overlay = [...this.#overlay.filter(({ offset }) => offset !== image.offset), image];
  }

  arena(bytes: number): Arena {
    return this.#io.arena(bytes);
  }

  /**
   * Fills `arena` from its start with [offset, offset + length) of the file; both multiples of 4,096. Where the device
   * refuses, block by block, so that one bad block does not take its neighbours with it.
   */
  async read(arena: Arena, offset: number, length: number): Promise<ReadResult> {
    const bytes = Math.min(
      length,
      Math.max(0, Math.ceil((this.size - offset) / SMALLEST_BLOCK) * SMALLEST_BLOCK),
    );
    if (bytes === 0) return this.#covered(arena, offset, 0, []);
    try {
      const got = await this.#file.read({ arena, start: 0, length: bytes }, offset);
      return this.#covered(arena, offset, got, []);
    } catch (error) {
      if (!isReadFailure(error)) throw error;
    }
    const unreadable: [number, number][] = [];
    let got = 0;
    for (let at = 0; at < bytes; at += SMALLEST_BLOCK) {
      try {
        got = at + (await this.#file.read({ arena, start: at, length: SMALLEST_BLOCK }, offset + at));
      } catch (error) {
        if (!isReadFailure(error)) throw error;
        arena.bytes.fill(0, at, at + SMALLEST_BLOCK);
        got = at + SMALLEST_BLOCK;
        const last = unreadable.at(-1);
        if (last !== undefined && last[1] === offset + at) last[1] += SMALLEST_BLOCK;
        else unreadable.push([offset + at, offset + at + SMALLEST_BLOCK]);
      }
    }
    return this.#covered(arena, offset, got, unreadable);
  }

  #covered(
    arena: Arena,
    offset: number,
    length: number,
    unreadable: readonly (readonly [number, number])[],
  ): ReadResult {
    for (const image of this.#overlay) {
      const from = Math.max(image.offset, offset);
      const to = Math.min(image.offset + image.bytes.length, offset + length);
      if (from >= to) continue;
      arena.bytes.set(image.bytes.subarray(from - image.offset, to - image.offset), from - offset);
      unreadable = unreadable.flatMap((range) => without(range, from, to));
    }
    return { length, unreadable };
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function without(range: readonly [number, number], from: number, to: number): (readonly [number, number])[] {
  const left: [number, number] = [range[0], Math.min(range[1], from)];
  const right: [number, number] = [Math.max(range[0], to), range[1]];
  return [left, right].filter(([start, end]) => start < end);
}

function isReadFailure(error: unknown): boolean {
  return error instanceof IoError && error.code === "IO_READ_FAILED";
}

/** Whether any part of [from, to) is in one of the ranges. */
export function overlaps(ranges: readonly (readonly [number, number])[], from: number, to: number): boolean {
  return ranges.some(([start, end]) => start < to && from < end);
}
