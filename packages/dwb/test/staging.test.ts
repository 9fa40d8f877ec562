import { IoError } from "@stonewal/io";
import { describe, expect, test } from "vitest";
import { type DwbTicket, dwbBytesWritten, openDwb } from "../src/index.js";
import {
  afterLosingAll,
  codeOf,
  image,
  listed,
  newDisk,
  open,
  PATH,
  pattern,
  rejectionOf,
  SLOTS_AT,
  STRIDE,
} from "./support/buffer.js";

describe("when an image is safe", () => {
  test("deferred: not before its flush, and from then on whatever happens", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    dwb.stage(image(1));
    dwb.stage(image(2));
    expect(listed(await afterLosingAll(disk))).toEqual([]);
    await dwb.flush();
    expect(listed(await afterLosingAll(disk))).toEqual(["2@1", "1@1"]);
  });

  test("immediate: when write resolves", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    await dwb.write(image(1));
    const [found] = await afterLosingAll(disk);
    expect(found?.bytes()).toEqual(image(1).bytes);
  });

  test("direct: the same, past the page cache", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount(), { mode: "direct" });
    await dwb.write(image(1, 1, 3000));
    const [found] = await afterLosingAll(disk);
    expect(found?.bytes()).toEqual(image(1, 1, 3000).bytes);
  });

  test("in a caller's chain: the steps end with a sync, so a home write behind them never overtakes the copy", async () => {
    let homeReached = 0;
    for (let round = 0, point = 1; ; round++) {
      if (round % 8 === 7) point++;
      const disk = newDisk({ seed: round });
      const io = disk.mount();
      const home = await io.open("/home", { access: "create" });
      await home.writeZeros(0, 512);
      await io.syncDirectory("/");
      const dwb = await open(io);
      dwb.stage(image(1));
      dwb.stage(image(2));
      const batch = dwb.takeSteps();
      const arena = io.arena(512);
      arena.bytes.fill(1);
      disk.crashAfter(point);
      const region = { arena, start: 0, length: 512 };
      const chain = [...batch.steps, { kind: "write", file: home, region, offset: 0 } as const];
      await io.submit(chain).then(batch.done, batch.failed);
      if (disk.crashes === 0) break;
      if (disk.fileBytes("/home").every((byte) => byte === 0)) continue;
      homeReached++;
      const images = await afterLosingAll(disk);
      expect(listed(images)).toEqual(["2@1", "1@1"]);
    }
    expect(homeReached).toBeGreaterThan(0);
  });

  test("the bytes are copied: what the caller does to them afterwards reaches no disk", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    const bytes = pattern(100, 1);
    dwb.stage(image(1, 1, 100, { bytes }));
    bytes.fill(0);
    await dwb.flush();
    const [found] = await afterLosingAll(disk);
    expect(found?.bytes()).toEqual(pattern(100, 1));
  });

  test("zeros left out at the end come back", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    await dwb.write(image(1, 1, 100, { length: 4096 }));
    const [found] = await afterLosingAll(disk);
    expect(found?.bytes()).toEqual(Uint8Array.of(...image(1).bytes, ...new Uint8Array(3996)));
    expect(found?.length).toBe(4096);
    expect(dwb.recover(1)?.bytes()).toEqual(found?.bytes());
  });
});

