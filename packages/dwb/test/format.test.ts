import { describe, expect, test } from "vitest";
import type { DwbImages } from "../src/index.js";
import {
  afterLosingAll,
  image,
  listed,
  newDisk,
  open,
  PATH,
  pattern,
  read,
  rejectionOf,
} from "./support/buffer.js";
import { PAGE_GEOMETRY, pageFile, pageHeader, pageSlot } from "./support/format-page.js";

const ID = pattern(16, 5);

function readFile(bytes: Uint8Array): Promise<DwbImages> {
  const disk = newDisk();
  disk.plant(PATH, bytes);
  return read(disk.mount());
}

describe("the bytes are those of docs/format.md", () => {
  test("golden: header, an image, an image of several slots with zeros at its end, a void", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    dwb.stage(image(3, 4, 100));
    dwb.stage(image(5, 6, 1500, { length: 1800, target: 9, offset: 77, watermark: 2n ** 40n }));
    dwb.stageVoid(8);
    await dwb.close();
    const long = pattern(1500, 506);
    const several = {
      key: 5,
      target: 9,
      offset: 77,
      first: 2,
      version: 6,
      watermark: 2 ** 40,
      length: 1800,
      parts: 2,
    };
    const expected = pageFile(pageHeader(dwb.id), [
      [0, pageSlot(dwb.id, { ring: 1, key: 3, offset: 3 * 4096, version: 4 }, pattern(100, 304))],
      [1, pageSlot(dwb.id, { ...several, ring: 2, part: 0 }, long.subarray(0, 1024))],
      [2, pageSlot(dwb.id, { ...several, ring: 3, part: 1 }, long.subarray(1024))],
      [3, pageSlot(dwb.id, { ring: 4, key: 8, target: 0, version: 0, kind: 2 }, new Uint8Array())],
    ]);
    expect(disk.fileBytes(PATH)).toEqual(expected);
  });

  test("a file written from the page alone is read, and written on", async () => {
    const disk = newDisk();
    const parts = pattern(1500, 1);
    const several = { key: 6, first: 4, parts: 2, length: 2000 };
    disk.plant(
      PATH,
      pageFile(pageHeader(ID), [
        [3, pageSlot(ID, { ...several, ring: 4, part: 0 }, parts.subarray(0, 1024))],
        [0, pageSlot(ID, { ...several, ring: 5, part: 1 }, parts.subarray(1024))],
        [1, pageSlot(ID, { ring: 6, key: 7, version: 2 }, pattern(10, 7))],
      ]),
    );
    const images = await read(disk.mount());
    expect(images.id).toEqual(ID);
    expect(images.slots).toBe(4);
    expect(listed(images)).toEqual(["7@2", "6@1"]);
    expect(images.newest(6)?.stored).toEqual(parts);
    expect(images.newest(6)?.bytes()).toHaveLength(2000);
    const dwb = await open(disk.mount());
    dwb.releaseRecovered();
    expect((await dwb.write(image(1))).ringSequence).toBe(7);
  });

  test("versions, kinds and fields of the future are refused, not guessed at", async () => {
    const slot = (patch: readonly (readonly [number, number])[]): Uint8Array =>
      pageFile(pageHeader(ID), [[0, pageSlot(ID, { ring: 1, key: 1, patch }, pattern(10, 1))]]);
    for (const patch of [[12, 2] as const, [96, 3] as const, [96, 0] as const, [116, 1] as const])
      expect(await rejectionOf(readFile(slot([patch])))).toBe("DWB_UNSUPPORTED");
    for (const stride of [1024, 1600]) {
      const wrong = pageFile(pageHeader(ID, { ...PAGE_GEOMETRY, stride }), []);
      expect(await rejectionOf(readFile(wrong))).toBe("DWB_UNSUPPORTED");
      const disk = newDisk();
      disk.plant(PATH, wrong);
      expect(await rejectionOf(open(disk.mount()))).toBe("DWB_UNSUPPORTED");
    }
  });

  test("an intact slot that contradicts itself or the buffer is not believed", async () => {
    const contradictions: [name: string, slot: Uint8Array][] = [
      ["at another place than its ring sequence", pageSlot(ID, { ring: 2, key: 1 }, pattern(10, 1))],
      ["of another buffer", pageSlot(pattern(16, 6), { ring: 1, key: 1 }, pattern(10, 1))],
      ["ring sequence 0", pageSlot(ID, { ring: 0, key: 1 }, pattern(10, 1))],
      ["a part beyond their number", pageSlot(ID, { ring: 5, first: 4, part: 1, key: 1 }, pattern(10, 1))],
      ["more parts than slots", pageSlot(ID, { ring: 1, parts: 5, key: 1, length: 4096 }, pattern(1024, 1))],
      ["first part that is not its own", pageSlot(ID, { ring: 1, first: 2, key: 1 }, pattern(10, 1))],
      ["more stored than long", pageSlot(ID, { ring: 1, key: 1, length: 9 }, pattern(10, 1))],
      ["no length", pageSlot(ID, { ring: 1, key: 1, length: 0 }, new Uint8Array())],
      ["longer than the ring", pageSlot(ID, { ring: 1, key: 1, length: 4097 }, pattern(10, 1))],
      [
        "a first part that is not full",
        pageSlot(ID, { ring: 1, key: 1, parts: 2, length: 2000 }, pattern(10, 1)),
      ],
      ["a void with contents", pageSlot(ID, { ring: 1, key: 1, kind: 2 }, pattern(10, 1))],
      [
        "another stride",
        pageSlot(ID, { ring: 1, key: 1 }, pattern(10, 1), { ...PAGE_GEOMETRY, stride: 2048 }),
      ],
      ["other slots", pageSlot(ID, { ring: 1, key: 1 }, pattern(10, 1), { ...PAGE_GEOMETRY, slots: 8 })],
      [
        "a ring sequence beyond counting",
        pageSlot(ID, { ring: 1, key: 1, patch: [[36, 2 ** 30]] }, pattern(10, 1)),
      ],
      [
        "an offset beyond counting",
        pageSlot(ID, { ring: 1, key: 1, patch: [[60, 2 ** 30]] }, pattern(10, 1)),
      ],
    ];
    for (const [name, slot] of contradictions) {
      const images = await readFile(pageFile(pageHeader(ID), [[0, slot]]));
      expect([name, listed(images), images.damagedSlots]).toEqual([name, [], [0]]);
    }
  });
});

