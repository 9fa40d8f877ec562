import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  checkCompression,
  decodeAnchor,
  decodePreamble,
  decodeRecord,
  encodeAnchor,
  encodePreamble,
  encodeRecord,
  sealAnchor,
  sealPreamble,
} from "../src/index.js";
import {
  authenticateAnchor,
  authenticatePreamble,
  readAnchor,
  readFrame,
  readPreamble,
  readRecord,
} from "./independent-reader.js";
import {
  cipher,
  DWB_ID,
  fieldsOf,
  INCARNATION,
  KEY,
  LOG_ID,
  PREAMBLE,
  PREVIOUS_TAG,
  packedFrame,
  recordsOf,
  sealedFrame,
  text,
  verifiedHeader,
} from "./sample-frames.js";

// The bytes of version 1 as they were first written. They don't change: logs are on disk. A new kind of golden file is
// written by a run with STONEWAL_NEW_GOLDEN=1, which leaves those that exist alone.

/** 16 bytes a line behind their offset, zero lines left out, the size at the end. */
function dump(bytes: Uint8Array): string {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const line = Buffer.from(bytes.subarray(at, at + 16));
    if (line.some((byte) => byte !== 0))
      lines.push(`${at.toString(16).padStart(6, "0")}  ${line.toString("hex")}`);
  }
  return `${lines.join("\n")}\n${bytes.length.toString(16).padStart(6, "0")}  end\n`;
}

function undump(content: string): Buffer {
  const lines = content.trimEnd().split("\n");
  const bytes = Buffer.alloc(Number.parseInt(lines.at(-1)!, 16));
  for (const line of lines.slice(0, -1))
    bytes.write(line.slice(8), Number.parseInt(line.slice(0, 6), 16), "hex");
  return bytes;
}

function golden(name: string, bytes: Uint8Array, written: "written" | "read" = "written"): Buffer {
  const file = new URL(`golden/${name}.hex`, import.meta.url);
  if (process.env.STONEWAL_NEW_GOLDEN === "1" && !existsSync(file)) writeFileSync(file, dump(bytes));
  const content = readFileSync(file, "utf8");
  if (written === "written") expect(dump(bytes)).toBe(content);
  return undump(content);
}

const RECORD = {
  payload: text("a golden payload"),
  type: 0x8000_0102,
  tenant: 0x1122_3344_5566_7788n,
  shard: 0x99aa_bbcc,
  database: 0xffee_ddcc_bbaa_0011n,
};

const ANCHOR = {
  logId: LOG_ID,
  generation: 9,
  trimPoint: 800,
  watermark: 41,
  durableLsn: 999,
  sequence: 6,
  time: 1_700_000_000_456,
};