describe("flush", () => {
  test("writes nothing where nothing is staged", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    await dwb.write(image(1));
    const { operations } = disk;
    const { bytesWritten } = dwb.stats;
    await dwb.flush();
    expect(dwb.takeSteps().steps).toEqual([]);
    expect(disk.operations).toBe(operations);
    expect(dwb.stats).toMatchObject({ bytesWritten, flushes: 1 });
  });

  test("resolves only when what was staged before it is durable, be it in somebody else's batch", async () => {
    const disk = newDisk();
    const io = disk.mount();
    const dwb = await open(io);
    dwb.stage(image(1));
    const batch = dwb.takeSteps();
    let flushed = false;
    const waiting = dwb.flush().then(() => {
      flushed = true;
    });
    await io.list("/");
    expect(flushed).toBe(false);
    await io.submit(batch.steps);
    batch.done();
    await waiting;
    expect(listed(await afterLosingAll(disk))).toEqual(["1@1"]);
  });

  test("concurrent flushes: each image is written once, and each caller told of its own", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    const told: number[] = [];
    const write = async (key: number): Promise<void> => {
      await dwb.write(image(key));
      expect(listed(await afterLosingAll(disk))).toContain(`${key}@1`);
      told.push(key);
    };
    await Promise.all([write(1), write(2), dwb.flush(), write(3), dwb.flush()]);
    expect(told.sort()).toEqual([1, 2, 3]);
    expect(dwb.stats.bytesWritten).toBe(3 * 512);
  });

  test("staging while a flush is in flight neither joins it nor disturbs it", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const disk = newDisk({ seed });
      const dwb = await open(disk.mount());
      dwb.stage(image(1));
      const first = dwb.flush();
      dwb.stage(image(2));
      await first;
      expect(listed(await afterLosingAll(disk))).toEqual(["1@1"]);
      await dwb.flush();
      expect(listed(await afterLosingAll(disk))).toEqual(["2@1", "1@1"]);
      expect(disk.violations).toEqual([]);
    }
  });

  test("a failure is final: what was staged may not be there, and nothing later is believed", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    await dwb.write(image(1));
    disk.fail({ operation: "write", path: /dwb/ });
    dwb.stage(image(2));
    const error = await dwb.flush().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "DWB_FAILED" });
    expect((error as Error).cause).toBeInstanceOf(IoError);
    expect(dwb.failure).toMatchObject({ code: "IO_WRITE_FAILED" });
    expect(codeOf(() => dwb.stage(image(3)))).toBe("DWB_FAILED");
    expect(codeOf(() => dwb.takeSteps())).toBe("DWB_FAILED");
    expect(await rejectionOf(dwb.flush())).toBe("DWB_FAILED");
    expect(dwb.holds(1)).toBe(true);
    expect(dwb.recover(2)).toBeUndefined();
    expect(dwb.recover(1)?.bytes()).toEqual(image(1).bytes);
    await dwb.close();
  });

  test("a failed batch of a caller's chain fails everybody who waits", async () => {
    const dwb = await open(newDisk().mount());
    dwb.stage(image(1));
    const batch = dwb.takeSteps();
    dwb.stage(image(2));
    const waiting = rejectionOf(dwb.flush());
    const cause = new Error("the chain broke");
    batch.failed(cause);
    expect(await waiting).toBe("DWB_FAILED");
    expect(dwb.failure).toBe(cause);
    batch.done();
    expect(codeOf(() => dwb.stage(image(3)))).toBe("DWB_FAILED");
    expect(dwb.recover(1)).toBeUndefined();
  });
});