describe("which images count", () => {
  test("an image with a part missing, or one that belongs to another, is no image", async () => {
    const parts = pattern(2000, 1);
    const first = { key: 6, first: 1, parts: 2, length: 2000, part: 0, ring: 1 };
    const second = { ...first, part: 1, ring: 2 };
    const build = (rest: readonly (readonly [number, Uint8Array])[]): Promise<DwbImages> =>
      readFile(pageFile(pageHeader(ID), [[0, pageSlot(ID, first, parts.subarray(0, 1024))], ...rest]));
    expect(listed(await build([[1, pageSlot(ID, second, parts.subarray(1024))]]))).toEqual(["6@1"]);
    expect(listed(await build([]))).toEqual([]);
    for (const other of [
      { key: 7 },
      { version: 2 },
      { watermark: 3 },
      { target: 2 },
      { offset: 1 },
      { length: 2001 },
    ])
      expect(listed(await build([[1, pageSlot(ID, { ...second, ...other }, parts.subarray(1024))]]))).toEqual(
        [],
      );
    // The end of a later image at the same slot.
    expect(
      listed(await build([[1, pageSlot(ID, { ...second, ring: 6, first: 5 }, parts.subarray(1024))]])),
    ).toEqual([]);
  });

  test("a void takes away every older copy of its key, no newer one, and none of another key", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    await dwb.write(image(1, 1));
    await dwb.write(image(2, 1));
    dwb.stageVoid(1);
    expect(listed(await afterLosingAll(disk))).toEqual(["2@1", "1@1"]);
    expect(dwb.recover(1)?.version).toBe(1n);
    await dwb.flush();
    expect(listed(await afterLosingAll(disk))).toEqual(["2@1"]);
    expect([dwb.recover(1), dwb.holds(1), dwb.holds(2)]).toEqual([undefined, false, true]);
    await dwb.write(image(1, 2));
    expect(listed(await afterLosingAll(disk))).toEqual(["1@2", "2@1"]);
    expect(dwb.stats).toMatchObject({ images: 3, voids: 1 });
  });

  test("a key that was voided is still void in the next life", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    await dwb.write(image(1, 1));
    dwb.stageVoid(1);
    await dwb.flush();
    disk.crash();
    const next = await open(disk.mount());
    expect(next.recover(1)).toBeUndefined();
    expect(next.hasUnrecovered).toBe(false);
  });

  test("a crash that kept the write over a void, and lost the one over the copy it voided, does not bring the copy back", async () => {
    let kept = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const disk = newDisk({ seed });
      const io = disk.mount();
      const dwb = await open(io);
      dwb.release(await dwb.write(image(1, 1)));
      const tickets = [dwb.stageVoid(1), dwb.stage(image(3)), dwb.stage(image(4))];
      await dwb.flush();
      for (const ticket of tickets) dwb.release(ticket);
      dwb.stage(image(5));
      dwb.stage(image(6));
      disk.crashAfter(4);
      await rejectionOf(dwb.flush());
      const images = await read(disk.mount());
      expect(listed(images)).not.toContain("1@1");
      if (listed(images).includes("6@1") && !listed(images).includes("5@1")) kept++;
    }
    expect(kept).toBeGreaterThan(0);
  });

  test("a copy one turn of the ring behind the newest is not believed: its slot was released, and a void of it may be overwritten", async () => {
    const slots: [number, Uint8Array][] = [
      [0, pageSlot(ID, { ring: 1, key: 1 }, pattern(10, 1))],
      [1, pageSlot(ID, { ring: 6, key: 6 }, pattern(10, 6))],
      [2, pageSlot(ID, { ring: 3, key: 3 }, pattern(10, 3))],
    ];
    const images = await readFile(pageFile(pageHeader(ID), slots));
    expect(listed(images)).toEqual(["6@1", "3@1"]);
    const earlier = await readFile(
      pageFile(
        pageHeader(ID),
        slots.filter(([index]) => index !== 1),
      ),
    );
    expect(listed(earlier)).toEqual(["3@1", "1@1"]);
  });
});
