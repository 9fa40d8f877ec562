import { brotliCompressSync, constants, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { allocated, fuzzing, mutated, mutation } from "../../../fuzzing.mjs";
import {
  authenticateAnchor,
  authenticatePreamble,
  checkCompression,
  crc32c,
  decodeAnchor,
  decodePreamble,
  decodeRecord,
  encodeAnchor,
  encodePreamble,
  encodeRecord,
  FrameUnpacker,
  FrameVerifier,
  frameRecords,
  frameRouting,
  intactRecords,
  type Packing,
  parseAsideName,
  parseSegmentName,
  parseSpareName,
  RecordError,
  type RecordInput,
  readFrameHeader,
  readOpenBody,
  sealAnchor,
  sealPreamble,
} from "../src/index.js";
import {
  cipher,
  DWB_ID,
  decipher,
  LOG_ID,
  PREAMBLE,
  PREVIOUS_TAG,
  packedFrame,
  sealedFrame,
  text,
} from "./sample-frames.js";

/** Everything that this package reads, of every kind there is, and what a stranger may make of it: damage, under right checksums. */

const RECORDS: RecordInput[] = [
  { payload: text("acknowledged"), type: 1, tenant: 2, shard: 3, database: 4 },
  { payload: new Uint8Array(0) },
  { payload: new Uint8Array(5000).fill(0x61) },
];
const MASKED = new Uint8Array(4096 - 192 - 32 + 8);
MASKED.set(text("SWFRAME1"), MASKED.length - 8);

const packed = (packing: Packing) => packedFrame(RECORDS, packing);
const FRAMES: Readonly<Record<string, Uint8Array>> = {
  data: sealedFrame(RECORDS),
  "one record": sealedFrame([{ payload: text("x") }]),
  masked: sealedFrame([{ payload: MASKED }]),
  open: sealedFrame([], { kind: "open", open: { dwbId: DWB_ID, ack: "dwb" } }),
  idle: sealedFrame([], { kind: "idle" }),
  deflated: packed({ compression: checkCompression({ algorithm: "deflate-raw" }) }),
  brotli: packed({ compression: checkCompression({ algorithm: "brotli" }) }),
  encrypted: packed({ cipher: cipher() }),
  readable: packed({ cipher: cipher(), routing: "readable" }),
  "compressed and encrypted": packed({
    compression: checkCompression({ algorithm: "deflate-raw" }),
    cipher: cipher(),
  }),
};
const NAMES = Object.keys(FRAMES);

const u32 = (bytes: Uint8Array, at: number) =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
const put = (bytes: Uint8Array, at: number, value: number) =>
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, value, true);

/** Checksums as somebody who wants to be believed would make them: of the records that are there, of the body, of the header. */
function reseal(bytes: Uint8Array, deep: boolean): void {
  if (bytes.length < 192) return;
  if (deep) {
    const packedBody = u32(bytes, 26) !== 0;
    const padded = Math.max(192, Math.min(bytes.length, Math.ceil(u32(bytes, 16) / 4096) * 4096));
    const sums: number[] = [];
    let at = 192;
    for (
      let left = packedBody ? 0 : Math.min(u32(bytes, 20), 1000);
      left > 0 && at + 32 <= padded;
      left -= 1
    ) {
      const end = at + 32 + Math.ceil(u32(bytes, at + 4) / 8) * 8;
      if (end > padded) break;
      put(bytes, at, crc32c(bytes, at + 4, end));
      sums.push(u32(bytes, at));
      at = end;
    }
    sums.push(crc32c(bytes, at, padded));
    put(bytes, 12, crc32c(new Uint8Array(Uint32Array.from(sums).buffer), 0, 4 * sums.length));
  }
  put(bytes, 8, crc32c(bytes, 12, 192));
}

/** Calls `act`; whatever goes wrong has to be a RecordError with a code. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    expect(error.code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    return undefined;
  }
}

/** All that a reader does with a frame, one after the other, whatever came before. True: the frame is right, all of it. */
function readFrame(bytes: Uint8Array, at: number, blockBytes: number): boolean {
  const header = attempt(() => readFrameHeader(bytes, at));
  if (header === undefined) return false;
  attempt(() => walk(intactRecords(bytes, at, header, blockBytes)));
  const right = attempt(() => new FrameVerifier(blockBytes).verify(bytes, [{ header, at }])[0]) ?? false;
  if (header.kind === "open") attempt(() => readOpenBody(bytes, at, header));
  attempt(() => frameRouting(bytes, at, header));
  const unpacked = attempt(() => new FrameUnpacker(decipher()).unpack(bytes, at, header));
  attempt(() => walk(frameRecords(bytes, at, header)));
  attempt(() => walk(frameRecords(bytes, at, header, unpacked)));
  return right;
}

function walk(records: Iterable<{ readonly lsn: number; readonly payload: Uint8Array }>): void {
  for (const { lsn, payload } of records) {
    expect(Number.isSafeInteger(lsn)).toBe(true);
    payload.at(-1);
  }
}

/** Above what is given to it, and what a compressed frame of a few blocks honestly expands to. */
const MEMORY_BYTES = 4 << 20;

async function boundedly(act: () => unknown): Promise<void> {
  expect(await allocated(act)).toBeLessThan(MEMORY_BYTES);
}