describe("the ring", () => {
  test("a slot is used again only after its release: without it, DWB_FULL, and what is there stays", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    const tickets: DwbTicket[] = [];
    for (const key of [1, 2, 3, 4]) tickets.push(await dwb.write(image(key)));
    expect(dwb.fits(100)).toBe("later");
    expect(codeOf(() => dwb.stage(image(5)))).toBe("DWB_FULL");
    expect(codeOf(() => dwb.stageVoid(1))).toBe("DWB_FULL");
    expect(listed(await afterLosingAll(disk))).toEqual(["4@1", "3@1", "2@1", "1@1"]);
    dwb.release(tickets[0]!);
    expect(dwb.fits(100)).toBe("now");
    await dwb.write(image(5));
    expect(codeOf(() => dwb.stage(image(6)))).toBe("DWB_FULL");
    expect(listed(await afterLosingAll(disk))).toEqual(["5@1", "4@1", "3@1", "2@1"]);
  });

  test("slots come free in ring order: a release out of turn frees nothing yet, so no older copy outlives a newer", async () => {
    const dwb = await open(newDisk().mount());
    const tickets = [];
    for (const key of [1, 2, 3, 4]) tickets.push(await dwb.write(image(key)));
    dwb.release(tickets[1]!);
    dwb.release(tickets[2]!);
    expect(dwb.stats.slotsFree).toBe(0);
    dwb.release(tickets[0]!);
    expect(dwb.stats.slotsFree).toBe(3);
    dwb.release(tickets[0]!);
    expect(dwb.stats.slotsFree).toBe(3);
  });

  test("an image takes as many slots as is said beforehand", async () => {
    const dwb = await open(newDisk().mount());
    for (const [bytes, slots] of [
      [1, 1],
      [1024, 1],
      [1025, 2],
    ] as const) {
      expect(dwb.slotsFor(bytes)).toBe(slots);
      expect(dwb.stage(image(bytes, 1, bytes)).slots).toBe(slots);
    }
  });

  test("an early release frees nothing before the image itself is written: its memory is in flight", async () => {
    const io = newDisk().mount();
    const dwb = await open(io);
    const tickets = [1, 2, 3, 4].map((key) => dwb.stage(image(key)));
    const batch = dwb.takeSteps();
    for (const ticket of tickets) dwb.release(ticket);
    expect(codeOf(() => dwb.stage(image(5)))).toBe("DWB_FULL");
    await io.submit(batch.steps);
    batch.done();
    expect(codeOf(() => dwb.stage(image(5)))).toBe("returned");
  });

  test("around the ring many times, every slot is written in turn and the newest copies are there", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    for (let key = 1; key <= 23; key++) {
      const ticket = await dwb.write(image(key));
      expect(ticket.ringSequence).toBe(key);
      dwb.release(ticket);
    }
    expect(listed(await afterLosingAll(disk))).toEqual(["23@1", "22@1", "21@1", "20@1"]);
    expect([19, 20, 23].map((key) => dwb.holds(key))).toEqual([false, true, true]);
  });

  test("a key used again: the newest copy counts, in memory and on the disk, and the older ones stay to be told apart", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    for (const version of [1, 2, 3]) await dwb.write(image(7, version));
    expect(dwb.recover(7)?.bytes()).toEqual(image(7, 3).bytes);
    const images = await afterLosingAll(disk);
    expect(images.newest(7)?.bytes()).toEqual(image(7, 3).bytes);
    expect(listed(images.at(1, 7 * 4096))).toEqual(["7@3", "7@2", "7@1"]);
    expect(images.at(2, 7 * 4096)).toEqual([]);
  });

  test("recover gives the newest durable copy, not one that is only staged", async () => {
    const dwb = await open(newDisk().mount());
    await dwb.write(image(7, 1));
    dwb.stage(image(7, 2));
    expect(dwb.recover(7)?.version).toBe(1n);
    await dwb.flush();
    expect(dwb.recover(7)?.version).toBe(2n);
    expect(dwb.recover(8)).toBeUndefined();
  });

  test("an image of several slots comes back whole, around the end of the ring too", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    for (const key of [1, 2, 3]) dwb.release(await dwb.write(image(key)));
    const ticket = await dwb.write(image(9, 1, 2500));
    expect(ticket).toMatchObject({ ringSequence: 4, slots: 3, key: 9n });
    const images = await afterLosingAll(disk);
    expect(listed(images)).toEqual(["9@1", "3@1"]);
    expect(images.newest(9)?.bytes()).toEqual(image(9, 1, 2500).bytes);
    expect(dwb.recover(9)?.bytes()).toEqual(image(9, 1, 2500).bytes);
  });

  test("an image that lost one of its slots to a newer one is gone, not half there", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    dwb.release(await dwb.write(image(9, 1, 2500)));
    dwb.release(await dwb.write(image(1)));
    expect(dwb.holds(9)).toBe(true);
    dwb.release(await dwb.write(image(2)));
    expect(dwb.holds(9)).toBe(false);
    expect(listed(await afterLosingAll(disk))).toEqual(["2@1", "1@1"]);
  });

  test("more images than slots: every one beyond is refused, none silently dropped", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    const refused: number[] = [];
    for (let key = 1; key <= 7; key++)
      if (codeOf(() => dwb.stage(image(key))) === "DWB_FULL") refused.push(key);
    expect(refused).toEqual([5, 6, 7]);
    await dwb.flush();
    expect(listed(await afterLosingAll(disk))).toEqual(["4@1", "3@1", "2@1", "1@1"]);
  });

  test("larger than the ring: never, so a caller knows that it goes unprotected", async () => {
    const dwb = await open(newDisk().mount());
    expect(dwb.maxImageBytes).toBe(4096);
    expect(dwb.fits(4096)).toBe("now");
    expect(dwb.fits(4097)).toBe("never");
    expect(dwb.fits(100, 4097)).toBe("never");
    expect(codeOf(() => dwb.stage(image(1, 1, 4097)))).toBe("DWB_TOO_LARGE");
    expect(codeOf(() => dwb.stage(image(1, 1, 100, { length: 4097 })))).toBe("DWB_TOO_LARGE");
    expect(dwb.stats.slotsUsed).toBe(0);
    dwb.stage(image(1, 1, 4096));
    expect(dwb.stats.slotsFree).toBe(0);
  });
});

