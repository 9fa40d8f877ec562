import type { DwbTicket } from "@stonewal/dwb";
import type { IoFile } from "@stonewal/io";
import { SimDisk } from "@stonewal/io-sim";
import { expect, test } from "vitest";
import type { SealedFrame } from "../src/frame-assembler.js";
import { HomeWrites } from "../src/home-writes.js";
import { type Copy, Protection } from "../src/protection.js";
import { Counters } from "../src/stats.js";
import { turns } from "./support/sim-log.js";

const FOLIO = 65_536;

/** What is given back of frames that end there, as `arrived` is told of one group after the other. */
function releasedAfter(...groups: readonly (readonly [file: IoFile, ends: readonly number[]])[]): number[][] {
  const released: number[] = [];
  class Watched extends Protection {
    override release(copies: readonly Copy[]): void {
      released.push(...copies.map(({ end }) => end));
    }
  }
  const counters = new Counters();
  const home = new HomeWrites(
    {
      io: new SimDisk().mount(),
      protection: new Watched(undefined, counters, { untorn: false, direct: false }),
      counters,
      file: () => groups[0]![0],
      chainBytes: FOLIO,
      release: () => undefined,
      onProgress: () => undefined,
      onFailure: () => undefined,
    },
    { lsn: 0, watermark: 1 },
  );
  return groups.map(([file, ends]) => {
    const ticket: DwbTicket = { ringSequence: 1, slots: 1, key: 1n };
    const copies = ends.map((end) => ({ ticket, end }));
    home.arrived(file, copies, ends.at(-1) as number);
    return released.splice(0);
  });
}

const fileOf = (direct: boolean) => ({ direct }) as IoFile;

test("copies of frames in the last folio of a buffered file stay until it has been left behind", () => {
  const file = fileOf(false);
  const groups = [
    [file, [FOLIO - 4096, FOLIO + 4096]],
    [file, [FOLIO + 8192]],
    [file, [2 * FOLIO]],
    [file, [2 * FOLIO + 4096]],
  ] as const;
  expect(releasedAfter(...groups)).toEqual([[FOLIO - 4096], [], [FOLIO + 4096, FOLIO + 8192, 2 * FOLIO], []]);
});

test("those of another file go when the next one is written, however far in it they end", () => {
  const groups = [
    [fileOf(false), [9 * FOLIO + 4096]],
    [fileOf(false), [4096]],
  ] as const;
  expect(releasedAfter(...groups)).toEqual([[], [9 * FOLIO + 4096]]);
});

test("of a file that is written direct none stay", () => {
  const file = fileOf(true);
  expect(releasedAfter([file, [4096, 8192]], [file, [12_288]])).toEqual([[4096, 8192], [12_288]]);
});

test("frames go home when they take half of what the kept copies leave of the ring, and not before", async () => {
  const RING_SLOTS = 8;
  class Ring extends Protection {
    override get slots(): number {
      return RING_SLOTS;
    }
    override release(): void {}
  }
  /** Whether two slots are enough for it, with no time passing. */
  async function isDueBeside(keptSlots: number): Promise<boolean> {
    const io = new SimDisk().mount();
    const file = await io.open("/segment", { access: "create" });
    const counters = new Counters();
    const home = new HomeWrites(
      {
        io,
        protection: new Ring(undefined, counters, { untorn: false, direct: false }),
        counters,
        file: () => file,
        chainBytes: FOLIO,
        release: () => undefined,
        onProgress: () => undefined,
        onFailure: () => undefined,
      },
      { lsn: 0, watermark: 1 },
    );
    const copyOf = (slots: number, end: number): Copy => ({
      ticket: { ringSequence: 1, slots, key: 1n },
      end,
    });
    home.arrived(file, [copyOf(keptSlots, 4096)], 4096);
    const frame = { arena: io.arena(4096), offset: 4096, paddedLength: 4096, frameNumber: 2, lastLsn: 1 };
    home.add(frame as SealedFrame, copyOf(2, 8192));
    await turns();
    return home.frames === 0;
  }
  expect(await isDueBeside(3)).toBe(false);
  expect(await isDueBeside(4)).toBe(true);
});
