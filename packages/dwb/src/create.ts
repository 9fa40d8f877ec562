import { dirname } from "node:path";
import { type IoBackend, IoError } from "@stonewal/io";
import { checksumRanges } from "@stonewal/record";
import { type DwbGeometry, fileBytes, slotOffset } from "./geometry.js";
import { encodeHeader } from "./layout.js";

const ID_BYTES = 16;

/**
 * Makes a new, empty buffer. It is built under another name and gets its own only when size, zeros and header are durable: so a file
 * of the right name is always a whole one, and what a crash leaves half made is told by its name and made anew.
 */
export async function createFile(io: IoBackend, path: string, geometry: DwbGeometry): Promise<void> {
  const unfinished = `${path}.new`;
  await removeIfThere(io, unfinished);
  try {
    const file = await io.open(unfinished, { access: "create" });
    try {
      // Synced with the length, so that no later flush has to commit the file system's journal.
      await file.writeZeros(0, fileBytes(geometry));
    } finally {
      await file.close();
    }
    await writeHeader(io, unfinished, io.random(ID_BYTES), geometry);
  } catch (error) {
    // Out of space, most likely: give back what was taken. The first failure is the one to report.
    await removeIfThere(io, unfinished).catch(() => undefined);
    throw error;
  }
  await io.rename(unfinished, path);
  await io.syncDirectory(dirname(path));
}

/** Writes a header durably: at creation, and where slots are intact but the header is not. */
export async function writeHeader(
  io: IoBackend,
  path: string,
  id: Uint8Array,
  geometry: DwbGeometry,
): Promise<void> {
  const file = await io.open(path, { access: "write" });
  try {
    const arena = io.arena(geometry.blockBytes);
    encodeHeader(arena.bytes, id, geometry, io.checksum ?? checksumRanges);
    const region = { arena, start: 0, length: geometry.blockBytes };
    await io.submit([{ kind: "write", file, region, offset: 0, durable: true }]);
  } finally {
    await file.close();
  }
}

/** Brings a file that was cut back to its size: slots that were cut off are empty now, and reported as damaged by whoever read before. */
export async function restoreSize(
  io: IoBackend,
  path: string,
  geometry: DwbGeometry,
  size: number,
): Promise<void> {
  const file = await io.open(path, { access: "write" });
  try {
    await file.writeZeros(size, fileBytes(geometry) - size);
  } finally {
    await file.close();
  }
}

/** Writes slots anew, empty. Resolves when that is durable. */
export async function emptySlots(
  io: IoBackend,
  path: string,
  geometry: DwbGeometry,
  indexes: readonly number[],
): Promise<void> {
  const file = await io.open(path, { access: "write" });
  try {
    for (const index of indexes) await file.writeZeros(slotOffset(geometry, index), geometry.slotStride);
  } finally {
    await file.close();
  }
}

async function removeIfThere(io: IoBackend, path: string): Promise<void> {
  try {
    await io.unlink(path);
  } catch (error) {
    if (!(error instanceof IoError && error.code === "IO_NOT_FOUND")) throw error;
  }
}