describe("what is written", () => {
  test("one small image costs one block, not a slot", async () => {
    const disk = newDisk();
    const dwb = await openDwb({ io: disk.mount(), path: PATH, mode: "buffered" });
    const before = dwbBytesWritten();
    await dwb.write(image(1, 1, 4096 - 128));
    expect(dwb.stats).toEqual({
      bytesWritten: 4096,
      flushes: 1,
      images: 1,
      voids: 0,
      slotsUsed: 1,
      slotsFree: 63,
    });
    await dwb.write(image(2, 1, 4096 - 127));
    expect(dwb.stats.bytesWritten).toBe(3 * 4096);
    expect(dwbBytesWritten() - before).toBe(3 * 4096);
    expect([dwb.slots, dwb.slotBytes, dwb.slotStride]).toEqual([64, 61_440, 65_536]);
    expect(disk.fileBytes(PATH)).toHaveLength(65 * 65_536);
  });

  test("full slots in a row are one durable write; a gap makes two writes and a sync", async () => {
    const dwb = await open(newDisk().mount());
    for (const key of [1, 2, 3]) dwb.stage(image(key, 1, 1024));
    const [step, ...others] = dwb.takeSteps().steps;
    expect(step).toMatchObject({
      kind: "write",
      offset: SLOTS_AT,
      durable: true,
      region: { length: 3 * STRIDE },
    });
    expect(others).toEqual([]);
    const next = await open(newDisk().mount());
    for (const key of [1, 2]) next.stage(image(key));
    const steps = next.takeSteps().steps;
    expect(steps.map((one) => [one.kind, "durable" in one])).toEqual([
      ["write", false],
      ["write", false],
      ["sync", false],
    ]);
  });

  test("nothing of a slot's former contents is written again behind a shorter image", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    for (const key of [1, 2, 3, 4])
      dwb.release(await dwb.write(image(key, 1, 300, { bytes: new Uint8Array(300).fill(0xee) })));
    await dwb.write(image(5, 1, 10, { bytes: new Uint8Array(10) }));
    expect(
      disk
        .fileBytes(PATH)
        .subarray(SLOTS_AT + 128, SLOTS_AT + 512)
        .includes(0xee),
    ).toBe(false);
  });

  test("the counters are per buffer, and of the whole process together", async () => {
    const [a, b] = [await open(newDisk().mount()), await open(newDisk().mount())];
    const before = dwbBytesWritten();
    await a.write(image(1));
    await b.write(image(1, 1, 1024));
    await b.flush();
    expect([a.stats.bytesWritten, b.stats.bytesWritten]).toEqual([512, STRIDE]);
    expect(dwbBytesWritten() - before).toBe(512 + STRIDE);
  });
});

describe("wrong calls", () => {
  test("numbers that no u64 holds are refused before anything is staged", async () => {
    const dwb = await open(newDisk().mount());
    for (const wrong of [-1, 1.5, 2 ** 53, -1n, 2n ** 64n])
      for (const field of ["key", "target", "offset", "version"])
        expect(codeOf(() => dwb.stage(image(1, 1, 10, { [field]: wrong })))).toBe("DWB_ARGUMENT");
    expect(codeOf(() => dwb.stage(image(1, 1, 10, { offset: 2n ** 53n })))).toBe("DWB_ARGUMENT");
    expect(codeOf(() => dwb.stage(image(1, 1, 10, { length: 9 })))).toBe("DWB_ARGUMENT");
    expect(codeOf(() => dwb.stage(image(1, 1, 0)))).toBe("DWB_ARGUMENT");
    expect(dwb.stats.slotsUsed).toBe(0);
    await dwb.write({ ...image(1), key: 2n ** 64n - 1n, target: 2n ** 64n - 1n, version: 2n ** 64n - 1n });
    expect(dwb.recover(2n ** 64n - 1n)?.version).toBe(2n ** 64n - 1n);
  });

  test("a ticket of another buffer frees nothing here", async () => {
    const [a, b] = [await open(newDisk().mount()), await open(newDisk().mount())];
    const ticket = await a.write(image(1));
    await b.write(image(1));
    expect(codeOf(() => b.release(ticket))).toBe("DWB_ARGUMENT");
    expect(codeOf(() => b.release({ ...ticket }))).toBe("DWB_ARGUMENT");
    expect(b.stats.slotsUsed).toBe(1);
  });

  test("closing flushes what is staged, then everything is DWB_CLOSED", async () => {
    const disk = newDisk();
    {
      await using dwb = await open(disk.mount());
      dwb.stage(image(1));
    }
    expect(listed(await afterLosingAll(disk))).toEqual(["1@1"]);
    const dwb = await open(disk.mount());
    await Promise.all([dwb.close(), dwb.close()]);
    expect(codeOf(() => dwb.stage(image(2)))).toBe("DWB_CLOSED");
    expect(await rejectionOf(dwb.flush())).toBe("DWB_CLOSED");
  });

  test("closing after a crash of the disk says so, and does not hang", async () => {
    const disk = newDisk();
    const dwb = await open(disk.mount());
    dwb.stage(image(1));
    disk.crash();
    expect(await rejectionOf(dwb.close())).toMatch(/DWB_FAILED|IO_CLOSED/);
  });
});
