import { describe, expect, test } from "vitest";
import { crashOutcomes, SimDisk, type SimDiskOptions } from "../src/index.js";
import { codeOf, durableFile, filled, put } from "./process.js";

const SECTOR = 512;

/** Two synced sectors of 1, of which the second and a third are overwritten, and a second name that isn't durable. */
async function history(options: SimDiskOptions = {}): Promise<SimDisk> {
  const disk = new SimDisk(options);
  const io = disk.mount();
  const file = await durableFile(io, "/a", filled(2 * SECTOR, 1));
  await put(io, file, SECTOR, filled(2 * SECTOR, 2));
  await io.open("/b", { access: "create" });
  return disk;
}

function stateOf(disk: SimDisk): string {
  return [...disk.files()]
    .map(([path, bytes]) => path + [...bytes].filter((_, at) => at % SECTOR === 0).join(""))
    .join(" ");
}

describe("the outcomes of a crash", () => {
  test("are all there: a state that is not tried is a bug that is not found", async () => {
    const disk = await history();
    const outcomes = crashOutcomes(disk);
    expect(outcomes.exhaustive).toBe(true);
    const states = [...outcomes].map(stateOf);
    expect(states).toHaveLength(16);
    const found = [...new Set(states)].sort();
    expect(found).toEqual(
      ["/a11", "/a110", "/a112", "/a12", "/a120", "/a122"].flatMap((a) => [a, `${a} /b`]).sort(),
    );
    // And chance finds no other.
    for (let seed = 1; seed <= 100; seed++) {
      const copy = disk.clone(seed);
      copy.crash();
      expect(found).toContain(stateOf(copy));
    }
  });

  test("where one choice asks for others: folios", async () => {
    const disk = await history({ folioBytes: 1024, sectorBytes: 512 });
    const outcomes = crashOutcomes(disk);
    expect(outcomes.exhaustive).toBe(true);
    const states = new Set([...outcomes].map((copy) => copy.fileBytes("/a")[0] === 1));
    expect(states).toEqual(new Set([true, false]));
  });

  test("are a sample where there are too many, the ends of it among them, and the same one again", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(64 * SECTOR, 1));
    await put(io, file, 0, filled(64 * SECTOR, 2));
    const outcomes = crashOutcomes(disk, 50);
    expect(outcomes.exhaustive).toBe(false);
    const states = [...outcomes].map(stateOf);
    expect(states).toHaveLength(50);
    expect(new Set(states).size).toBe(50);
    expect(states.slice(0, 2)).toEqual([`/a${"1".repeat(64)}`, `/a${"2".repeat(64)}`]);
    expect([...outcomes].map(stateOf)).toEqual(states);
  });

  test("of a crash in the middle of a write and of a sync have torn sectors, and leave the disk they were taken from alone", async () => {
    const disk = new SimDisk();
    const io = disk.mount();
    const file = await durableFile(io, "/a", filled(SECTOR, 1));
    const seen: string[] = [];
    disk.atEveryBoundary(() => {
      const states = [...crashOutcomes(disk)].map((copy) => {
        const bytes = copy.fileBytes("/a");
        return bytes.every((byte) => byte === bytes[0]) ? String(bytes[0]) : "garbage";
      });
      seen.push([...new Set(states)].sort().join());
    });
    expect(await codeOf(put(io, file, 0, filled(SECTOR, 2), true))).toBe("resolved");
    expect(seen).toEqual(["0,1,2,garbage", "1,2", "0,1,2,garbage", "2"]);
  });
});

test("what is written over the same bytes has one outcome: zeros over zeros of a whole file are no states of their own", async () => {
  const disk = new SimDisk({ tornSectors: false });
  const io = disk.mount();
  const file = await durableFile(io, "/a", filled(40 * SECTOR, 0));
  await put(io, file, 0, filled(40 * SECTOR, 0));
  expect(crashOutcomes(disk).exhaustive).toBe(true);
  expect([...crashOutcomes(disk)]).toHaveLength(1);
});
