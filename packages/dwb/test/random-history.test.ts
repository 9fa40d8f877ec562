import fc from "fast-check";
import { expect, test } from "vitest";
import type { Dwb, DwbTicket } from "../src/index.js";
import { newDisk, open, pattern, read } from "./support/buffer.js";

/**
 * Random histories against a model that knows only the promises: what a flush acknowledged stays recoverable until it was released and the
 * ring needed its slots; a void that was acknowledged takes older copies away for good; nothing comes back that was not staged.
 */

type Action =
  | { readonly do: "stage"; readonly key: number; readonly length: number }
  | { readonly do: "void"; readonly key: number }
  | { readonly do: "release"; readonly count: number }
  | { readonly do: "flush" };

const key = fc.nat(3);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("stage" as const),
      key,
      length: fc.integer({ min: 1, max: 2500 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("void" as const), key }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("release" as const), count: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("flush" as const) }) },
);

interface Staged {
  readonly key: number;
  /** 0: a void. */
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly ticket: DwbTicket;
  acknowledged: boolean;
  released: boolean;
}

class Model {
  readonly staged: Staged[] = [];
  #version = 0;

  async apply(dwb: Dwb, life: number, action: Action): Promise<void> {
    if (action.do === "flush") {
      const waiting = [...this.staged];
      await dwb.flush();
      for (const one of waiting) one.acknowledged = true;
    } else if (action.do === "release") {
      const held = this.staged.filter((one) => !one.released).slice(0, action.count);
      for (const one of held) {
        dwb.release(one.ticket);
        one.released = true;
      }
    } else if (action.do === "void") {
      if (dwb.fits(0) === "now") this.#add(action.key, 0, new Uint8Array(), dwb.stageVoid(action.key));
    } else if (dwb.fits(action.length) === "now") {
      const version = ++this.#version;
      const bytes = pattern(action.length, version * 7 + life);
      const ticket = dwb.stage({ key: action.key, target: 1, offset: action.key, version, bytes });
      this.#add(action.key, version, bytes, ticket);
    }
  }

  #add(key: number, version: number, bytes: Uint8Array, ticket: DwbTicket): void {
    this.staged.push({ key, version, bytes, ticket, acknowledged: false, released: false });
  }

  /** Checks what is on the disk after a crash. */
  check(images: Iterable<{ key: bigint; version: bigint; bytes(): Uint8Array }>): void {
    const found = [...images];
    for (const image of found) {
      const source = this.staged.find((one) => one.version === Number(image.version) && one.version > 0);
      expect(image.bytes()).toEqual(source?.bytes);
      const at = this.staged.indexOf(source!);
      const voided = this.staged
        .slice(at)
        .some((one) => one.key === source!.key && one.version === 0 && one.acknowledged && !one.released);
      expect(voided, `version ${image.version} is void`).toBe(false);
    }
    for (const [at, one] of this.staged.entries()) {
      if (!one.acknowledged || one.released || one.version === 0) continue;
      // A later void, flushed or not, may have taken it away.
      const mayBeVoid = this.staged.slice(at).some((later) => later.key === one.key && later.version === 0);
      if (!mayBeVoid) expect(found.map(({ version }) => Number(version))).toContain(one.version);
    }
  }
}

test("random histories over several lives: nothing acknowledged is lost, nothing void or foreign comes back", async () => {
  const life = fc.record({
    actions: fc.array(action, { maxLength: 25 }),
    crashAfter: fc.integer({ min: 1, max: 120 }),
  });
  let recovered = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1 }),
      fc.array(life, { minLength: 1, maxLength: 4 }),
      async (seed, lives) => {
        const disk = newDisk({ seed });
        await (await open(disk.mount())).close();
        for (const [number, { actions, crashAfter }] of lives.entries()) {
          const dwb = await open(disk.mount(), { mode: number % 2 === 0 ? "buffered" : "direct" });
          dwb.releaseRecovered();
          const model = new Model();
          disk.crashAfter(crashAfter);
          const crashes = disk.crashes;
          try {
            for (const one of actions) await model.apply(dwb, number, one);
          } catch (error) {
            if (disk.crashes === crashes) throw error;
          }
          disk.crashAfter(undefined);
          if (disk.crashes === crashes) disk.crash();
          const oldLife = new Set(model.staged.map(({ version }) => BigInt(version)));
          const images = [...(await read(disk.mount()))];
          // Of this life, told by their bytes: earlier lives used the same versions.
          const mine = images.filter(
            ({ ringSequence }) =>
              ringSequence >= (model.staged[0]?.ticket.ringSequence ?? Number.POSITIVE_INFINITY),
          );
          expect(mine.every(({ version }) => oldLife.has(version))).toBe(true);
          model.check(mine);
          recovered += mine.length;
          expect(disk.violations).toEqual([]);
        }
      },
    ),
    { numRuns: 250 },
  );
  expect(recovered).toBeGreaterThan(50);
});
