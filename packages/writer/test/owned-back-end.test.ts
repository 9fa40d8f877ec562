import { SimDisk } from "@stonewal/io-sim";
import { expect, test } from "vitest";
import { openLog } from "../src/index.js";

const options = {
  directory: "/log",
  segmentBytes: 262_144,
  frameBytes: 65_536,
  bufferBytes: 262_144,
  idleMs: 0,
};

test("a back end that belongs to the log is closed with it; one that does not stays usable", async () => {
  const disk = new SimDisk({ seed: 7 });
  const shared = disk.mount();
  await (await openLog({ ...options, io: shared })).close();
  expect(await shared.list("/log")).toContain("anchor");

  const owned = disk.mount();
  await (await openLog({ ...options, io: owned, ownsIo: true })).close();
  await expect(owned.list("/log")).rejects.toMatchObject({ code: "IO_CLOSED" });
});

test("a back end that belongs to the log is not left open where opening fails", async () => {
  const disk = new SimDisk({ seed: 7 });
  const wal = await openLog({ ...options, io: disk.mount() });
  for (const [wrong, code] of [
    [{}, "WAL_LOCKED"],
    [{ segmentBytes: 1 }, "WAL_ARGUMENT"],
  ] as const) {
    const owned = disk.mount();
    await expect(openLog({ ...options, io: owned, ownsIo: true, ...wrong })).rejects.toMatchObject({ code });
    await expect(owned.list("/log")).rejects.toMatchObject({ code: "IO_CLOSED" });
  }
  await wal.close();
});
