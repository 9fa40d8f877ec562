import type { IoBackend, IoFile, IoLock } from "@stonewal/io";
import { planRecovery, verifyLog } from "@stonewal/recovery";
import { describe, expect, test } from "vitest";
import type { Wal } from "../src/index.js";
import { bytes, DIRECTORY, makeDisk, openOn } from "./support/sim-log.js";

/** `io`, of which every opening and every read waits for `before` first. */
function interrupted(io: IoBackend, before: () => Promise<void>): IoBackend {
  const wrapped = <T extends object>(
    target: T,
    names: readonly string[],
    wrap: (result: unknown) => unknown,
  ) =>
    new Proxy(target, {
      get(_, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        if (!names.includes(String(name))) return value.bind(target) as unknown;
        return async (...given: unknown[]) => {
          await before();
          return wrap(await value.apply(target, given));
        };
      },
    });
  return wrapped(io, ["open"], (file) => wrapped(file as IoFile, ["read"], (result) => result));
}

/**
 * What `look` finds in a closed log while a writer opens, appends and ends, at every call that `look` makes: as often as there are
 * such calls. `check` is told which.
 */
async function besideABriefWriter<T>(
  end: (brief: Wal, lock: IoLock) => Promise<unknown>,
  look: (log: { readonly io: IoBackend; readonly directory: string }) => Promise<T>,
  check: (found: T, at: number) => void,
): Promise<void> {
  let calls = 0;
  for (let at = 1; calls >= at - 1; at += 1) {
    const disk = makeDisk();
    const first = await openOn(disk, { dwb: "off" });
    for (let i = 1; i <= 10; i += 1) {
      await first.commit({ payload: bytes(`r${i}`) });
      if (i % 4 === 0) await first.seal();
    }
    await first.close();
    calls = 0;
    const io = interrupted(disk.mount(), async () => {
      calls += 1;
      if (calls !== at) return;
      const mount = disk.mount();
      const take = mount.lock.bind(mount);
      const locks: IoLock[] = [];
      mount.lock = async (path) => {
        const lock = await take(path);
        locks.push(lock);
        return lock;
      };
      const brief = await openOn(disk, { dwb: "off", io: mount });
      for (let i = 11; i <= 15; i += 1) await brief.commit({ payload: bytes(`r${i}`) });
      await end(brief, locks[0] as IoLock);
    });
    check(await look({ io, directory: DIRECTORY }), at);
  }
}

describe.each([
  [
    "closes",
    async (brief: Wal) => {
      await brief.seal();
      await brief.close();
    },
  ],
  [
    "frees and closes",
    async (brief: Wal) => {
      await brief.seal();
      await brief.checkpoint(brief.durableLsn);
      await brief.close();
    },
  ],
  // With nothing in flight: what ends with its process is the lock.
  ["is killed", (_: Wal, lock: IoLock) => lock.release()],
] as const)("a writer that opens, appends and %s", (how, end) => {
  test("while a log is verified leaves no damage", () =>
    besideABriefWriter(end, verifyLog, ({ corruption, lastLsn }, at) => {
      expect([at, corruption]).toEqual([at, []]);
      expect(lastLsn).toBeGreaterThanOrEqual(10);
    }));

  test("while a repair is planned leaves nothing to be put right, and none of its files to be removed", () =>
    besideABriefWriter(end, planRecovery, (plan, at) => {
      const nothing = { restored: [], repaired: [], tornTail: undefined, aside: [], removed: [] };
      expect([at, plan]).toMatchObject([at, how === "is killed" ? {} : nothing]);
      expect(plan?.lastLsn).toBeGreaterThanOrEqual(10);
    }));
});
