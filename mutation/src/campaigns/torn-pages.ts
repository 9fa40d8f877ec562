import { strict as assert } from "node:assert";
import { type Dwb, type DwbImages, type DwbTicket, openDwb, readDwb } from "@stonewal/dwb";
import { type Arena, type IoBackend, IoError, type IoFile } from "@stonewal/io";
import { SimDisk } from "@stonewal/io-sim";
import { checksumRanges } from "@stonewal/record";
import { Random } from "stonewal-campaign";
import { isCrash } from "./log-under-test.js";

const PAGES = 6;
const WORKERS = 3;
const PAGE_BYTES = 2048;
const DWB = "/pages.dwb";
const SLOTS_START = 65_536;

/**
 * A file of pages that is overwritten in place, with the double-write buffer and without the log: a power cut tears pages in the
 * middle of being written, and the buffer has to have what they were to be, and nothing older than what was acknowledged.
 */
export async function tearPages(seed: number): Promise<void> {
  const random = new Random(seed);
  const crashPolicy = random.pick(["random", "random", "random", "none", "all"] as const);
  const disk = new SimDisk({ seed, crashPolicy, directAlignment: 512 });
  const pages = new Pages(disk, random);
  for (let life = 0; life < 5; life += 1) {
    disk.crashAfter(1 + random.below(random.pick([40, 120, 400])));
    const rule = { operation: "sync", path: /dwb$/, nth: 1 + random.below(8), effect: "partial" } as const;
    const fault = random.below(4) === 0 ? disk.fail(rule) : undefined;
    try {
      await pages.open(disk.mount());
      const workers = await Promise.allSettled([pages.work(0), pages.work(1), pages.work(2)]);
      for (const worker of workers) if (worker.status === "rejected") throw worker.reason;
    } catch (error) {
      if (!isCrash(error) && !fault?.struck) throw error;
    }
    fault?.cancel();
    if (random.below(3) === 0) disk.kill();
    else disk.crash();
    disk.crashAfter(undefined);
    await pages.open(disk.mount());
    await pages.check();
    disk.crash(random.pick(["random", "none"]));
  }
  await pages.checkRottenBuffer();
}

interface Attempt {
  readonly version: number;
  /** Without a copy: torn is what it may be until it is acknowledged. */
  readonly unprotected: boolean;
}

/** The pages, and what is known of them. Bytes 0 to 7 are the checksum, the version behind it fills the page. */
class Pages {
  readonly #disk: SimDisk;
  readonly #random: Random;
  readonly #acknowledged = new Array<number>(PAGES).fill(0);
  readonly #attempts: Attempt[][] = Array.from({ length: PAGES }, () => []);
  readonly #staged = new Map<number, Uint8Array>();
  #version = 0;
  #io!: IoBackend;
  #file!: IoFile;
  #dwb!: Dwb;

  constructor(disk: SimDisk, random: Random) {
    this.#disk = disk;
    this.#random = random;
  }

