import type { IoBackend, IoFile } from "@stonewal/io";
import { verifyLog } from "@stonewal/recovery";
import { expect, test } from "vitest";
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

test.each([
  ["appends", false],
  ["appends and frees", true],
] as const)(
  "a writer that opens, %s and closes while a log is verified leaves no damage",
  async (_, frees) => {
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
        if (frees) await brief.checkpoint(brief.durableLsn);
        await brief.close();
      });
      const { corruption, lastLsn } = await verifyLog({ io, directory: DIRECTORY });
      expect([at, corruption]).toEqual([at, []]);
      expect(lastLsn).toBeGreaterThanOrEqual(10);
    }
  },
);
