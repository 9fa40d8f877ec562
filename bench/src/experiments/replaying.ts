import { type Bench, type Experiment, runCase, withStores } from "../experiment.js";
import { FLOOR } from "../floor.js";
import { BATCH, fill, REPLAYED_SIZES, replayFigures, replaySide } from "../replay.js";
import type { CaseResult } from "../results.js";
import type { Side } from "../round.js";
import { segmentFiles } from "../segment-files.js";
import { databases } from "../stores/others.js";
import { FROM_CACHE, STONEWAL, StonewalStore, stonewal } from "../stores/stonewal.js";
import type { Store } from "../stores/store.js";
import { summarize } from "../summary.js";

/** Filling a store that keeps everything, and reading it back in order. */
export const replaying: Experiment = {
  name: "replaying",
  title: "a store filled in batches of 1,000, and read from end to end",
  async *run(bench) {
    for (const { name, payloadBytes } of REPLAYED_SIZES) {
      yield* withStores(bench, [stonewal(STONEWAL, {}), ...databases], (stores) =>
        cases(bench, stores, name, payloadBytes),
      );
    }
  },
};

async function* cases(
  bench: Bench,
  stores: readonly Store[],
  size: string,
  payloadBytes: number,
): AsyncGenerator<CaseResult> {
  const batches = Math.ceil(bench.plan.replayBytes / payloadBytes / BATCH);
  const records = batches * BATCH;
  const parameters = { records, payloadBytes };
  const filled: CaseResult["sides"] = Object.fromEntries(
    await inTurn(stores, async (store) => {
      bench.signal.throwIfAborted();
      return [store.name, await fillOnce(store, batches, payloadBytes)] as const;
    }),
  );
  yield { experiment: "filling", name: size, parameters, sides: filled };

  const sides = stores.map(({ name, replay }, index) =>
    replaySide(name, async () => replay?.call(stores[index]), records, payloadBytes),
  );
  const log = stores.find((store) => store.name === STONEWAL);
  if (log instanceof StonewalStore) {
    sides.push(replaySide(FROM_CACHE, () => log.replay({ direct: false }), records, payloadBytes));
    sides.push(await readSide(bench, log, records, payloadBytes));
  }
  yield await runCase(bench, { experiment: "replaying", name: size, parameters }, sides);
}

/** Once: a store can be filled for the first time only once. */
async function fillOnce(store: Store, batches: number, payloadBytes: number) {
  const milliseconds = await fill(store, batches, payloadBytes);
  const perSecond = ((batches * BATCH) / milliseconds) * 1000;
  return summarize([{ figures: { perSecond, bytesPerSecond: perSecond * payloadBytes } }]);
}

/** The log's files, read by the floor as the log reads them. */
async function readSide(
  bench: Bench,
  { wal }: StonewalStore,
  records: number,
  payloadBytes: number,
): Promise<Side> {
  const files = await segmentFiles(wal.directory);
  const bytes = wal.stats().segmentBytesWritten;
  return {
    name: FLOOR,
    round: async () => {
      const milliseconds = await bench.floor.readOnce(files, bytes, wal.direct);
      return { figures: replayFigures(records, payloadBytes, milliseconds) };
    },
  };
}

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}
