import { expect, test } from "vitest";
import { DiskWork, type Wait } from "../src/disk-work.js";

/** Work of one wait; what it was told of that. */
function workWith(wait: Wait): { work: DiskWork; told: string[] } {
  const told: string[] = [];
  function* parts(): Generator<Wait, void, void> {
    try {
      yield wait;
      told.push("over");
    } catch (error) {
      told.push((error as Error).message);
    }
  }
  const work = new DiskWork(parts(), () => told.push("end"));
  return { work, told };
}

test("a wait that can't be begun has failed, and is never taken for over", async () => {
  const begin = (): Promise<void> => {
    throw new Error("not begun");
  };
  const { work, told } = workWith({ begin });
  work.start();
  expect(told).toEqual(["not begun", "end"]);
  await Promise.resolve();
  expect(told).toHaveLength(2);
});

test("what beginning a wait calls can't go on from it, as if it were over", async () => {
  let going: DiskWork | undefined;
  let wentOn: boolean | undefined;
  const begin = async () => {
    wentOn = going?.finishNow();
  };
  const { work, told } = workWith({ begin, block: () => undefined });
  going = work;
  work.start();
  expect(wentOn).toBe(false);
  expect(told).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual(["over", "end"]);
});
