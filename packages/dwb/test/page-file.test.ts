import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IoBackend, Step } from "@stonewal/io";
import { pwrite } from "@stonewal/io-pwrite";
import { SimDisk } from "@stonewal/io-sim";
import { describe, expect, test } from "vitest";
import { PageFile, TornPageError } from "../examples/page-file.js";
import { type Mutant, preparedDisk, sweep } from "./support/page-history.js";

const SEEDS = [1, 2, 3, 4, 5, 6];

describe("the page file of the example", () => {
  test("on a real file: what is written is there at the next opening", async () => {
    const directory = await mkdtemp(join(tmpdir(), "stonewal-pages-"));
    try {
      for (let life = 1; life <= 3; life++) {
        const io = pwrite();
        const file = await PageFile.open({ io, directory, pages: 100 });
        for (let page = 0; page < 100; page++)
          expect((await file.read(page))[0]).toBe(life === 1 || page % 3 === 0 ? 0 : life - 1);
        const pages = Array.from({ length: 100 }, (_, page) => page).filter((page) => page % 3 !== 0);
        await Promise.all(
          pages.map((page) => {
            const payload = new Uint8Array(4080).fill(life);
            return page % 5 === 0 ? file.writeUnprotected(page, payload) : file.write(page, payload);
          }),
        );
        await file.close();
        await io.close();
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test("a page that was torn on the disk is put right at the next opening, and stays right", async () => {
    const disk = new SimDisk();
    const first = await PageFile.open({ io: disk.mount(), directory: "/", pages: 4 });
    for (const page of [1, 2]) await first.write(page, new Uint8Array(4080).fill(page));
    disk.crash();
    disk.corrupt("/pages", 2 * 4096 + 1024, new Uint8Array(1024));
    const second = await PageFile.open({ io: disk.mount(), directory: "/", pages: 4 });
    expect(await second.read(2)).toEqual(new Uint8Array(4080).fill(2));
    disk.crash("none");
    disk.corrupt("/pages.dwb", 0, new Uint8Array(65536 + 4096));
    const third = await PageFile.open({ io: disk.mount(), directory: "/", pages: 4 });
    expect(await third.read(2)).toEqual(new Uint8Array(4080).fill(2));
  });

  test("no copy and a torn page: an error, never bytes that nobody wrote", async () => {
    const disk = new SimDisk();
    const file = await PageFile.open({ io: disk.mount(), directory: "/", pages: 4 });
    await file.write(1, new Uint8Array(10).fill(1));
    await file.writeUnprotected(1, new Uint8Array(10).fill(2));
    disk.crash();
    disk.corrupt("/pages", 4096 + 20, Uint8Array.of(9));
    const next = await PageFile.open({ io: disk.mount(), directory: "/", pages: 4 });
    await expect(next.read(1)).rejects.toBeInstanceOf(TornPageError);
  });

  test("a torn page whose newest copy may be in a slot that cannot be read is not set back to an older one", async () => {
    const disk = new SimDisk();
    const file = await PageFile.open({ io: disk.mount(), directory: "/", pages: 4 });
    await file.write(1, new Uint8Array(10).fill(1));
    await file.write(1, new Uint8Array(10).fill(2));
    disk.crash();
    disk.corrupt("/pages", 4096 + 20, Uint8Array.of(9));
    disk.makeUnreadable("/pages.dwb", 65536 + 4608, 512);
    const next = await PageFile.open({ io: disk.mount(), directory: "/", pages: 4 });
    await expect(next.read(1)).rejects.toBeInstanceOf(TornPageError);
  });
});

describe("power cuts at every boundary of a small history, and in the recovery after it", () => {
  test("no page is torn, or older than what was acknowledged", async () => {
    const { crashes, problem } = await sweep(await preparedDisk(), SEEDS);
    expect(problem).toBeUndefined();
    expect(crashes).toBeGreaterThan(500);
  }, 120_000);

  /** Changes the chains of one file. */
  function chains(change: (step: Step) => Step[]): (io: IoBackend) => IoBackend {
    return (io) =>
      new Proxy(io, {
        get(target, name) {
          if (name === "submit") return (chain: readonly Step[]) => target.submit(chain.flatMap(change));
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
  }

  const inBuffer = (step: Step): boolean => step.file.path.endsWith(".dwb");
  const mutants: [name: string, mutant: Mutant][] = [
    [
      "the copy is not synced before the page is written",
      {
        io: chains((step) => {
          if (!inBuffer(step)) return [step];
          return step.kind === "sync" ? [] : [{ ...step, durable: false }];
        }),
      },
    ],
    [
      "the page is not synced before its slot is released",
      { io: chains((step) => (step.kind === "sync" && !inBuffer(step) ? [] : [step])) },
    ],
    [
      "a slot is released before its page is written",
      {
        file: ({ dwb }) => {
          const stage = dwb.stage.bind(dwb);
          dwb.stage = (image) => {
            const ticket = stage(image);
            dwb.release(ticket);
            return ticket;
          };
        },
      },
    ],
    [
      "older copies are not made void before an unprotected write",
      {
        file: ({ dwb }) => {
          dwb.holds = () => false;
        },
      },
    ],
    [
      "voids are not synced before the unprotected write",
      {
        file: ({ dwb }) => {
          const stageVoid = dwb.stageVoid.bind(dwb);
          const flush = dwb.flush.bind(dwb);
          let skip = false;
          dwb.stageVoid = (key) => {
            skip = true;
            return stageVoid(key);
          };
          dwb.flush = async () => {
            if (!skip) return flush();
            skip = false;
          };
        },
      },
    ],
  ];

  test.each(mutants)(
    "it is noticed when %s",
    async (_, mutant) => {
      const { problem } = await sweep(await preparedDisk(), SEEDS, mutant);
      expect(problem).toMatch(/torn|acknowledged|mixture/);
    },
    120_000,
  );
});
