import type { IoBackend } from "@stonewal/io";
import { SimDisk } from "@stonewal/io-sim";
import { PageFile, TornPageError } from "../../examples/page-file.js";

/** Three pages of four sectors each, and a buffer of two slots: small enough to crash at every boundary. */

const PAGES = 3;
const PAGE_BYTES = 2048;

/** A way to break the protocol; each must be noticed. */
export interface Mutant {
  /** Stands between the page file and the disk. */
  readonly io?: (io: IoBackend) => IoBackend;
  readonly file?: (file: PageFile) => void;
}

/** What was asked for and what was acknowledged, page by page. */
class Ledger {
  readonly #attempts: { id: number; unprotected: boolean }[][] = Array.from({ length: PAGES }, () => []);
  readonly #acknowledged: number[] = new Array<number>(PAGES).fill(0);
  #ids = 0;

  async write(file: PageFile, page: number, unprotected = false): Promise<void> {
    const id = ++this.#ids;
    const payload = new Uint8Array(PAGE_BYTES - 16).fill(id);
    this.#attempts[page]!.push({ id, unprotected });
    await (unprotected ? file.writeUnprotected(page, payload) : file.write(page, payload));
    this.#acknowledged[page] = Math.max(this.#acknowledged[page]!, id);
  }

  /** What is wrong with a page, read after a crash. What it holds then is what it must not fall behind from now on. */
  async check(file: PageFile, page: number): Promise<string | undefined> {
    const acknowledged = this.#acknowledged[page]!;
    const later = this.#attempts[page]!.filter(({ id }) => id > acknowledged);
    try {
      const bytes = await file.read(page);
      const id = bytes[0]!;
      if (bytes.some((byte) => byte !== id)) return `page ${page} is a mixture`;
      if (id !== acknowledged && !later.some((attempt) => attempt.id === id))
        return `page ${page} holds ${id}, and ${acknowledged} was acknowledged`;
      this.#acknowledged[page] = id;
    } catch (error) {
      if (!(error instanceof TornPageError)) throw error;
      if (!later.some(({ unprotected }) => unprotected)) return `page ${page} is torn`;
    }
    return undefined;
  }
}

async function history(file: PageFile, io: IoBackend, ledger: Ledger): Promise<void> {
  await Promise.all([ledger.write(file, 0), ledger.write(file, 1)]);
  // One after another, each starting while the one before is somewhere on its way.
  const staggered: Promise<void>[] = [];
  for (const page of [0, 2, 1, 0]) {
    const write = ledger.write(file, page);
    // Waited for below, where the crash does not come first.
    write.catch(() => undefined);
    staggered.push(write);
    for (let i = 0; i < 4; i++) await io.isLocked("/");
  }
  await Promise.all(staggered);
  await ledger.write(file, 1, true);
  await Promise.all([ledger.write(file, 1, true), ledger.write(file, 2)]);
  await ledger.write(file, 1);
}

/** The disk with a page file that is made and empty. */
export async function preparedDisk(): Promise<SimDisk> {
  const disk = new SimDisk({ seed: 1 });
  const file = await openFile(disk.mount());
  await file.close();
  disk.crash();
  return disk;
}

function openFile(io: IoBackend): Promise<PageFile> {
  return PageFile.open({ io, directory: "/", pages: PAGES, pageBytes: PAGE_BYTES, slots: 2 });
}

export interface Outcome {
  /** The history ended before the crash point. */
  readonly complete: boolean;
  readonly problem: string | undefined;
}

/**
 * Runs the history until the power fails at boundary `point`, recovers (with another power cut in the middle of that, for odd seeds), checks
 * every page, writes on, and does it all once more.
 */
async function crashAt(base: SimDisk, point: number, seed: number, mutant: Mutant = {}): Promise<Outcome> {
  const disk = base.clone(seed);
  const ledger = new Ledger();
  const mount = (): IoBackend => {
    const io = disk.mount();
    return mutant.io?.(io) ?? io;
  };
  const open = async (io: IoBackend): Promise<PageFile> => {
    const file = await openFile(io);
    mutant.file?.(file);
    return file;
  };

  const io = mount();
  const file = await open(io);
  disk.crashAfter(point);
  await history(file, io, ledger).catch(assertCrash);
  const complete = disk.crashes === 0;
  if (complete) disk.crash();

  for (let round = 0; round < 2; round++) {
    if (seed % 2 === 1) {
      disk.crashAfter(1 + ((seed * 7 + point * 13) % 40));
      await open(mount()).catch(assertCrash);
      disk.crashAfter(undefined);
      disk.kill();
    }
    const recovered = await open(mount());
    for (let page = 0; page < PAGES; page++) {
      const problem = await ledger.check(recovered, page);
      if (problem !== undefined) return { complete, problem };
    }
    for (let page = 0; page < PAGES; page++) await ledger.write(recovered, page);
    disk.crash();
  }
  return { complete, problem: undefined };
}

function assertCrash(error: unknown): void {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if ((cause as { code?: string }).code === "IO_CLOSED") return;
  throw error;
}

/** Every crash point, with every seed, until the history is over; the first problem, and how many crashes it took. */
export async function sweep(
  base: SimDisk,
  seeds: readonly number[],
  mutant: Mutant = {},
): Promise<{ readonly crashes: number; readonly problem: string | undefined }> {
  let crashes = 0;
  for (let point = 1, over = false; !over; point++) {
    over = true;
    for (const seed of seeds) {
      const { complete, problem } = await crashAt(base, point, seed, mutant);
      crashes++;
      if (problem !== undefined) return { crashes, problem: `${problem} (seed ${seed}, crash at ${point})` };
      over &&= complete;
    }
  }
  return { crashes, problem: undefined };
}
