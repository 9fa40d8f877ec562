import { expect, test } from "vitest";
import { SimDisk } from "../src/index.js";
import { codeOf, durableFile, filled, put, readAll } from "./process.js";

const SECTOR = 512;

test("a full disk takes what fits, refuses the rest, and goes on when there is room again", async () => {
  const disk = new SimDisk({ capacityBytes: 8 * SECTOR });
  const io = disk.mount();
  const a = await durableFile(io, "/a", filled(4 * SECTOR, 1));
  const b = await io.open("/b", { access: "create" });
  expect(await codeOf(b.writeZeros(0, 6 * SECTOR))).toBe("IO_NO_SPACE");
  expect(await b.size()).toBe(4 * SECTOR);
  expect(await codeOf(put(io, a, 0, filled(4 * SECTOR, 2)))).toBe("resolved");
  await b.close();
  await io.unlink("/b");
  expect(await codeOf(put(io, a, 4 * SECTOR, filled(4 * SECTOR, 2)))).toBe("resolved");
  expect(await codeOf(put(io, a, 8 * SECTOR, filled(1, 2)))).toBe("IO_NO_SPACE");
  disk.capacityBytes += SECTOR;
  expect(await codeOf(put(io, a, 8 * SECTOR, filled(1, 2)))).toBe("resolved");
});

test("a disk that fills up at the nth byte keeps what was written before it, and only whole sectors of what was not", async () => {
  for (let capacityBytes = 0; capacityBytes <= 6 * SECTOR; capacityBytes += SECTOR / 2) {
    const disk = new SimDisk({ capacityBytes });
    const io = disk.mount();
    const file = await io.open("/a", { access: "create" });
    const codes = [
      await codeOf(put(io, file, 0, filled(2 * SECTOR, 1))),
      await codeOf(put(io, file, 2 * SECTOR, filled(4 * SECTOR, 2))),
    ];
    const room = Math.floor(capacityBytes / SECTOR);
    expect(codes).toEqual([room < 2 ? "IO_NO_SPACE" : "resolved", room < 6 ? "IO_NO_SPACE" : "resolved"]);
    expect(await file.size()).toBe(room < 2 ? Math.max(room, 0) * SECTOR : room * SECTOR);
    if (room >= 2) expect((await readAll(io, "/a")).subarray(0, 2 * SECTOR)).toEqual(filled(2 * SECTOR, 1));
  }
});

test("a file without a name takes its space for as long as it is open, or its process lives", async () => {
  const disk = new SimDisk({ capacityBytes: 4 * SECTOR });
  const io = disk.mount();
  const other = disk.mount();
  const file = await durableFile(io, "/a", filled(4 * SECTOR, 1));
  await other.open("/a", { access: "read" });
  await io.unlink("/a");
  await io.syncDirectory("/");
  const next = await io.open("/b", { access: "create" });
  const fits = () => codeOf(put(io, next, 0, filled(SECTOR, 2)));
  expect(await fits()).toBe("IO_NO_SPACE");
  await file.close();
  expect(await fits()).toBe("IO_NO_SPACE");
  await other.close();
  expect(await fits()).toBe("resolved");
});

test("a crash gives back the space of files that only a process held", async () => {
  const disk = new SimDisk({ capacityBytes: 4 * SECTOR });
  const io = disk.mount();
  await durableFile(io, "/a", filled(4 * SECTOR, 1));
  await io.unlink("/a");
  await io.syncDirectory("/");
  disk.crash();
  const next = disk.mount();
  expect(await codeOf(durableFile(next, "/b", filled(4 * SECTOR, 2)))).toBe("resolved");
});

test("a truncated file gives its space back", async () => {
  const disk = new SimDisk({ capacityBytes: 4 * SECTOR });
  const io = disk.mount();
  const a = await durableFile(io, "/a", filled(4 * SECTOR, 1));
  await a.truncate(SECTOR);
  expect(await codeOf(durableFile(io, "/b", filled(3 * SECTOR, 2)))).toBe("resolved");
});
