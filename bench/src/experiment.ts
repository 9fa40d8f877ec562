import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import type { Floor } from "./floor.js";
import { measure } from "./measure.js";
import type { CaseResult, Plan } from "./results.js";
import type { Side } from "./round.js";
import type { Store, StoreKind } from "./stores/store.js";

/** What an experiment has to work with. */
export interface Bench {
  /** For everything it writes. */
  readonly directory: string;
  readonly floor: Floor;
  readonly plan: Plan;
  readonly signal: AbortSignal;
  /** Hears why something can't be had. */
  leaveOut(reason: string): void;
}

/** A question put to the disk: its cases come one after another. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  run(bench: Bench): AsyncIterable<CaseResult>;
}

/**
 * The stores that can be had here, each in a directory of its own, for as long as `use` takes; then all of it is gone. What can't
 * be had is left out, and said so.
 */
export async function* withStores<T>(
  bench: Bench,
  kinds: readonly StoreKind[],
  use: (stores: readonly Store[]) => AsyncIterable<T>,
): AsyncGenerator<T> {
  const directory = path.join(bench.directory, "stores");
  const stores: Store[] = [];
  try {
    for (const [index, kind] of kinds.entries()) {
      const own = path.join(directory, String(index));
      await mkdir(own, { recursive: true });
      try {
        const { segmentBytes } = bench.plan;
        stores.push(await kind.open(own, { segmentBytes }));
      } catch (error) {
        const [reason] = (error instanceof Error ? error.message : String(error)).split("\n");
        bench.leaveOut(`${kind.name}: ${reason}`);
      }
    }
    yield* use(stores);
  } finally {
    for (const store of stores) await store.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Measures the sides in turns. */
export async function runCase(
  bench: Bench,
  description: Omit<CaseResult, "sides">,
  sides: readonly Side[],
): Promise<CaseResult> {
  return { ...description, sides: await measure(sides, bench.plan, bench.signal) };
}