describe("a log written by version 1 stays readable, byte for byte", () => {
  test("record", () => {
    const bytes = golden("record", encodeRecord(RECORD));
    expect(fieldsOf(decodeRecord(bytes))).toEqual(RECORD);
    expect(readRecord(bytes)).toMatchObject({ ...RECORD, payload: Buffer.from(RECORD.payload), right: true });
  });

  test("data frame", () => {
    const records = [RECORD, { payload: new Uint8Array(0) }, { payload: text("odd"), type: 7 }];
    const bytes = golden("frame-data", sealedFrame(records));
    expect(readFrame(bytes, 4096)!.records.map(fieldsOf)).toEqual(records.map(fieldsOf));
    expect(recordsOf(bytes).map(fieldsOf)).toEqual(records.map(fieldsOf));
  });

  test("data frame with a boundary mask", () => {
    const payload = new Uint8Array(4096 - 192 - 32 + 100);
    payload.set(text("SWFRAME1 in a payload"), payload.length - 100);
    const bytes = golden("frame-masked", sealedFrame([{ payload }]));
    expect(readFrame(bytes, 4096)!.records[0]!.payload).toEqual(Buffer.from(payload));
    expect(fieldsOf(recordsOf(bytes)[0]!).payload).toEqual(payload);
  });

  test("open frame", () => {
    const bytes = golden(
      "frame-open",
      sealedFrame([], { kind: "open", open: { dwbId: DWB_ID, ack: "dwb" } }),
    );
    expect(readFrame(bytes, 4096)!.open).toMatchObject({ ack: 1 });
    expect(verifiedHeader(bytes)!.kind).toBe("open");
  });

  test.each(["idle", "close"] as const)("%s frame", (kind) => {
    const bytes = golden(`frame-${kind}`, sealedFrame([], { kind }));
    expect(readFrame(bytes, 4096)!.kind).toBe(kind);
    expect(verifiedHeader(bytes)!.kind).toBe(kind);
  });

  test("preamble", () => {
    const bytes = golden("preamble", encodePreamble(PREAMBLE));
    expect(decodePreamble(bytes, 65536, 1)).toEqual(PREAMBLE);
    expect(readPreamble(bytes, 0)).toMatchObject({ sequence: 3n, firstLsn: 1000n, blockBytes: 4096 });
  });

  test("anchor", () => {
    const bytes = golden("anchor", encodeAnchor(ANCHOR));
    expect(decodeAnchor(bytes, 65536, 1)).toEqual(ANCHOR);
    expect(readAnchor(bytes, 0)).toMatchObject({ generation: 9n, trimPoint: 800n });
  });

  test.each([
    ["encrypted", undefined],
    ["encrypted-readable", "readable" as const],
  ])("data frame, %s", (name, routing) => {
    const records = [RECORD, { payload: new Uint8Array(0) }, { payload: text("odd"), type: 7 }];
    const bytes = golden(`frame-${name}`, packedFrame(records, { cipher: cipher(), routing }));
    expect(readFrame(bytes, 4096, KEY)!.records.map(fieldsOf)).toEqual(records.map(fieldsOf));
    expect(recordsOf(bytes).map(fieldsOf)).toEqual(records.map(fieldsOf));
  });

  test("open frame, encrypted", () => {
    const fields = { kind: "open", open: { dwbId: DWB_ID, ack: "dwb" } } as const;
    const bytes = golden("frame-open-encrypted", packedFrame([], { cipher: cipher() }, fields));
    expect(readFrame(bytes, 4096, KEY)!.open).toMatchObject({ ack: 1 });
    expect(recordsOf(bytes)).toEqual([]);
  });

  test.each(["deflate-raw", "brotli"] as const)(
    "data frame, compressed with %s, and encrypted",
    (algorithm) => {
      const records = [RECORD, { payload: text("again and ".repeat(2000)) }];
      const compression = checkCompression({ algorithm });
      for (const [name, packing] of [
        [algorithm, { compression }],
        [`${algorithm}-encrypted`, { compression, cipher: cipher() }],
      ] as const) {
        // Only read: a later release of the compressor may make other bytes of the same records.
        const bytes = golden(`frame-${name}`, packedFrame(records, packing), "read");
        expect(readFrame(bytes, 4096, KEY)!.records.map(fieldsOf)).toEqual(records.map(fieldsOf));
        expect(recordsOf(bytes).map(fieldsOf)).toEqual(records.map(fieldsOf));
      }
    },
  );

  test("preamble of an encrypted segment", () => {
    const sealed = sealPreamble(PREAMBLE, cipher(), PREVIOUS_TAG);
    const bytes = golden("preamble-encrypted", encodePreamble(sealed));
    expect(decodePreamble(bytes, 65536, 1)).toEqual(sealed);
    authenticatePreamble(bytes, 1, KEY);
  });

  test("anchor of an encrypted log", () => {
    const sealed = sealAnchor(ANCHOR, cipher(), INCARNATION);
    const bytes = golden("anchor-encrypted", encodeAnchor(sealed));
    expect(decodeAnchor(bytes, 65536, 1)).toEqual(sealed);
    authenticateAnchor(bytes, 1, KEY);
  });
});
