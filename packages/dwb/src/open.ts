import { dirname } from "node:path";
import { FOLIO_BYTES, type IoBackend, IoError } from "@stonewal/io";
import { createFile, restoreSize, writeHeader } from "./create.js";
import { Dwb } from "./dwb.js";
import { DwbError } from "./errors.js";
import { type DwbGeometry, fileBytes, makeGeometry } from "./geometry.js";
import { DwbImages } from "./images.js";
import { scanFile } from "./read.js";
import { nextRingSequence } from "./resume.js";

export type DwbMode = "off" | "buffered" | "direct";

export interface DwbOptions {
  readonly io: IoBackend;
  readonly path: string;
  /** `direct`: past the page cache; `blockBytes` must then be a multiple of what the file needs. `off` is refused with `DWB_OFF`. */
  readonly mode: DwbMode;
  /** Number of slots of a new file, 1 to 65,536, and at most 2^31 bytes of them: 32,768 of the default kind. Default 64. */
  readonly slots?: number;
  /** Payload of a slot of a new file in bytes, a multiple of `blockBytes`. Default: 65,536 less a block for the slot's header, or one block. */
  readonly slotBytes?: number | undefined;
  /** Block size of a new file in bytes, a power of two from 512 to 65,536. Default 4,096. */
  readonly blockBytes?: number;
  /**
   * What the slots of a new file begin at multiples of, in bytes; a multiple of `blockBytes`. Default 65,536, the largest folio that is reckoned with: a kernel may write a buffered file
   * back by the folio, and what a power cut tears of it may be the slot beside the one that is being written, which may hold the only whole
   * copy there is. Less takes less room, and writes small slots that are staged together in one piece; it is for `direct`, or where
   * nothing is staged before the homes of what is in the buffer are synced.
   */
  readonly slotAlignment?: number;
}

/**
 * Opens the double-write buffer at `path`, or creates it.
 *
 * An existing file keeps its geometry, whatever is asked for: see `slots`, `slotBytes` and `blockBytes` of the result. To change it, recover,
 * then unlink the file, sync the directory and open again. If the file holds images of an earlier life (`hasUnrecovered`), nothing can be
 * staged until `releaseRecovered()` says that whatever was torn has been put back and synced: so recover with `readDwb` first.
 *
 * The buffer takes no lock: its owner must see to it that nobody else writes it.
 *
 * Rejects with `DWB_OFF`, `DWB_ARGUMENT`, `DWB_DAMAGED` (the file is something else), `DWB_UNSUPPORTED`, or an `IoError`.
 */
export async function openDwb(options: DwbOptions): Promise<Dwb> {
  const { io, path, mode, slots = 64, blockBytes = 4096, slotAlignment = FOLIO_BYTES } = options;
  if (mode === "off") throw new DwbError("DWB_OFF", "a double-write buffer with mode off cannot be opened");
  if (mode !== "buffered" && mode !== "direct")
    throw new DwbError("DWB_ARGUMENT", `unknown mode ${String(mode)}`);
  const slotBytes = options.slotBytes ?? Math.max(FOLIO_BYTES - blockBytes, blockBytes);
  const asked = makeGeometry(slots, slotBytes, blockBytes, slotAlignment);
  const before = await scanFile(io, path, {});
  if (before === undefined) {
    await assertAligned(io, path, mode, asked);
    await createFile(io, path, asked);
  } else if (before.geometry === undefined) {
    // Not even one slot is intact, and the header is lost. If this is a buffer, it holds nothing for anyone.
    if (!before.recognised)
      throw new DwbError("DWB_DAMAGED", `${path} is not a double-write buffer; move it away`);
    await io.unlink(path);
    await createFile(io, path, asked);
  } else {
    if (before.header !== "intact" && before.id !== undefined)
      await writeHeader(io, path, before.id, before.geometry);
    const size = fileBytes(before.geometry);
    if (before.size < size) await restoreSize(io, path, before.geometry, before.size);
  }
  const found = before?.geometry === undefined ? await scanFile(io, path, {}) : before;
  if (found?.id === undefined || found.geometry === undefined)
    throw new DwbError("DWB_DAMAGED", `${path} was made and cannot be read back`);
  const { id, geometry } = found;
  await assertAligned(io, path, mode, geometry);
  const file = await io.open(path, { access: "write", direct: mode === "direct" });
  return new Dwb(io, file, mode, id, geometry, new DwbImages(found), nextRingSequence(found, geometry));
}

/** Before anything is made: a mode that cannot be had leaves nothing behind. */
async function assertAligned(
  io: IoBackend,
  path: string,
  mode: DwbMode,
  geometry: DwbGeometry,
): Promise<void> {
  if (mode !== "direct") return;
  const { direct, directUnavailable } = await io.probe(dirname(path));
  if (direct === undefined) throw new IoError("IO_UNSUPPORTED", `${path}: ${directUnavailable}`, { path });
  if (geometry.blockBytes % direct.alignment !== 0)
    throw new DwbError(
      "DWB_ARGUMENT",
      `blocks of ${geometry.blockBytes} bytes, and direct I/O here needs ${direct.alignment}`,
    );
}
