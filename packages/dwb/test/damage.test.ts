import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DwbError, type DwbOptions, openDwb, readDwb } from "../src/index.js";
import { image, listed, newDisk, open, PATH, pattern, read, SLOTS_AT, STRIDE } from "./support/buffer.js";
import { PAGE_GEOMETRY, pageFile, pageHeader, pageSlot } from "./support/format-page.js";

const ID = pattern(16, 5);

/** A durable buffer with images 1 to 4 (the third of them one block long), and its bytes. */
async function filled(): Promise<{ bytes: Uint8Array; id: Uint8Array }> {
  const disk = newDisk();
  const dwb = await open(disk.mount());
  for (const key of [1, 2, 3, 4]) dwb.stage(image(key, 1, key === 3 ? 100 : 1000));
  await dwb.close();
  return { bytes: disk.fileBytes(PATH), id: dwb.id };
}

function planted(bytes: Uint8Array): ReturnType<typeof newDisk> {
  const disk = newDisk();
  disk.plant(PATH, bytes);
  return disk;
}

describe("damage costs what it hits and nothing else", () => {
  test("any byte of an image or its slot header: that image is gone, not changed, and the others are there", async () => {
    const { bytes } = await filled();
    for (let at = 0; at < 128 + 100; at++) {
      const damaged = bytes.slice();
      damaged[SLOTS_AT + 2 * STRIDE + at]! ^= 1 << (at % 8);
      const images = await read(planted(damaged).mount());
      expect([at, listed(images), images.damagedSlots]).toEqual([at, ["4@1", "2@1", "1@1"], [2]]);
    }
  });

  test("behind the stored bytes nothing matters", async () => {
    const { bytes } = await filled();
    bytes.fill(0xff, SLOTS_AT + 2 * STRIDE + 128 + 100, SLOTS_AT + 3 * STRIDE);
    expect(listed(await read(planted(bytes).mount()))).toHaveLength(4);
  });

  test("any byte of the header: nothing is lost, and opening puts it right under the same id", async () => {
    const { bytes, id } = await filled();
    for (let at = 0; at < 128; at++) {
      const damaged = bytes.slice();
      damaged[at]! ^= 1 << (at % 8);
      const disk = planted(damaged);
      const images = await read(disk.mount());
      expect([at, images.headerIntact, listed(images).length, images.id]).toEqual([at, false, 4, id]);
      if (at % 16 !== 0) continue;
      const dwb = await open(disk.mount());
      expect(dwb.id).toEqual(id);
      expect(disk.fileBytes(PATH)).toEqual(bytes);
      expect(dwb.hasUnrecovered).toBe(true);
    }
  });

  test("a header that is lost while nothing is held: made anew", async () => {
    const disk = planted(pageFile(undefined, []));
    expect(listed(await read(disk.mount()))).toEqual([]);
    const dwb = await open(disk.mount());
    await dwb.write(image(1));
    expect(listed(await read(disk.mount()))).toEqual(["1@1"]);
  });

  test("an unreadable slot is reported as one, and takes the others with it no more than a damaged one does", async () => {
    const disk = planted((await filled()).bytes);
    disk.makeUnreadable(PATH, SLOTS_AT + STRIDE, 1);
    const images = await read(disk.mount());
    expect(listed(images)).toEqual(["4@1", "3@1", "1@1"]);
    expect([images.unreadableSlots, images.damagedSlots]).toEqual([[1], []]);
  });

  test("a slot that could not be read is written anew once nothing in it is needed: it is not taken for one that may hold something again", async () => {
    const disk = planted((await filled()).bytes);
    disk.makeUnreadable(PATH, SLOTS_AT + STRIDE, 1);
    const dwb = await open(disk.mount());
    dwb.releaseRecovered();
    await dwb.mendUnreadable();
    disk.crash();
    const images = await read(disk.mount());
    expect(listed(images)).toEqual(["4@1", "3@1", "1@1"]);
    expect([images.unreadableSlots, images.damagedSlots]).toEqual([[], []]);
  });

  test("a bad sector behind the stored bytes takes nothing away, an unreadable header neither", async () => {
    const disk = planted((await filled()).bytes);
    disk.makeUnreadable(PATH, SLOTS_AT + 2 * STRIDE + 512, 1);
    disk.makeUnreadable(PATH, 0, 1);
    const images = await read(disk.mount());
    expect(listed(images)).toHaveLength(4);
    expect([images.headerIntact, images.unreadableSlots]).toEqual([false, []]);
  });

  test("numbers of slots that were unreadable are never given out again: two images could be taken for one", async () => {
    const disk = newDisk();
    const before = await open(disk.mount());
    await before.write(image(1));
    await before.write(image(9, 1, 2000));
    // Slots 2 and 3 hold numbers 2 and 3, of an image of two parts, and cannot be read for a while.
    disk.makeUnreadable(PATH, SLOTS_AT + STRIDE, 2 * STRIDE);
    disk.crash();
    const dwb = await open(disk.mount());
    dwb.releaseRecovered();
    const ticket = dwb.stage(image(9, 1, 2000, { bytes: pattern(2000, 77) }));
    disk.makeReadable(PATH);
    expect(ticket.ringSequence).toBeGreaterThan(3);
    expect((ticket.ringSequence - 1) % 4).toBe(1);
    // The first part reaches the disk, the second is lost.
    const [write] = dwb.takeSteps().steps;
    if (write?.kind !== "write") throw new Error("no write");
    const io = disk.mount();
    const file = await io.open(PATH, { access: "write" });
    const arena = io.arena(STRIDE);
    arena.bytes.set(write.region.arena.bytes.subarray(write.region.start, write.region.start + STRIDE));
    const region = { arena, start: 0, length: STRIDE };
    await io.submit([{ kind: "write", file, region, offset: write.offset, durable: true }]);
    disk.crash("none");
    expect((await read(disk.mount())).newest(9)).toBeUndefined();
  });

  test("a file that was cut: what is left is read, and opening brings it back to size", async () => {
    const { bytes } = await filled();
    const disk = planted(bytes.subarray(0, SLOTS_AT + 2 * STRIDE + 700));
    const images = await read(disk.mount());
    expect(listed(images)).toEqual(["3@1", "2@1", "1@1"]);
    expect(images.damagedSlots).toEqual([3]);
    const dwb = await open(disk.mount(), { mode: "direct" });
    dwb.releaseRecovered();
    expect(disk.fileBytes(PATH)).toHaveLength(bytes.length);
    await dwb.write(image(5));
    expect(listed(await read(disk.mount()))).toEqual(["5@1", "3@1", "2@1", "1@1"]);
  });
});

