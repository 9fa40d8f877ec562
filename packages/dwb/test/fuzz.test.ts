import { crc32c } from "@stonewal/record";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { allocated, fuzzing, mutated, mutation } from "../../../fuzzing.mjs";
import { DwbError, readDwb } from "../src/index.js";
import { image, newDisk, open, PATH, pattern, SLOTS_AT, STRIDE } from "./support/buffer.js";
import { pageHeader, pageSlot } from "./support/format-page.js";

/** Whole files of a double-write buffer, changed by somebody who can make checksums right again. */

const STARTS = [0, SLOTS_AT, SLOTS_AT + 128, SLOTS_AT + STRIDE, SLOTS_AT + 2 * STRIDE, SLOTS_AT + 3 * STRIDE];
let files: Uint8Array[] = [];

beforeAll(async () => {
  files = await Promise.all(
    ["images", "large", "void"].map(async (kind) => {
      const disk = newDisk();
      const dwb = await open(disk.mount());
      await dwb.write(image(1));
      await dwb.write(kind === "large" ? image(2, 1, 2900) : image(2));
      if (kind === "void") dwb.stageVoid(1);
      await dwb.flush();
      await dwb.close();
      return disk.fileBytes(PATH);
    }),
  );
});

/** Right checksums: of the header, and of each slot for as much as it says that it stores. */
function reseal(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 128) view.setUint32(8, crc32c(bytes, 12, 128), true);
  for (let at = SLOTS_AT; at + 128 <= bytes.length; at += STRIDE) {
    const stored = view.getUint32(at + 92, true);
    if (at + 128 + stored <= bytes.length)
      view.setUint32(at + 8, crc32c(bytes, at + 12, at + 128 + stored), true);
  }
}

/** Bytes that a reader may take above the file's own: its memory for reading, the images, and what they are put together in. */
const MEMORY_PER_FILE_BYTE = 6;
/** And calls of the disk, which stand for time: of the order of the blocks there are. */
const CALLS_PER_BLOCK = 8;

test("a file that was changed under right checksums: a DwbError or images, in memory and time that go by its size", async () => {
  let found = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(2),
      fc.array(mutation, { maxLength: 5 }),
      fc.boolean(),
      async (kind, mutations, sealed) => {
        let bytes = files[kind]!;
        for (const one of mutations) bytes = mutated(bytes, one, STARTS);
        bytes = bytes.slice();
        if (sealed) reseal(bytes);
        const disk = newDisk();
        disk.plant(PATH, bytes);
        const io = disk.mount();
        const before = disk.operations;
        const used = await allocated(async () => {
          try {
            const images = (await readDwb(io, PATH))!;
            for (const each of images) {
              found += 1;
              expect(each.stored.length).toBeLessThanOrEqual(bytes.length);
              expect(images.at(each.target, each.offset)).toContain(each);
            }
          } catch (error) {
            if (!(error instanceof DwbError)) throw error;
            expect(error.code).toMatch(/^DWB_(DAMAGED|UNSUPPORTED)$/);
            refused += 1;
          }
        });
        expect(used).toBeLessThan((1 << 20) + MEMORY_PER_FILE_BYTE * bytes.length);
        expect(disk.operations - before).toBeLessThan(100 + (CALLS_PER_BLOCK * bytes.length) / 512);
      },
    ),
    fuzzing(400),
  );
  expect(found).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(10);
});

/** Geometries that agree with themselves, from a file's own to such as fill a disk. */
const geometry = fc
  .record({
    blockBytes: fc.constantFrom(512, 4096, 65_536),
    blocks: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 2 ** 22 })),
    slots: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 65_536 })),
    apart: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 12 })),
  })
  .map(({ blockBytes, blocks, slots, apart }) => {
    const payload = blockBytes * blocks;
    const stride = (Math.ceil((128 + payload) / blockBytes) + apart) * blockBytes;
    return {
      slots: Math.max(1, Math.min(slots, Math.floor(2 ** 31 / stride))),
      payload,
      stride,
      block: blockBytes,
    };
  })
  .filter(({ slots, stride }) => slots * stride <= 2 ** 31);

test("a small file that says it has slots of a gigabyte, or many of them, takes no memory for what is not there", async () => {
  const id = pattern(16, 9);
  await fc.assert(
    fc.asyncProperty(
      geometry,
      fc.boolean(),
      fc.constantFrom(1, 4096, 2 ** 30, 2 ** 31 - 1, 2 ** 32 - 1),
      fc.nat(4096),
      async (claimed, headed, length, behind) => {
        const slot = pageSlot(id, { ring: 1, key: 1, length }, pattern(100, 1), claimed);
        const bytes = new Uint8Array(SLOTS_AT + slot.length + behind);
        if (headed) bytes.set(pageHeader(id, claimed));
        bytes.set(slot, SLOTS_AT);
        const disk = newDisk();
        disk.plant(PATH, bytes);
        const io = disk.mount();
        const before = disk.operations;
        const used = await allocated(async () => {
          const images = (await readDwb(io, PATH))!;
          for (const each of images) {
            expect(each.stored).toEqual(pattern(100, 1));
            expect(each.length).toBeLessThanOrEqual(bytes.length);
          }
        });
        expect(used).toBeLessThan(4 << 20);
        expect(disk.operations - before).toBeLessThan(1000);
      },
    ),
    fuzzing(150),
  );
});