  async open(io: IoBackend): Promise<void> {
    this.#io = io;
    this.#file = await io.open("/pages", { access: "write" }).catch(async (error: unknown) => {
      if (!(error instanceof IoError) || error.code !== "IO_NOT_FOUND") throw error;
      const file = await io.open("/pages", { access: "create" });
      await file.writeZeros(0, PAGES * PAGE_BYTES);
      await io.syncDirectory("/");
      return file;
    });
    await this.#file.sync();
    const images = await readDwb(io, DWB);
    await this.#checkDurable(images);
    for (let page = 0; page < PAGES; page += 1) {
      if ((await this.#read(page)) !== undefined) continue;
      const image = images?.newest(page);
      if (image === undefined) continue;
      const arena = io.arena(PAGE_BYTES);
      arena.bytes.set(image.bytes());
      await this.#home([page], [arena]);
    }
    const mode = this.#random.pick(["buffered", "direct"] as const);
    this.#dwb = await openDwb({
      io,
      path: DWB,
      mode,
      slots: 6,
      slotBytes: 1024,
      blockBytes: 512,
      slotAlignment: 512,
    });
    this.#dwb.releaseRecovered();
  }

  /** What is read of the buffer is what a power cut would leave. */
  async #checkDurable(images: DwbImages | undefined): Promise<void> {
    const copy = this.#disk.clone();
    copy.crash("none");
    const left = new Set([...((await readDwb(copy.mount(), DWB)) ?? [])].map((image) => image.ringSequence));
    for (const { ringSequence, key } of images ?? [])
      assert.ok(
        left.has(ringSequence),
        `the copy of page ${key} was believed, and is only in the page cache`,
      );
  }

  /** Writes a few times, pages that no other worker writes. */
  async work(worker: number): Promise<void> {
    const random = this.#random;
    for (let steps = 2 + random.below(8); steps > 0; steps -= 1) {
      const pages = [worker, worker + WORKERS].filter(() => random.below(3) > 0);
      if (pages.length === 0) continue;
      if (random.below(2) === 0) await this.#writeUnprotected(pages[0] as number);
      else await this.#write(pages);
    }
  }

  async #write(pages: readonly number[]): Promise<void> {
    const arenas = pages.map((page) => this.#make(page, false));
    const versions = pages.map((page) => this.#attempts[page]!.at(-1)!.version);
    const tickets: DwbTicket[] = [];
    for (const [i, page] of pages.entries()) {
      const { bytes } = arenas[i] as Arena;
      const image = { key: page, target: 1, offset: page * PAGE_BYTES, version: versions[i]!, bytes };
      while (this.#dwb.fits(PAGE_BYTES) !== "now") await this.#othersRelease();
      tickets.push(this.#dwb.stage(image));
      this.#staged.set(versions[i]!, bytes.slice());
    }
    await this.#dwb.flush();
    await this.#home(pages, arenas);
    for (const ticket of tickets) this.#dwb.release(ticket);
    this.#acknowledge(pages, versions);
  }

  async #writeUnprotected(page: number): Promise<void> {
    const arena = this.#make(page, true);
    const { version } = this.#attempts[page]!.at(-1)!;
    while (this.#dwb.fits(0) !== "now") await this.#othersRelease();
    const ticket = this.#dwb.holds(page) ? this.#dwb.stageVoid(page) : undefined;
    await this.#dwb.flush();
    await this.#home([page], [arena]);
    if (ticket !== undefined) this.#dwb.release(ticket);
    this.#acknowledge([page], [version]);
  }

  /** Others have slots, which they will release. */
  async #othersRelease(): Promise<void> {
    // In flight only once it is flushed.
    await this.#dwb.flush();
    await this.#io.list("/");
  }

  /** A rotten byte in the buffer takes an image away, and never changes one. */
  async checkRottenBuffer(): Promise<void> {
    const disk = this.#disk;
    const size = disk.fileBytes(DWB).length;
    disk.corrupt(
      DWB,
      SLOTS_START + this.#random.below(size - SLOTS_START),
      Uint8Array.of(this.#random.below(256)),
    );
    for (const image of (await readDwb(disk.mount(), DWB)) ?? []) {
      const staged = this.#staged.get(Number(image.version));
      const same = staged !== undefined && Buffer.compare(image.bytes(), staged) === 0;
      assert.ok(same, `the buffer holds something for page ${image.key} that nobody has put there`);
    }
  }

  #make(page: number, unprotected: boolean): Arena {
    this.#version += 1;
    this.#attempts[page]!.push({ version: this.#version, unprotected });
    const arena = this.#io.arena(PAGE_BYTES);
    const view = new DataView(arena.bytes.buffer, arena.bytes.byteOffset, PAGE_BYTES);
    for (let at = 8; at < PAGE_BYTES; at += 4) view.setUint32(at, this.#version, true);
    view.setUint32(0, sum(arena.bytes), true);
    return arena;
  }

  async #home(pages: readonly number[], arenas: readonly Arena[]): Promise<void> {
    const file = this.#file;
    const writes = pages.map((page, i) => ({
      kind: "write" as const,
      file,
      region: { arena: arenas[i] as Arena, start: 0, length: PAGE_BYTES },
      offset: page * PAGE_BYTES,
    }));
    await this.#io.submit([...writes, { kind: "sync", file }]);
  }

  #acknowledge(pages: readonly number[], versions: readonly number[]): void {
    pages.forEach((page, i) => {
      this.#acknowledged[page] = Math.max(this.#acknowledged[page]!, versions[i]!);
    });
  }

  /** The version of a page; `undefined` for one that is torn. */
  async #read(page: number): Promise<number | undefined> {
    const arena = this.#io.arena(PAGE_BYTES);
    await this.#file.read({ arena, start: 0, length: PAGE_BYTES }, page * PAGE_BYTES);
    const view = new DataView(arena.bytes.buffer, arena.bytes.byteOffset, PAGE_BYTES);
    const version = view.getUint32(8, true);
    // Zeros are a page that was never written, and else one of which every sector was torn.
    if (this.#acknowledged[page] === 0 && arena.bytes.every((byte) => byte === 0)) return 0;
    return view.getUint32(0, true) === sum(arena.bytes) ? version : undefined;
  }

  async check(): Promise<void> {
    for (let page = 0; page < PAGES; page += 1) {
      const found = await this.#read(page);
      const acknowledged = this.#acknowledged[page]!;
      const since = this.#attempts[page]!.filter(({ version }) => version > acknowledged);
      if (found === undefined) {
        assert.ok(
          since.some(({ unprotected }) => unprotected),
          `page ${page} is torn, and every write of it had a copy`,
        );
        // As it would be after its owner has made it anew.
        const arena = this.#make(page, false);
        await this.#home([page], [arena]);
        this.#acknowledge([page], [this.#version]);
        continue;
      }
      const known = found === acknowledged || since.some(({ version }) => version === found);
      assert.ok(known, `page ${page} has version ${found}, and ${acknowledged} was acknowledged`);
      this.#acknowledged[page] = found;
      this.#attempts[page] = [];
    }
  }
}

function sum(bytes: Uint8Array): number {
  const sums = new Uint32Array(1);
  checksumRanges(bytes, Uint32Array.of(8, PAGE_BYTES - 8), 1, sums);
  return sums[0]!;
}
