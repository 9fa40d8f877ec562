import type { SimDisk } from "@stonewal/io-sim";
import { expect, test } from "vitest";
import { fill, makeDisk, openOn, turns } from "./support/sim-log.js";

const MIB = 1024 * 1024;
const SIZES = { segmentBytes: 16 * MIB, bufferBytes: 64 * MIB, dwb: "off" } as const;

/** KiB of zeros between one sync and the next of what was prepared since `from`, each size once, in the order of their first. */
function pieces(disk: SimDisk, from: number): number[] {
  const sizes = new Set<number>();
  let kib = 0;
  for (const line of disk.trace.slice(from)) {
    const zeros = /write .*\.new \d+\+(\d+) zeros$/.exec(line);
    if (zeros !== null) kib += Number(zeros[1]) / 1024;
    if (!/ sync .*\.new$/.test(line)) continue;
    sizes.add(kib);
    kib = 0;
  }
  return [...sizes];
}

test("zeros of a segment that nobody waits for are written in small pieces, so that no commit waits behind a large one", async () => {
  const disk = makeDisk();
  const opening = openOn(disk, SIZES);
  const wal = await opening;
  // The first one: opening waits for it. The next is begun by the end of that.
  expect(pieces(disk, 0)[0]).toBe(4096);
  const from = disk.trace.length;
  await turns(1000);
  expect(pieces(disk, from)).toEqual([256]);
  expect(wal.stats().preparedBytes).toBe(2 * SIZES.segmentBytes);
  await wal.close();
});

test("and in large ones from when an append had to be refused for it", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk, SIZES);
  const from = disk.trace.length;
  await turns(20);
  expect(fill(wal, 60_000).code).toBe("WAL_BACKPRESSURE");
  await turns(1000);
  // The last may be less.
  expect(pieces(disk, from).slice(0, 2)).toEqual([256, 4096]);
  expect(wal.append({ payload: new Uint8Array(60_000) })).toBeGreaterThan(1);
  await wal.close();
});
