import type { IoBackend, Step } from "@stonewal/io";

/** A back end that breaks one promise of the interface: what a bug in the writer's chains would come to. */
export type Mutation = (io: IoBackend) => IoBackend;

function withSubmit(change: (chain: readonly Step[]) => readonly Step[]): Mutation {
  return (io) =>
    new Proxy(io, {
      get(target, property) {
        if (property === "submit") return (chain: readonly Step[]) => target.submit(change(chain));
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
function unsynced(path: RegExp): Mutation {
  return withSubmit((chain) =>
    chain.flatMap((step) => {
      if (!path.test(step.file.path)) return [step];
      return step.kind === "sync" ? [] : [{ ...step, durable: false }];
    }),
  );
}

/** Files that claim untorn writes, on a disk that tears them like any other; `count` is told of each. */
export function tornAllTheSame(count: () => void): Mutation {
  return withSubmit((chain) =>
    chain.map((step) => {
      if (step.kind !== "write" || step.untorn !== true) return step;
      count();
      return { ...step, untorn: false };
    }),
  );
}

export const mutations: Record<string, Mutation> = {
  "the log's sync is left out": unsynced(/\.wal$/),
  "the preamble's sync is left out": unsynced(/spare-\d+$/),
  "the anchor's sync is left out": unsynced(/anchor$/),
  "directories are not synced": without("syncDirectory"),
};
