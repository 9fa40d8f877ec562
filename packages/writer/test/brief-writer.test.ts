import type { IoBackend, IoFile } from "@stonewal/io";
import { planRecovery, verifyLog } from "@stonewal/recovery";
import { describe, expect, test } from "vitest";
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
 * What `look` finds in a closed log while a writer opens, appends and closes it again, at every call that `look` makes: as often as there are
 * such calls. `check` is told which.
 */
async function besideABriefWriter<T>(
  frees: boolean,
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
      const brief = await openOn(disk, { dwb: "off" });
      for (let i = 11; i <= 15; i += 1) await brief.commit({ payload: bytes(`r${i}`) });
      await brief.seal();
      if (frees) await brief.checkpoint(brief.durableLsn);
      await brief.close();
    });
    check(await look({ io, directory: DIRECTORY }), at);
  }
}

describe.each([
  ["appends", false],
  ["appends and frees", true],
] as const)("a writer that opens, %s and closes", (_, frees) => {
  test("while a log is verified leaves no damage", () =>
    besideABriefWriter(frees, verifyLog, ({ corruption, lastLsn }, at) => {
      expect([at, corruption]).toEqual([at, []]);
      expect(lastLsn).toBeGreaterThanOrEqual(10);
    }));

  test("while a repair is planned leaves nothing to be put right, and none of its files to be removed", () =>
    besideABriefWriter(frees, planRecovery, (plan, at) => {
      const nothing = { restored: [], repaired: [], tornTail: undefined, aside: [], removed: [] };
      expect([at, plan]).toMatchObject([at, nothing]);
      expect(plan?.lastLsn).toBeGreaterThanOrEqual(10);
    }));
});
