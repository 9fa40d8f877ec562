import { type Arena, type IoBackend, IoError, type IoFile } from "@stonewal/io";

export interface ReadDwbOptions {
  /**
   * Change nothing, not even by a sync, for readers beside a running writer. Default false: the file is synced before
   * it is read, because pages that are still dirty are not yet on the disk, and cannot be dropped from the cache.
   */
  readonly readOnly?: boolean;
}

/** Opens `path` so that reads are answered by the disk, not by the page cache; `undefined` if there is no such file. */
export async function openForReading(
  io: IoBackend,
  path: string,
  options: ReadDwbOptions,
): Promise<DiskReader | undefined> {
  try {
    const cached = await io.open(path, { access: options.readOnly ? "read" : "write" });
    try {
      // After a failed sync the kernel may serve pages that the disk never got: only what is read back from the disk
      // may be believed. https://wiki.postgresql.org/wiki/Fsync_Errors
      if (!options.readOnly) await cached.sync();
      await cached.dropCache();
    } finally {
      await cached.close();
    }
    const file = await openDirect(io, path);
    return new DiskReader(io, file, await file.size());
  } catch (error) {
    if (error instanceof IoError && error.code === "IO_NOT_FOUND") return undefined;
    throw error;
  }
}

async function openDirect(io: IoBackend, path: string): Promise<IoFile> {
  try {
    return await io.open(path, { access: "read", direct: true });
  } catch (error) {
    if (error instanceof IoError && error.code === "IO_UNSUPPORTED") return io.open(path, { access: "read" });
    throw error;
  }
}

/** Reads any range of a file, whatever alignment the file needs. */
export class DiskReader {
  readonly #io: IoBackend;
  readonly #file: IoFile;
  readonly size: number;
  #arena: Arena | undefined;

  constructor(io: IoBackend, file: IoFile, size: number) {
    this.#io = io;
    this.#file = file;
    this.size = size;
  }

  /**
   * Bytes of [offset, offset + length), fewer at the end of the file; `unreadable` where the device refuses. Valid until the next
   * call. Any failure but a device error rejects.
   */
  async read(offset: number, length: number): Promise<Uint8Array | "unreadable"> {
    const { alignment } = this.#file;
    const from = offset - (offset % alignment);
    // Not by what a length in the file says: there may be less behind it, and memory is taken for what is there.
    const end = Math.max(offset, Math.min(offset + length, this.size));
    const needed = Math.max(1, Math.ceil((end - from) / alignment)) * alignment;
    if (this.#arena === undefined || this.#arena.bytes.length < needed) this.#arena = this.#io.arena(needed);
    try {
      const got = await this.#file.read({ arena: this.#arena, start: 0, length: needed }, from);
      return this.#arena.bytes.subarray(
        offset - from,
        Math.max(offset - from, Math.min(got, offset - from + length)),
      );
    } catch (error) {
      if (error instanceof IoError && error.code === "IO_READ_FAILED") return "unreadable";
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
