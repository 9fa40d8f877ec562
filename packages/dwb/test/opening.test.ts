import { describe, expect, test } from "vitest";
import { readDwb } from "../src/index.js";
import {
  afterLosingAll,
  codeOf,
  image,
  listed,
  newDisk,
  open,
  PATH,
  read,
  rejectionOf,
  SLOTS_AT,
  STRIDE,
} from "./support/buffer.js";

describe("creating", () => {
  test("mode off is a typed error, and makes no file", async () => {
    const disk = newDisk();
    expect(await rejectionOf(open(disk.mount(), { mode: "off" }))).toBe("DWB_OFF");
    expect(await disk.mount().list("/")).toEqual([]);
  });

  test("geometries out of bounds, and modes that cannot be had, leave nothing behind", async () => {
    const disk = newDisk();
    const io = disk.mount();
    const wrong = [
      { slots: 0 },
      { slots: 65537 },
      { slots: 1.5 },
      { slotBytes: 0 },
      { slotBytes: 1000 },
      { blockBytes: 256 },
      { blockBytes: 768 },
      { blockBytes: 131072, slotBytes: 131072 },
      { slots: 65536, slotBytes: 65536 },
      { slots: 65536, slotAlignment: 65536 },
      { slotAlignment: 0 },
      { slotAlignment: 768 },
      { slotAlignment: 256 },
    ];
    for (const geometry of wrong) expect(await rejectionOf(open(io, geometry))).toBe("DWB_ARGUMENT");
    const coarse = newDisk({ directAlignment: 4096 }).mount();
    expect(await rejectionOf(open(coarse, { mode: "direct" }))).toBe("DWB_ARGUMENT");
    const buffered = newDisk({ direct: false }).mount();
    expect(await rejectionOf(open(buffered, { mode: "direct" }))).toBe("IO_UNSUPPORTED");
    for (const backend of [io, coarse, buffered]) expect(await backend.list("/")).toEqual([]);
  });

  test("interrupted anywhere by a crash, it is made anew, and once open it stays", async () => {
    for (let point = 1; ; point++) {
      const disk = newDisk({ seed: point });
      disk.crashAfter(point);
      const made = await rejectionOf(open(disk.mount()));
      if (disk.crashes === 0) {
        expect(made).toBe("resolved");
        break;
      }
      expect(made).toBe("IO_CLOSED");
      const io = disk.mount();
      const images = await readDwb(io, PATH);
      expect([...(images ?? [])]).toEqual([]);
      const dwb = await open(io);
      expect(dwb.hasUnrecovered).toBe(false);
      await dwb.write(image(1));
      expect(await io.list("/")).toEqual(["dwb"]);
      expect(listed(await afterLosingAll(disk))).toEqual(["1@1"]);
    }
  });

  test("a full disk: the error comes through, and the space is given back", async () => {
    const disk = newDisk({ capacityBytes: SLOTS_AT + STRIDE });
    const io = disk.mount();
    expect(await rejectionOf(open(io))).toBe("IO_NO_SPACE");
    expect(await io.list("/")).toEqual([]);
    disk.capacityBytes = 2 * SLOTS_AT;
    expect(await rejectionOf(open(io))).toBe("resolved");
  });

  test("every I/O error while it is opened comes through, and the next opening succeeds", async () => {
    for (const existing of [false, true])
      for (const operation of [
        "open",
        "write",
        "sync",
        "read",
        "rename",
        "syncDirectory",
        "dropCache",
      ] as const)
        for (let nth = 1; ; nth++) {
          const disk = newDisk();
          if (existing) await (await open(disk.mount())).write(image(1));
          const fault = disk.fail({ operation, nth });
          const outcome = await rejectionOf(open(disk.mount()));
          if (fault.struck === 0) break;
          // An unreadable slot is no reason not to open; nor is an unreadable header, while slots are intact.
          if (operation !== "read") expect(outcome).toMatch(/^IO_/);
          fault.cancel();
          const dwb = await open(disk.mount());
          dwb.releaseRecovered();
          await dwb.write(image(2));
        }
  });
});

