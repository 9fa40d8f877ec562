import type { IoBackend, Step } from "@stonewal/io";

/** A back end that breaks one promise of the interface: what a bug in the writer's chains would come to. */
export type Mutation = (io: IoBackend) => IoBackend;

type Change = (chain: readonly Step[]) => readonly Step[];

const unchanged: Change = (chain) => chain;

function withChains(change: Change, changeBlocking = change): Mutation {
  return (io) =>
    new Proxy(io, {
      get(target, property) {
        if (property === "submit") return (chain: readonly Step[]) => target.submit(change(chain));
        if (property === "now" && target.now !== undefined) {
          const { now } = target;
          return { ...now, submit: (chain: readonly Step[]) => now.submit(changeBlocking(chain)) };
        }
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
}

function without(property: "syncDirectory"): Mutation {
  return (io) =>
    new Proxy(io, {
      get(target, name) {
        if (name === property) return () => Promise.resolve();
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
}

/** The chain without what makes writes to matching files durable. */
function unsynced(path: RegExp): Change {
  return (chain) =>
    chain.flatMap((step) => {
      if (!path.test(step.file.path)) return [step];
      return step.kind === "sync" ? [] : [{ ...step, durable: false }];
    });
}

/** Files that claim untorn writes, on a disk that tears them like any other; `count` is told of each. */
export function tornAllTheSame(count: () => void): Mutation {
  return withChains((chain) =>
    chain.map((step) => {
      if (step.kind !== "write" || step.untorn !== true) return step;
      count();
      return { ...step, untorn: false };
    }),
  );
}

export const mutations: Record<string, Mutation> = {
  "the log's sync is left out": withChains(unsynced(/\.wal$/)),
  "the preamble's sync is left out": withChains(unsynced(/spare-\d+$/)),
  "the anchor's sync is left out": withChains(unsynced(/anchor$/)),
  "a chain that blocks returns before the log's sync": withChains(unchanged, unsynced(/\.wal$/)),
  "directories are not synced": without("syncDirectory"),
};