test("a frame of any kind that was changed under right checksums: a RecordError or a frame, in bounded memory", async () => {
  let right = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...NAMES),
      fc.array(mutation, { maxLength: 5 }),
      fc.constantFrom("none", "header", "deep"),
      fc.constantFrom(4096, 8192),
      async (name, mutations, sealed, blockBytes) => {
        const behind = FRAMES.data!;
        let bytes: Uint8Array = Uint8Array.from([...FRAMES[name]!, ...behind]);
        for (const one of mutations) bytes = mutated(bytes, one, [0, 192, FRAMES[name]!.length]);
        if (sealed !== "none") reseal(bytes, sealed === "deep");
        const length = bytes.length;
        await boundedly(() => {
          for (let at = 0; at < length; at += 4096) if (readFrame(bytes, at, blockBytes)) right += 1;
          readFrame(bytes, 8, 4096);
        });
      },
    ),
    fuzzing(600),
  );
  // The fuzz reaches what lies behind the checks of a header.
  expect(right).toBeGreaterThan(100);
});

const PREAMBLES = [encodePreamble(PREAMBLE), encodePreamble(sealPreamble(PREAMBLE, cipher(), PREVIOUS_TAG))];
const ANCHOR = {
  logId: LOG_ID,
  generation: 3,
  trimPoint: 10,
  watermark: 40,
  durableLsn: 900,
  sequence: 3,
  time: 1,
};
const ANCHORS = [encodeAnchor(ANCHOR), encodeAnchor(sealAnchor(ANCHOR, cipher(), LOG_ID))];

test("a preamble or an anchor that was changed under right checksums: a RecordError, nothing, or one that agrees with itself", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...PREAMBLES, ...ANCHORS),
      fc.array(mutation, { maxLength: 4 }),
      fc.boolean(),
      async (original, mutations, sealed) => {
        let bytes: Uint8Array = original;
        for (const one of mutations) bytes = mutated(bytes, one, [0, 65_536]);
        bytes = bytes.slice();
        for (const at of [0, 65_536])
          if (sealed && bytes.length >= at + 256) put(bytes, at + 8, crc32c(bytes, at + 12, at + 256));
        await boundedly(() => {
          for (const copy of [0, 1] as const) {
            const preamble = attempt(() => decodePreamble(bytes, copy * 65_536, copy));
            const anchor = attempt(() => decodeAnchor(bytes, copy * 65_536, copy));
            if (preamble !== undefined) {
              attempt(() => authenticatePreamble(preamble, decipher()));
              // What was believed can be written again.
              expect(() => encodePreamble(preamble)).not.toThrow();
            }
            if (anchor !== undefined) {
              attempt(() => authenticateAnchor(anchor, decipher()));
              expect(() => encodeAnchor(anchor)).not.toThrow();
            }
          }
        });
      },
    ),
    fuzzing(600),
  );
});

test("an encoded record or a file name that was changed: a RecordError, or what it says", async () => {
  const records = RECORDS.map((record) => encodeRecord(record));
  const digits = fc.stringMatching(/^\d{18,21}$/);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...records),
      fc.array(mutation, { maxLength: 4 }),
      fc.boolean(),
      fc.oneof(
        fc.string(),
        fc.tuple(digits, digits, fc.constantFrom(".wal", "", ".new")).map(([a, b, end]) => `${a}-${b}${end}`),
        fc.tuple(fc.constantFrom("spare-", "aside-"), digits, fc.string()).map((parts) => parts.join("")),
      ),
      async (original, mutations, sealed, name) => {
        let bytes: Uint8Array = original;
        for (const one of mutations) bytes = mutated(bytes, one, [0]);
        bytes = bytes.slice();
        if (sealed && bytes.length >= 8) put(bytes, 0, crc32c(bytes, 4, bytes.length));
        await boundedly(() => {
          attempt(() => decodeRecord(bytes));
          attempt(() => parseSegmentName(name));
          attempt(() => parseSpareName(name));
          attempt(() => parseAsideName(name));
        });
      },
    ),
    fuzzing(600),
  );
});

test.each(["deflate-raw", "brotli"] as const)(
  "a few blocks that %s expands to more than they state cost no more memory than that",
  async (algorithm) => {
    const honest = packed({ compression: checkCompression({ algorithm }) });
    const bomb =
      algorithm === "brotli"
        ? brotliCompressSync(new Uint8Array(1 << 25), { params: { [constants.BROTLI_PARAM_QUALITY]: 2 } })
        : deflateRawSync(new Uint8Array(1 << 22));
    const bytes = new Uint8Array(8192);
    bytes.set(honest.subarray(0, 192));
    bytes.set(bomb.subarray(0, 8192 - 192), 192);
    const stored = Math.min(bomb.length, 8192 - 192);
    for (const plain of [8, 65_536, (1 << 20) - 8]) {
      put(bytes, 16, 192 + Math.ceil(stored / 8) * 8);
      put(bytes, 20, 1);
      put(bytes, 132, Math.max(plain, Math.ceil((stored + 1) / 8) * 8));
      put(bytes, 136, stored);
      reseal(bytes, true);
      const header = readFrameHeader(bytes, 0)!;
      expect(header).toBeDefined();
      expect(new FrameVerifier(4096).verify(bytes, [{ header, at: 0 }])).toEqual([true]);
      await boundedly(() => {
        expect(() => new FrameUnpacker(undefined).unpack(bytes, 0, header)).toThrow(RecordError);
      });
    }
  },
);
