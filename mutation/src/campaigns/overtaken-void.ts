import { strict as assert } from "node:assert";
import { openDwb, readDwb } from "@stonewal/dwb";
import { SimDisk } from "@stonewal/io-sim";

const DWB = "/overtaken.dwb";
const SLOTS = 4;
const BLOCK = 512;

/**
 * A page's copy is made void. The ring comes round: the slot of the copy is given to another page, and so is that of the void. A power cut
 * loses the first of these two writes and keeps the second. The copy is then on the disk again, without its void; only its age says
 * that it does not count.
 */
export async function overtakeVoid(seed: number): Promise<void> {
  const disk = new SimDisk({ seed, crashPolicy: "none", directAlignment: BLOCK });
  const io = disk.mount();
  const dwb = await openDwb({
    io,
    path: DWB,
    mode: "buffered",
    slots: SLOTS,
    slotBytes: BLOCK,
    blockBytes: BLOCK,
  });
  const write = (key: number) =>
    dwb.write({ key, target: 1, offset: key * BLOCK, version: 1, bytes: new Uint8Array(100).fill(key) });
  dwb.release(await write(7));
  const made = dwb.stageVoid(7);
  await dwb.flush();
  dwb.release(made);
  for (let key = 1; key <= SLOTS - 2; key += 1) dwb.release(await write(key));

  for (const key of [20, 21])
    dwb.stage({ key, target: 1, offset: key * BLOCK, version: 1, bytes: new Uint8Array(100).fill(key) });
  const [first, stride] = [65_536 / BLOCK, 2];
  disk.crashPolicy = ({ what, detail, options, torn }) =>
    what === "sector" && Number(detail) >= first && Number(detail) < first + stride ? 0 : options - torn - 1;
  disk.crashAfter(1 + (seed % 8));
  await dwb.flush().catch(() => undefined);
  disk.crash();
  const images = await readDwb(disk.mount(), DWB);
  const found = [...(images ?? [])].some((image) => image.key === 7n);
  assert.ok(!found, "a copy that was made void counts again");
}
