import { crc32 } from "node:zlib";
import { type Dwb, type DwbTicket, openDwb, readDwb } from "@stonewal/dwb";
import { type Arena, type IoBackend, IoError, type IoFile } from "@stonewal/io";

/**
 * A file of fixed-size pages that are overwritten in place, with no log: what a power cut would tear is put right from the double-write buffer.
 *
 *     page:  0 u32 CRC-32 of the rest   4 u32 page number   8 u64 version   16 payload
 *
 * A page of zeros was never written. Versions go up over the whole file, so a copy is newer than a page exactly if its version is greater.
 */

const HEADER_BYTES = 16;
/** This buffer protects one file only. */
const TARGET = 1;

export interface PageFileOptions {
  readonly io: IoBackend;
  /** An existing directory; `pages` and `pages.dwb` are made in it. One process at a time may have it open. */
  readonly directory: string;
  readonly pages: number;
  /** A multiple of 512. Default 4,096. */
  readonly pageBytes?: number;
  /** Pages that may be on their way at a time. Default 64. */
  readonly slots?: number;
}

/** A page that is torn, and of which there is no good copy. */
export class TornPageError extends Error {
  constructor(readonly page: number) {
    super(`page ${page} is damaged and there is no copy of it`);
  }
}

export class PageFile {
  readonly dwb: Dwb;
  readonly #io: IoBackend;
  readonly #home: IoFile;
  readonly #pageBytes: number;
  readonly #pages: number;
  #version: number;
  /** Of each page, the write in progress: a page's home is written by one at a time. */
  readonly #busy = new Map<number, Promise<unknown>>();
  #waitingForRoom: (() => void)[] = [];
  #failure: unknown;

  private constructor(
    dwb: Dwb,
    io: IoBackend,
    home: IoFile,
    facts: { readonly pages: number; readonly pageBytes: number; readonly version: number },
  ) {
    this.dwb = dwb;
    this.#io = io;
    this.#home = home;
    this.#pages = facts.pages;
    this.#pageBytes = facts.pageBytes;
    this.#version = facts.version;
  }

  static async open(options: PageFileOptions): Promise<PageFile> {
    const { io, directory, pages, pageBytes = 4096, slots = 64 } = options;
    const home = await openHome(io, directory, pages * pageBytes);
    const path = `${directory}/pages.dwb`;
    const version = await putBack(io, home, path, pages, pageBytes);
    const dwb = await openDwb({ io, path, mode: "buffered", slots, slotBytes: pageBytes, blockBytes: 512 });
    // Every torn page is in its place again, and synced: the copies may be overwritten.
    dwb.releaseRecovered();
    return new PageFile(dwb, io, home, { pages, pageBytes, version });
  }

  /** A page's payload; zeros if it was never written. Rejects with `TornPageError`. */
  async read(page: number): Promise<Uint8Array> {
    const bytes = await readPage(this.#io, this.#home, this.#offset(page), this.#pageBytes);
    if (versionOf(bytes, page) === undefined) throw new TornPageError(page);
    return bytes.subarray(HEADER_BYTES);
  }

  /** Resolves when the page is durable. A crash on the way leaves the old page or the new one. */
  write(page: number, payload: Uint8Array): Promise<void> {
    return this.#alone(page, async () => {
      const bytes = this.#encode(page, payload);
      const version = this.#version;
      const key = page;
      const offset = this.#offset(page);
      const ticket = await this.#room(() => this.dwb.stage({ key, target: TARGET, offset, version, bytes }));
      // Not before the copy is safe may the page itself be touched.
      await this.dwb.flush();
      await this.#writeHome(page, bytes);
      this.#release(ticket);
    });
  }

  /**
   * As `write`, without a copy: half the bytes, and a crash on the way may leave the page torn, which is told by `TornPageError`. For pages that can be
   * had again from elsewhere.
   */
  writeUnprotected(page: number, payload: Uint8Array): Promise<void> {
    return this.#alone(page, async () => {
      const bytes = this.#encode(page, payload);
      let ticket: DwbTicket | undefined;
      if (this.dwb.holds(page)) {
        // Or, were this write torn, an old copy would be put back over everything that was written since without one.
        ticket = await this.#room(() => this.dwb.stageVoid(page));
        await this.dwb.flush();
      }
      await this.#writeHome(page, bytes);
      if (ticket !== undefined) this.#release(ticket);
    });
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#busy.values());
    await this.dwb.close();
    await this.#home.close();
  }

  #offset(page: number): number {
    if (!Number.isInteger(page) || page < 0 || page >= this.#pages) throw new RangeError(`no page ${page}`);
    return page * this.#pageBytes;
  }

  #encode(page: number, payload: Uint8Array): Uint8Array {
    if (payload.length > this.#pageBytes - HEADER_BYTES)
      throw new RangeError("the payload is larger than a page");
    const bytes = new Uint8Array(this.#pageBytes);
    const view = new DataView(bytes.buffer);
    view.setUint32(4, page, true);
    view.setBigUint64(8, BigInt(++this.#version), true);
    bytes.set(payload, HEADER_BYTES);
    view.setUint32(0, crc32(bytes.subarray(4)), true);
    return bytes;
  }

  async #writeHome(page: number, bytes: Uint8Array): Promise<void> {
    const region = regionWith(this.#io, bytes);
    const write = { kind: "write", file: this.#home, region, offset: this.#offset(page) } as const;
    await this.#io.submit([write, { kind: "sync", file: this.#home }]);
  }

  /** Stages once there are free slots. */
  async #room(stage: () => DwbTicket): Promise<DwbTicket> {
    while (this.#failure === undefined && this.dwb.fits(this.#pageBytes) === "later")
      await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
    if (this.#failure !== undefined) throw this.#failure;
    return stage();
  }

  #release(ticket: DwbTicket): void {
    this.dwb.release(ticket);
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waitingForRoom;
    this.#waitingForRoom = [];
    for (const resolve of waiting) resolve();
  }

  /** One write of a page after another. After a failure nothing is written any more: what is on the disk is not known. */
  #alone(page: number, act: () => Promise<void>): Promise<void> {
    const before = this.#busy.get(page) ?? Promise.resolve();
    const mine = before.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        await act();
      } catch (error) {
        this.#failure ??= error;
        this.#wake();
        throw error;
      }
    });
    const settled = mine.catch(() => undefined);
    this.#busy.set(page, settled);
    return mine;
  }
}

