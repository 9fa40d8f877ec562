import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { IoBackend, IoFile, Step } from "@stonewal/io";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { faultCounts, faultyUring, setFaults, setLanes } from "./support/fault-addon.mjs";
import { noLanes } from "./support/no-lanes.js";
import { scratchRoot } from "./support/subject.js";

const BLOCK = 4096;
let directory: string;
let io: IoBackend;

beforeEach(async () => {
  directory = await mkdtemp(join(scratchRoot, "stonewal-uring-"));
  io = faultyUring({ entries: 32 });
});

afterEach(async () => {
  setLanes(false);
  setFaults("");
  await io.close();
  await rm(directory, { recursive: true });
});

async function create(name: string, blocks = 16): Promise<IoFile> {
  const file = await io.open(join(directory, name), { access: "create" });
  await file.writeZeros(0, blocks * BLOCK);
  return file;
}

/** `blocks` blocks of that byte. */
function write(file: IoFile, byte: number, offset: number, blocks = 1, durable = false): Step {
  const arena = io.arena(blocks * BLOCK);
  arena.bytes.fill(byte);
  return { kind: "write", file, region: { arena, start: 0, length: blocks * BLOCK }, offset, durable };
}

/** The first byte of each block; a block that is not all one byte is -1. */
async function blocksOf(file: IoFile): Promise<number[]> {
  const bytes = await readFile(file.path);
  return Array.from({ length: bytes.length / BLOCK }, (_, n) => {
    const block = bytes.subarray(n * BLOCK, (n + 1) * BLOCK);
    return block.every((byte) => byte === block[0]) ? (block[0] as number) : -1;
  });
}

describe.each([
  ["by the kernel", false],
  ["by threads of the ring's own", true],
])("%s", (_, lanes) => {
  beforeEach(({ skip }) => {
    if (lanes && noLanes !== undefined) skip(noLanes);
    setLanes(lanes);
  });

  afterEach(() => {
    if (lanes && noLanes === undefined) expect(faultCounts().inLanes).toBeGreaterThan(0);
  });

  test("a write cut short in the middle of a chain is continued before anything behind it starts", async () => {
    for (const durable of [false, true]) {
      const file = await create(`short-${durable}`, 8);
      const other = await create(`other-${durable}`, 8);
      // Were the writes behind it not held back, the rest of the first would come last and win.
      setFaults(`write:short-${durable}:2:short=${BLOCK}`);
      await io.submit([
        write(file, 1, 0, 8, durable),
        write(file, 2, 0, 8, durable),
        write(file, 3, 2 * BLOCK, 4, durable),
        { kind: "sync", file },
        write(other, 4, 0, 8, durable),
      ]);
      expect(faultCounts().applied).toBe(1);
      expect(await blocksOf(file)).toEqual([2, 2, 3, 3, 3, 3, 2, 2]);
      expect(await blocksOf(other)).toEqual(new Array(8).fill(4));
    }
  });

  test("every place in a chain can be cut short, interrupted, put off or given up by the kernel", async () => {
    const file = await create("a", 12);
    for (const effect of ["short=4096", "EINTR", "EAGAIN", "ECANCELED"]) {
      for (let nth = 1; nth <= 5; nth++) {
        setFaults(`write:/a:${nth}:${effect}`);
        const byte = 10 * nth;
        await io.submit(
          [0, 1, 2, 3, 4]
            .map((n) => write(file, byte + n, n * BLOCK, 8))
            .concat({ kind: "sync", file } as Step),
        );
        expect(faultCounts().applied, `${effect} at ${nth}`).toBe(1);
        const last = byte + 4;
        expect(await blocksOf(file)).toEqual([
          byte,
          byte + 1,
          byte + 2,
          byte + 3,
          ...new Array(8).fill(last),
        ]);
      }
    }
  });

  test("a sync that is interrupted or given up is made again, and what is behind it waits for that", async () => {
    const file = await create("a");
    const other = await create("b");
    for (const effect of ["EINTR", "ECANCELED"]) {
      setFaults(`sync:/a:1-3:${effect}`);
      await io.submit([write(file, 1, 0), { kind: "sync", file }, write(other, 2, 0)]);
      expect(faultCounts().applied).toBe(3);
    }
    // EAGAIN from a sync is not "try again later": pages may be gone.
    setFaults("sync:/a:1:EAGAIN");
    await expect(io.submit([{ kind: "sync", file }])).rejects.toMatchObject({
      code: "IO_SYNC_FAILED",
      errno: "EAGAIN",
    });
  });

  test("a kernel that says `again` for ever is an error after a bounded number of tries", async () => {
    const file = await create("a");
    for (const [effect, errno] of [
      ["EINTR", "EINTR"],
      ["EAGAIN", "EAGAIN"],
    ]) {
      setFaults(`write:/a:1+:${effect}`);
      const chain = [write(file, 1, 0), write(file, 2, 0)];
      await expect(io.submit(chain)).rejects.toMatchObject({ code: "IO_WRITE_FAILED", errno, step: 0 });
      expect(faultCounts().applied).toBeLessThan(1000);
    }
    setFaults("");
    await io.submit([write(file, 3, 0)]);
  });

  test("chains finish in any order, each with its own outcome and its own bytes", async () => {
    const files = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => create(`f${n}`, 4)));
    // The first ones are the slowest, one fails, one is cut short.
    setFaults(
      "write:/f0:1:delay=900;write:/f1:1:delay=600;write:/f2:2:EIO;write:/f3:1:short=4096;write:/f4:1:delay=300",
    );
    const finished: number[] = [];
    const results = await Promise.allSettled(
      files.map((file, n) =>
        io
          .submit([write(file, 10 + n, 0, 4), write(file, 20 + n, 0, 2), { kind: "sync", file }])
          .finally(() => finished.push(n)),
      ),
    );
    expect(results.map((result) => result.status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
      "fulfilled",
    ]);
    expect((results[2] as PromiseRejectedResult).reason).toMatchObject({ code: "IO_WRITE_FAILED", step: 1 });
    expect(finished.indexOf(5)).toBeLessThan(finished.indexOf(4));
    expect(finished.indexOf(4)).toBeLessThan(finished.indexOf(1));
    expect(finished.at(-1)).toBe(0);
    for (const [n, file] of files.entries()) {
      const expected = n === 2 ? [12, 12, 12, 12] : [20 + n, 20 + n, 10 + n, 10 + n];
      expect(await blocksOf(file)).toEqual(expected);
    }
  });

  test("a chain that goes on after a write waits for another chain's sync of that file, and is refused when it fails", async () => {
    const file = await create("a");
    const other = await create("b");
    setFaults("sync:/a:1:EIO");
    const failing = io.submit([write(file, 1, 0), { kind: "sync", file }]);
    const behind = io.submit([write(file, 2, BLOCK), write(other, 3, 0)]);
    await expect(failing).rejects.toMatchObject({ code: "IO_SYNC_FAILED", step: 1 });
    await expect(behind).rejects.toMatchObject({ code: "IO_SYNC_POISONED", step: 0 });
    expect((await blocksOf(other))[0], "no later step was started").toBe(0);
  });

  test("a write in flight when another chain's sync of its file fails does not succeed", async () => {
    const file = await create("a");
    setFaults("write:/a:2:delay=500;sync:/a:1:EIO");
    const failing = io.submit([write(file, 1, 0), { kind: "sync", file }]);
    const beside = io.submit([write(file, 2, BLOCK)]);
    await expect(failing).rejects.toMatchObject({ code: "IO_SYNC_FAILED" });
    await expect(beside).rejects.toMatchObject({ code: "IO_SYNC_POISONED", step: 0 });
  });

  test("chains that want the same files in different orders do not wait for each other for ever", async () => {
    const files = await Promise.all([0, 1, 2].map((n) => create(`f${n}`)));
    const orders = [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
      [1, 2, 0],
    ];
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        io.submit(
          (orders[n % 4] as number[]).flatMap((k): Step[] => {
            const file = files[k] as IoFile;
            return [write(file, n, 0), { kind: "sync", file }];
          }),
        ),
      ),
    );
    for (const file of files) expect((await blocksOf(file))[0]).toBeLessThan(40);
  });
});

