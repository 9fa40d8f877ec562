import { recoverLog } from "@stonewal/recovery";
import { expect, test } from "vitest";
import { framesInFolio } from "../src/folio-frames.js";
import { bytes, DIRECTORY, lastSegment, makeDisk, openOn } from "./support/sim-log.js";

const BLOCK = 4096;
const FOLIO = 65_536;
const LARGE = 1 << 20;

/** What is found at the end of a log of these payloads, by offset and length, and whether that is what is on the disk. */
async function foundBehind(payloads: readonly Uint8Array[], largestBytes = LARGE) {
  const disk = makeDisk();
  const wal = await openOn(disk, { direct: false, dwb: "off" });
  for (const payload of payloads) await wal.commit({ payload });
  disk.crash("all");
  const io = disk.mount();
  const { position } = (await recoverLog({ io, directory: DIRECTORY }))!;
  const path = lastSegment(disk);
  const file = await io.open(path, { access: "read" });
  const frames = await framesInFolio(io, file, BLOCK, position, largestBytes);
  for (const { arena, offset, paddedLength } of frames)
    expect(Buffer.compare(arena.bytes, disk.fileBytes(path).subarray(offset, offset + paddedLength))).toBe(0);
  return { end: position.offset, frames };
}

const places = (frames: readonly { offset: number; paddedLength: number }[]) =>
  frames.map(({ offset, paddedLength }) => [offset, offset + paddedLength]);

test("all that reach into the folio that is written next are found, the one that begins before it too, as they are on the disk", async () => {
  // Behind an open frame and a small one: from 8 KiB to 80 KiB.
  const { end, frames } = await foundBehind([
    bytes("a"),
    new Uint8Array(70_000).fill(7),
    bytes("b"),
    bytes("c"),
  ]);
  const start = 2 * FOLIO;
  expect(end).toBe(start + 22 * BLOCK);
  expect(places(frames)).toEqual([
    [start + 2 * BLOCK, start + 20 * BLOCK],
    [start + 20 * BLOCK, start + 21 * BLOCK],
    [start + 21 * BLOCK, end],
  ]);
  expect(frames.map(({ frameNumber, sequence }) => [frameNumber, sequence])).toEqual([
    [3, 1],
    [4, 1],
    [5, 1],
  ]);
});

test("behind a frame that is larger than what can be copied the others are", async () => {
  const { end, frames } = await foundBehind([bytes("a"), new Uint8Array(70_000), bytes("b")], FOLIO);
  expect(places(frames)).toEqual([[end - BLOCK, end]]);
});

test("none are, where the next write begins a folio", async () => {
  const { end, frames } = await foundBehind([new Uint8Array(FOLIO - 2 * BLOCK)]);
  expect(end % FOLIO).toBe(0);
  expect(frames).toEqual([]);
});

test("nothing that a payload holds is taken for a frame", async () => {
  const first = await foundBehind([bytes("a")]);
  const image = first.frames.at(-1)!.arena.bytes;
  const payload = new Uint8Array(5 * BLOCK);
  for (let at = 0; at + BLOCK <= payload.length; at += 8) payload.set(image.subarray(0, 8), at);
  const { end, frames } = await foundBehind([bytes("a"), payload, bytes("b")]);
  expect(places(frames).at(-1)).toEqual([end - BLOCK, end]);
  expect(frames).toHaveLength(4);
});