describe("opening what is there", () => {
  test("the id stays, and the copies of an earlier life hold their slots until it is said that they were recovered", async () => {
    const disk = newDisk();
    const before = await open(disk.mount());
    await before.write(image(1));
    disk.crash();
    const dwb = await open(disk.mount());
    expect(dwb.id).toEqual(before.id);
    expect(dwb.hasUnrecovered).toBe(true);
    expect(dwb.fits(1)).toBe("later");
    expect(codeOf(() => dwb.stage(image(2)))).toBe("DWB_UNRECOVERED");
    expect(codeOf(() => dwb.stageVoid(1))).toBe("DWB_UNRECOVERED");
    expect(dwb.recover(1)?.bytes()).toEqual(image(1).bytes);
    dwb.releaseRecovered();
    expect((await dwb.write(image(2))).ringSequence).toBe(2);
    expect(dwb.holds(1)).toBe(true);
    expect(listed(await afterLosingAll(disk))).toEqual(["2@1", "1@1"]);
  });

  test("a key used again in a new life is newer than every copy of the old one", async () => {
    const disk = newDisk();
    await (await open(disk.mount())).write(image(7, 9));
    disk.crash();
    const dwb = await open(disk.mount());
    dwb.releaseRecovered();
    await dwb.write(image(7, 1));
    expect(dwb.recover(7)?.version).toBe(1n);
    expect((await afterLosingAll(disk)).newest(7)?.version).toBe(1n);
  });

  test("copies found are dropped one by one as the ring comes round to them", async () => {
    const disk = newDisk();
    const before = await open(disk.mount());
    for (const key of [1, 2, 3]) await before.write(image(key));
    disk.crash();
    const dwb = await open(disk.mount());
    dwb.releaseRecovered();
    for (const key of [4, 5, 6]) dwb.release(await dwb.write(image(key)));
    expect([1, 2, 3, 4, 5, 6].filter((key) => dwb.holds(key))).toEqual([3, 4, 5, 6]);
    expect(listed(await afterLosingAll(disk))).toEqual(["6@1", "5@1", "4@1", "3@1"]);
  });

  test("written buffered it opens direct and the other way round: one layout", async () => {
    for (const [first, second] of [
      ["buffered", "direct"],
      ["direct", "buffered"],
    ] as const) {
      const disk = newDisk();
      await (await open(disk.mount(), { mode: first })).write(image(1, 1, 3000));
      disk.crash();
      const dwb = await open(disk.mount(), { mode: second });
      expect(dwb.recover(1)?.bytes()).toEqual(image(1, 1, 3000).bytes);
      dwb.releaseRecovered();
      await dwb.write(image(2));
      expect(listed(await afterLosingAll(disk))).toEqual(["2@1", "1@1"]);
    }
  });

  test("the file's geometry wins over the one asked for: nothing it holds is laid out anew", async () => {
    const disk = newDisk();
    await (await open(disk.mount())).write(image(1));
    const dwb = await open(disk.mount(), {
      slots: 64,
      slotBytes: 65536,
      blockBytes: 4096,
      slotAlignment: 65536,
    });
    expect([dwb.slots, dwb.slotBytes, dwb.blockBytes, dwb.slotStride]).toEqual([4, 1024, 512, STRIDE]);
    expect(dwb.recover(1)?.bytes()).toEqual(image(1).bytes);
  });

  test("a file that is something else is refused, and left as it is", async () => {
    for (const bytes of [
      new TextEncoder().encode("not a buffer".repeat(20)),
      new Uint8Array(200_000).fill(1),
    ]) {
      const disk = newDisk();
      disk.plant(PATH, bytes);
      expect(await rejectionOf(open(disk.mount()))).toBe("DWB_DAMAGED");
      expect(disk.fileBytes(PATH)).toEqual(bytes);
    }
  });

  test.each([true, false])(
    "what the cache shows and the disk does not have is not recovered: a failed sync had dropped it (O_DIRECT: %s)",
    async (direct) => {
      const disk = newDisk({ direct });
      const dwb = await open(disk.mount());
      await dwb.write(image(1, 1));
      disk.fail({ operation: "sync", path: /dwb/ });
      expect(await rejectionOf(dwb.write(image(1, 2)))).toBe("DWB_FAILED");
      expect(listed(await read(disk.mount()))).toEqual(["1@1"]);
    },
  );

  test("a process that was killed left its copies in the page cache: reading makes them durable before it believes them", async () => {
    const disk = newDisk();
    const io = disk.mount();
    const dwb = await open(io);
    dwb.stage(image(1));
    const [write] = dwb.takeSteps().steps;
    await io.submit([{ ...write!, durable: false } as typeof write & object]);
    disk.kill();
    expect(listed(await read(disk.mount()))).toEqual(["1@1"]);
    disk.crash("none");
    expect(listed(await read(disk.mount()))).toEqual(["1@1"]);
  });

  test("read-only reading changes nothing, not even by a sync", async () => {
    const disk = newDisk();
    await (await open(disk.mount())).write(image(1));
    disk.fail({ operation: "write", times: Number.POSITIVE_INFINITY });
    disk.fail({ operation: "sync", times: Number.POSITIVE_INFINITY });
    const images = await readDwb(disk.mount(), PATH, { readOnly: true });
    expect(listed(images!)).toEqual(["1@1"]);
    expect(await readDwb(disk.mount(), "/none", { readOnly: true })).toBeUndefined();
    expect(await rejectionOf(readDwb(disk.mount(), PATH))).toBe("IO_SYNC_FAILED");
  });
});