describe("bytes that look like slots and are none", () => {
  /** A slot that this very buffer could have written, for a key that it never held, somewhere inside an image. */
  function payloadWithForgery(id: Uint8Array, at: number, index: number): Uint8Array {
    const payload = pattern(1000, 1);
    payload.set(pageSlot(id, { ring: 4 + index + 1, key: 666 }, pattern(10, 1)), at);
    return payload;
  }

  test("inside an image, with the header there or lost, it is never taken for a copy", async () => {
    for (const headerLost of [false, true])
      for (const firstSlotLost of [false, true])
        for (let index = 0; index < 4; index++) {
          const disk = newDisk();
          const dwb = await open(disk.mount());
          // 384 behind the slot's header is the next block: a scan at block boundaries comes by.
          for (const key of [1, 2, 3])
            dwb.stage(image(key, 1, 1000, { bytes: payloadWithForgery(dwb.id, 384, index) }));
          await dwb.close();
          if (headerLost) disk.corrupt(PATH, 0, new Uint8Array(128));
          if (firstSlotLost) disk.corrupt(PATH, SLOTS_AT + 20, Uint8Array.of(0xff));
          const images = await read(disk.mount());
          expect(images.newest(666)).toBeUndefined();
          expect(listed(images)).toEqual(firstSlotLost ? ["3@1", "2@1"] : ["3@1", "2@1", "1@1"]);
        }
  });

  test("slots of another buffer, copied whole into an image, do not decide whose file it is when the header is lost", async () => {
    const other = pattern(16, 9);
    // Finer than ours, in a ring of the same size in bytes, at a place where its own rule puts it.
    const fine = { slots: 6, payload: 512, stride: 1024, block: 512 };
    const disk = newDisk();
    const dwb = await open(disk.mount());
    const payload = pattern(1000, 1);
    // Slot 1 starts at 1536; its second block at 2048 is slot 2 of the finer ring.
    payload.set(pageSlot(other, { ring: 3, key: 666 }, pattern(10, 1), fine), 384);
    for (const key of [1, 2, 3]) dwb.stage(image(key, 1, 1000, { bytes: payload }));
    await dwb.close();
    disk.corrupt(PATH, 0, new Uint8Array(128));
    disk.corrupt(PATH, SLOTS_AT + 20, Uint8Array.of(0xff));
    const images = await read(disk.mount());
    expect(images.id).toEqual(dwb.id);
    expect(listed(images)).toEqual(["3@1", "2@1"]);
  });

  test("without a header the first slot decides alone: no payload reaches its place", async () => {
    const other = pattern(16, 6);
    const bytes = pageFile(undefined, [
      [0, pageSlot(ID, { ring: 1, key: 1 }, pattern(10, 1))],
      [1, pageSlot(other, { ring: 2, key: 666 }, pattern(10, 1))],
      [2, pageSlot(other, { ring: 3, key: 666 }, pattern(10, 1))],
    ]);
    expect((await read(planted(bytes).mount())).id).toEqual(ID);
  });

  /** Slots of another buffer in a ring of the same size in bytes, in slots of 1 KiB. */
  const FINE = { slots: 6, payload: 512, stride: 1024, block: 512 };

  /** A damaged slot whose payload has `forged` in its block at 512. */
  function damagedAround(forged: Uint8Array): Uint8Array {
    const slot = pageSlot(ID, { ring: 1, key: 1 }, pattern(1100, 1));
    slot[20]! ^= 1;
    slot.set(forged, 512);
    return slot;
  }

  test("what lies within an intact slot has no say", async () => {
    const other = pattern(16, 9);
    const inner = (ring: number): Uint8Array => pageSlot(other, { ring, key: 666 }, pattern(10, 1), FINE);
    const payload = pattern(1000, 1);
    payload.set(inner(3), 384);
    const bytes = pageFile(undefined, [[1, pageSlot(ID, { ring: 2, key: 2 }, payload)]]);
    // In what was slot 2, at 3072, and is torn: slot 4 of the finer ring.
    bytes.set(inner(5), SLOTS_AT + 4096);
    const images = await read(planted(bytes).mount());
    expect(images.id).toEqual(ID);
    expect(listed(images)).toEqual(["2@1"]);
  });

  test("what its own geometry puts elsewhere, or in a file of another size, has no say either", async () => {
    const other = pattern(16, 9);
    const elsewhere = pageSlot(other, { ring: 2, key: 666 }, pattern(10, 1));
    // Where its ring puts it, at 1024, but of seven slots instead of six.
    const otherSize = new Uint8Array(512 + 138);
    otherSize.set(pageSlot(other, { ring: 2, key: 666 }, pattern(10, 1), { ...FINE, slots: 7 }), 512);
    for (const forged of [elsewhere, otherSize]) {
      const bytes = pageFile(undefined, [
        [0, damagedAround(forged)],
        [1, pageSlot(ID, { ring: 2, key: 2 }, pattern(10, 1))],
      ]);
      const images = await read(planted(bytes).mount());
      expect(images.id).toEqual(ID);
      expect(listed(images)).toEqual(["2@1"]);
    }
  });

  test("without a header, what only says that it is a slot, and a long one, hides no slot behind it", async () => {
    const other = pattern(16, 6);
    const bytes = pageFile(undefined, [
      // To the end of the file: it is read, and is not intact.
      [1, pageSlot(ID, { ring: 2, key: 2, patch: [[92, 4480]] }, pattern(10, 1))],
      [2, pageSlot(ID, { ring: 3, key: 3 }, pattern(900, 1))],
      [3, pageSlot(other, { ring: 4, key: 666 }, pattern(10, 1))],
    ]);
    const images = await read(planted(bytes).mount());
    expect(images.id).toEqual(ID);
    expect(listed(images)).toEqual(["3@1"]);
  });

  test("where the first slot and the header are lost, the identity with most slots is believed", async () => {
    const bytes = pageFile(undefined, [
      [1, pageSlot(ID, { ring: 2, key: 2 }, pattern(10, 1))],
      [2, pageSlot(pattern(16, 6), { ring: 3, key: 666 }, pattern(10, 1))],
      [3, pageSlot(ID, { ring: 4, key: 4 }, pattern(10, 1))],
    ]);
    const images = await read(planted(bytes).mount());
    expect(images.id).toEqual(ID);
    expect(listed(images)).toEqual(["4@1", "2@1"]);
    expect(images.damagedSlots).toEqual([2]);
  });
});