test("a submission that is interrupted, or that the kernel has no memory for just now, is made again", async () => {
  const file = await create("a");
  for (const effect of ["EINTR", "EAGAIN", "EBUSY", "ENOMEM"]) {
    setFaults(`enter::1-5:${effect}`);
    await io.submit([write(file, 7, 0), write(file, 8, 0), { kind: "sync", file }]);
    expect(faultCounts().applied).toBe(5);
    expect((await blocksOf(file))[0]).toBe(8);
  }
});

test("a kernel that takes no request fails the chain and not the process, and the back end goes on", async () => {
  const file = await create("a");
  setFaults("enter::1+:EAGAIN");
  await expect(io.submit([write(file, 1, 0), { kind: "sync", file }])).rejects.toMatchObject({
    code: "IO_FAILED",
    errno: "EAGAIN",
    syscall: "io_uring_enter",
  });
  setFaults("");
  expect((await blocksOf(file))[0]).toBe(0);
  await io.submit([write(file, 2, 0), { kind: "sync", file }]);
  expect((await blocksOf(file))[0]).toBe(2);
});

test("a chain of which the kernel takes only a part goes on when that part is done, and not beside it", async () => {
  const file = await create("a", 8);
  for (let taken = 1; taken <= 5; taken++) {
    // The part that was taken is slow: what is behind would overtake it if it were sent on its own.
    setFaults(`enter::1:short=${taken};write:/a:1:delay=30`);
    const order = [1, 2, 3, 4].map((byte) => write(file, 10 * taken + byte, 0, 8));
    await io.submit([...order, { kind: "sync", file }]);
    expect(faultCounts().applied).toBe(2);
    expect(await blocksOf(file), `${taken} of the requests taken`).toEqual(new Array(8).fill(10 * taken + 4));
  }
});

test("of a chain that failed nothing is left in the queue, to run with a later one", async () => {
  const file = await create("a");
  const other = await create("b");
  setFaults("enter::1:short=1;write:/a:1:EIO");
  await expect(io.submit([write(file, 1, 0), write(other, 2, 0)])).rejects.toMatchObject({
    step: 0,
    errno: "EIO",
  });
  expect(faultCounts().applied).toBe(2);
  await io.submit([write(file, 3, 0), { kind: "sync", file }]);
  await io.submit([{ kind: "sync", file: other }]);
  expect((await blocksOf(file))[0]).toBe(3);
  expect((await blocksOf(other))[0]).toBe(0);
});
