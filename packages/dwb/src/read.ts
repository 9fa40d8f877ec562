import type { IoBackend } from "@stonewal/io";
import { checksumRanges } from "@stonewal/record";
import { openForReading, type ReadDwbOptions } from "./device.js";
import { DwbImages } from "./images.js";
import { type Scan, scan } from "./scan.js";

export async function scanFile(
  io: IoBackend,
  path: string,
  options: ReadDwbOptions,
): Promise<Scan | undefined> {
  const disk = await openForReading(io, path, options);
  if (disk === undefined) return undefined;
  try {
    return await scan(disk, io.checksum ?? checksumRanges);
  } finally {
    await disk.close();
  }
}

/**
 * What the double-write buffer at `path` holds on the disk, for recovery; `undefined` if there is no file. The header is not
 * needed. A slot that cannot be read is named in `unreadableSlots`, a damaged one in `damagedSlots`: neither takes the others away.
 * Rejects with an `IoError` where the file cannot be opened or synced, and with `DWB_UNSUPPORTED` for one of another version.
 */
export async function readDwb(
  io: IoBackend,
  path: string,
  options: ReadDwbOptions = {},
): Promise<DwbImages | undefined> {
  const found = await scanFile(io, path, options);
  return found && new DwbImages(found);
}