describe("hostile bytes", () => {
  test("whatever is in the file: a typed error or images that were staged, in bounded memory", async () => {
    const { bytes } = await filled();
    const damage = fc.record({
      at: fc.oneof(
        fc.nat(127),
        fc.nat(127).map((at) => SLOTS_AT + at),
        fc.integer({ min: 0, max: bytes.length - 1 }),
      ),
      with: fc.uint8Array({ minLength: 1, maxLength: 64 }),
    });
    const cut = fc.option(fc.integer({ min: 0, max: bytes.length }), { nil: bytes.length });
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { maxLength: 6 }), cut, async (damages, length) => {
        const damaged = bytes.slice();
        for (const { at, with: content } of damages)
          damaged.set(content.subarray(0, damaged.length - at), at);
        const disk = planted(damaged.subarray(0, length));
        try {
          for (const found of (await readDwb(disk.mount(), PATH))!)
            expect(found.bytes()).toEqual(image(Number(found.key), 1, found.key === 3n ? 100 : 1000).bytes);
          const dwb = await open(disk.mount());
          dwb.releaseRecovered();
          await dwb.write(image(1));
        } catch (error) {
          if (!(error instanceof DwbError)) throw error;
          expect(error.code).toMatch(/^DWB_(DAMAGED|UNSUPPORTED)$/);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("lengths that were made up, under right checksums, allocate nothing beyond the file's own size", async () => {
    const huge = 0xffffffff;
    for (const slot of [
      pageSlot(ID, { ring: 1, key: 1, length: huge }, pattern(10, 1)),
      pageSlot(ID, { ring: 1, key: 1, patch: [[92, huge]] }, pattern(10, 1)),
      pageSlot(ID, { ring: 1, key: 1, parts: huge, length: huge }, pattern(1024, 1)),
      pageSlot(ID, { ring: 1, key: 1 }, pattern(10, 1), {
        slots: huge,
        payload: 512,
        stride: 1024,
        block: 512,
      }),
    ]) {
      const images = await read(planted(pageFile(pageHeader(ID), [[0, slot]])).mount());
      expect(listed(images)).toEqual([]);
      expect(listed(await read(planted(pageFile(undefined, [[0, slot]])).mount()))).toEqual([]);
    }
    const many = { ...PAGE_GEOMETRY, slots: 65536 };
    const images = await read(planted(pageFile(pageHeader(ID, many), [])).mount());
    expect(images.damagedSlots.length).toBe(65536 - 4);
  });
});

describe("the kernel writes a buffered file back by the folio, and the power fails in the middle of it", () => {
  /** Whether the image that was durable before is still there. */
  async function survives(seed: number, options: Partial<DwbOptions>): Promise<boolean> {
    const disk = newDisk({ seed, folioBytes: 65_536 });
    const io = disk.mount();
    const dwb = await openDwb({ io, path: PATH, mode: "buffered", slots: 4, ...options });
    await dwb.write(image(1, 1, 5000));
    disk.crashAfter(1);
    await dwb.write(image(2, 1, 5000)).catch(() => undefined);
    expect(disk.crashes).toBe(1);
    return listed(await read(disk.mount())).includes("1@1");
  }

  test("what is being written takes no other slot with it", async () => {
    for (let seed = 1; seed <= 100; seed += 1) expect(await survives(seed, {})).toBe(true);
  });

  test("with slots closer together than a folio it may: that is what `slotAlignment` is about", async () => {
    const all = await Promise.all(
      Array.from({ length: 100 }, (_, seed) => survives(seed, { slotAlignment: 4096, slotBytes: 8192 })),
    );
    expect(new Set(all)).toEqual(new Set([true, false]));
  });
});
