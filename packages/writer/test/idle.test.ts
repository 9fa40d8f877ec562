import { SimDisk } from "@stonewal/io-sim";
import { expect, test } from "vitest";
import { openLog } from "../src/index.js";

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a record appended long after the log fell quiet becomes durable too, without anybody asking", async () => {
  const disk = new SimDisk({ seed: 7 });
  const wal = await openLog({
    io: disk.mount(),
    directory: "/log",
    segmentBytes: 262_144,
    frameBytes: 65_536,
    bufferBytes: 262_144,
    idleMs: 100,
  });
  for (let lsn = 1; lsn <= 3; lsn += 1) {
    // Quiet for long enough that every timer of the last commit has run out.
    for (let i = 0; i < 5; i += 1) {
      disk.advance(101);
      await turn();
    }
    wal.append({ payload: new Uint8Array([lsn]) });
    expect(wal.durableLsn).toBe(lsn - 1);
    const pass = () => {
      disk.advance(101);
      return wal.durableLsn;
    };
    await expect.poll(pass).toBe(lsn);
  }
  await wal.close();
});
