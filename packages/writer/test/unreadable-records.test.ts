// Records that turn out not to be readable while they are being copied: nothing of them may stay behind.
import { encodeRecord, type RecordInput } from "@stonewal/record";
import { expect, test } from "vitest";
import { bytes, makeDisk, openOn, textsOf } from "./support/sim-log.js";

/** A payload whose memory has gone to another thread, as by `postMessage` with a transfer list. */
function transferred(): Uint8Array {
  const payload = bytes("sent away");
  structuredClone(payload, { transfer: [payload.buffer as ArrayBuffer] });
  return payload;
}

/** A view of memory that has shrunk under it. */
function shrunk(): Uint8Array {
  // TypeScript's library for Node.js 20 doesn't have them.
  const Resizable = ArrayBuffer as unknown as new (
    bytes: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer & { resize(bytes: number): void };
  const buffer = new Resizable(64, { maxByteLength: 64 });
  const payload = new Uint8Array(buffer, 32, 8);
  buffer.resize(16);
  return payload;
}

/** Can be read once: to be looked at, and not to be copied. */
function readableOnce(): RecordInput {
  let reads = 0;
  return {
    payload: bytes("x"),
    get tenant(): number {
      reads += 1;
      if (reads > 1) throw new Error("gone");
      return 1;
    },
  };
}

const UNREADABLE: [string, () => RecordInput][] = [
  ["was transferred", () => ({ payload: transferred() })],
  ["has shrunk", () => ({ payload: shrunk() })],
  ["fails when it is copied", readableOnce],
];

test.each(UNREADABLE)(
  "a batch of which a record %s is not in the log, nor anything of it",
  async (_, make) => {
    const disk = makeDisk();
    const wal = await openOn(disk, { dwb: "off" });
    const batch = () => [{ payload: bytes("good") }, make()];
    expect(await wal.commit({ payload: bytes("1") })).toBe(1);
    // In a frame that has records already, and in a new one.
    wal.append({ payload: bytes("2") });
    expect(() => wal.appendBatch(batch())).toThrow();
    await expect(wal.commitBatch(batch())).rejects.toThrow();
    expect(() => wal.append(make())).toThrow();
    expect(await wal.commit({ payload: bytes("3") })).toBe(3);
    await expect(wal.commitBatch(batch())).rejects.toThrow();
    expect(wal.nextLsn).toBe(4);
    await wal.close();
    const again = await openOn(disk, { dwb: "off" });
    expect(await textsOf(again)).toEqual(["1:1", "2:2", "3:3"]);
    await again.close();
  },
);

test.each([
  ["loses one", (batch: RecordInput[]) => batch.pop()],
  ["gets another", (batch: RecordInput[]) => batch.push({ payload: bytes("another") })],
] as const)("a batch that %s while its records are read is what it was", async (_, change) => {
  const disk = makeDisk();
  const wal = await openOn(disk, { dwb: "off" });
  let reads = 0;
  const batch: RecordInput[] = [
    {
      get payload(): Uint8Array {
        reads += 1;
        if (reads === 2) change(batch);
        return bytes("a");
      },
    },
    { payload: bytes("b") },
  ];
  expect(await wal.commitBatch(batch)).toEqual({ firstLsn: 1, lastLsn: 2 });
  expect(await wal.commit({ payload: bytes("c") })).toBe(3);
  await wal.close();
  const again = await openOn(disk, { dwb: "off" });
  expect(await textsOf(again)).toEqual(["1:a", "2:b", "3:c"]);
  await again.close();
});

test.each(UNREADABLE.slice(0, 2))("a payload that %s is refused with a code", async (_, make) => {
  const wal = await openOn(makeDisk(), { dwb: "off" });
  const refused = expect.objectContaining({ code: "RECORD_ARGUMENT" });
  expect(() => wal.append(make())).toThrow(refused);
  expect(() => wal.appendBatch([make(), { payload: bytes("") }])).toThrow(refused);
  await expect(wal.commit(make())).rejects.toEqual(refused);
  expect(() => wal.commitNow(make())).toThrow(refused);
  expect(await wal.commit({ payload: new Uint8Array(0) })).toBe(1);
  await wal.close();
});

test("a payload that is made anew whenever it is asked for, of another length each time, is one of those that were made", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk, { dwb: "off" });
  let reads = 0;
  const changing = {
    get payload(): Uint8Array {
      reads += 1;
      // No pattern that fits how often it is read.
      const length = Math.imul(reads ^ (reads >>> 3), 0x9e3779b1) >>> 31 === 0 ? 20_000 + reads : 10;
      return new Uint8Array(length).fill(length);
    },
  };
  let appended = 0;
  for (let tries = 0; tries < 150; tries += 1) {
    try {
      expect(wal.append(changing)).toBe(appended + 1);
      appended += 1;
    } catch (error) {
      // There was room for what was looked at, and not for what was copied: no LSN was given.
      expect(error).toMatchObject({ code: expect.stringMatching(/RECORD_TOO_LARGE|WAL_BACKPRESSURE/) });
      await wal.sync();
    }
  }
  await wal.close();
  const again = await openOn(disk, { dwb: "off" });
  let read = 0;
  for await (const { lsn, payload } of again.read()) {
    read += 1;
    expect(lsn).toBe(read);
    expect(payload.every((byte) => byte === (payload.length & 0xff))).toBe(true);
  }
  expect(read).toBe(appended);
  await again.close();
});

test("an encoded record is what was copied of it, whatever becomes of the caller's bytes meanwhile", async () => {
  const disk = makeDisk();
  const wal = await openOn(disk, { dwb: "off" });
  const encoded = encodeRecord({ payload: bytes("whole") });
  const { buffer } = encoded;
  // As another thread could, in shared memory: when they have been copied, and are looked at again.
  Object.defineProperty(encoded, "buffer", { get: () => encoded.fill(0) && buffer });
  expect(wal.appendEncoded(encoded)).toBe(1);
  for (const wrong of [undefined, "record", new ArrayBuffer(8)] as unknown as Uint8Array[])
    expect(() => wal.appendEncoded(wrong)).toThrow(expect.objectContaining({ code: "RECORD_ARGUMENT" }));
  expect(await wal.commit({ payload: bytes("next") })).toBe(2);
  await wal.close();
  const again = await openOn(disk, { dwb: "off" });
  expect(await textsOf(again)).toEqual(["1:whole", "2:next"]);
  await again.close();
});