/** Puts back every page that is torn, or older than its copy; the greatest version there is. */
async function putBack(
  io: IoBackend,
  home: IoFile,
  dwbPath: string,
  pages: number,
  pageBytes: number,
): Promise<number> {
  // What is read must be what is on the disk: after a failed sync the page cache may hold pages that it never got.
  await home.sync();
  await home.dropCache();
  const images = await readDwb(io, dwbPath);
  let greatest = 0;
  for (let page = 0; page < pages; page++) {
    const current = versionOf(await readPage(io, home, page * pageBytes, pageBytes), page);
    const copy = images?.newest(page);
    const bytes = copy?.bytes();
    // A copy must be what its slot says, and what this page can be.
    const version =
      bytes?.length === pageBytes && copy?.target === BigInt(TARGET) && copy.offset === page * pageBytes
        ? versionOf(bytes, page)
        : undefined;
    greatest = Math.max(greatest, current ?? 0, version ?? 0);
    if (bytes === undefined || version === undefined || (current !== undefined && current >= version))
      continue;
    // A slot that cannot be read may hold a newer copy than the one that was found.
    if (current === undefined && images !== undefined && images.unreadableSlots.length > 0) continue;
    const region = regionWith(io, bytes);
    await io.submit([{ kind: "write", file: home, region, offset: page * pageBytes }]);
  }
  await home.sync();
  return greatest;
}

/** The file gets its name when it has its size, so it is never found half made. */
async function openHome(io: IoBackend, directory: string, bytes: number): Promise<IoFile> {
  const path = `${directory}/pages`;
  const names = await io.list(directory);
  if (!names.includes("pages")) {
    if (names.includes("pages.new")) await io.unlink(`${path}.new`);
    const file = await io.open(`${path}.new`, { access: "create" });
    await file.writeZeros(0, bytes);
    await file.close();
    await io.rename(`${path}.new`, path);
    await io.syncDirectory(directory);
  }
  const file = await io.open(path, { access: "write" });
  if ((await file.size()) !== bytes) throw new IoError("IO_ARGUMENT", `${path} is not ${bytes} bytes long`);
  return file;
}

/** A page's version, 0 if it was never written; `undefined` if it is not intact. */
function versionOf(bytes: Uint8Array, page: number): number | undefined {
  if (bytes.every((byte) => byte === 0)) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== crc32(bytes.subarray(4)) || view.getUint32(4, true) !== page)
    return undefined;
  return Number(view.getBigUint64(8, true));
}

async function readPage(io: IoBackend, file: IoFile, offset: number, length: number): Promise<Uint8Array> {
  const arena = io.arena(length);
  const count = await file.read({ arena, start: 0, length }, offset);
  return arena.bytes.subarray(0, count);
}

function regionWith(io: IoBackend, bytes: Uint8Array): { arena: Arena; start: number; length: number } {
  const arena = io.arena(bytes.length);
  arena.bytes.set(bytes);
  return { arena, start: 0, length: bytes.length };
}
