import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  authenticateAnchor,
  authenticatePreamble,
  checkCompression,
  crc32c,
  FrameUnpacker,
  FrameVerifier,
  frameRouting,
  KeyRing,
  LogCipher,
  type LogDecipher,
  type Packing,
  type RecordError,
  type RecordInput,
  readFrameHeader,
  sealAnchor,
  sealPreamble,
} from "../src/index.js";
import {
  anyRecord,
  cipher,
  DWB_ID,
  decipher,
  fieldsOf,
  INCARNATION,
  KEY,
  KEY_ID,
  LOG_ID,
  PREAMBLE,
  PREVIOUS_TAG,
  packedFrame,
  recordsOf,
  ring,
  text,
  verifiedHeader,
} from "./sample-frames.js";

const code = (expected: RecordError["code"]) => expect.objectContaining({ code: expected });
const OTHER_KEY = Uint8Array.from(KEY, (byte) => byte ^ 1);
const MARKER = "a marker that must not be readable";
const RECORDS: readonly RecordInput[] = [
  { payload: text(MARKER), type: 0x8000_0001, tenant: 0x1122_3344_5566_7788n, shard: 9, database: 3n },
  { payload: text(MARKER.repeat(300)), type: 2 },
  { payload: new Uint8Array(0) },
];
const deflate = checkCompression({ algorithm: "deflate-raw" });
const MODES: readonly (readonly [string, () => Packing])[] = [
  ["encrypted", () => ({ cipher: cipher() })],
  ["encrypted, routing readable", () => ({ cipher: cipher(), routing: "readable" })],
  ["compressed and encrypted", () => ({ cipher: cipher(), compression: deflate })],
];

function unpack(bytes: Uint8Array, keys: LogDecipher | undefined = decipher()) {
  const header = verifiedHeader(bytes);
  if (header === undefined) throw new Error("the frame is not intact");
  return new FrameUnpacker(keys).unpack(bytes, 0, header);
}

/** What an attacker who knows the format does after changing something: makes the checksums right again. */
function mended(frame: Uint8Array): Uint8Array {
  const bytes = frame.slice();
  const view = new DataView(bytes.buffer);
  const sums = new Uint8Array(4);
  new DataView(sums.buffer).setUint32(0, crc32c(bytes, 192), true);
  view.setUint32(12, crc32c(sums), true);
  view.setUint32(8, crc32c(bytes, 12, 192), true);
  return bytes;
}

describe.each(MODES)("a frame that is %s", (_name, packing) => {
  test("comes back record for record", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 6 }), (records) => {
        const frame = packedFrame(records, packing());
        expect(recordsOf(frame).map(fieldsOf)).toEqual(records.map(fieldsOf));
      }),
      { numRuns: 100 },
    );
  });

  test("shows nothing of its payloads, in what is written or in the memory behind it", () => {
    const frame = packedFrame(RECORDS, packing());
    expect(Buffer.from(frame.buffer).includes(MARKER.slice(0, 8))).toBe(false);
    const [header, verifier] = [readFrameHeader(frame, 0)!, new FrameVerifier(4096)];
    expect(verifier.verify(frame, [{ header, at: 0 }])).toEqual([true]);
  });

  test("is intact and not authentic when a byte of it was changed and the checksums made to fit", () => {
    const frame = packedFrame(RECORDS, packing());
    const { length } = readFrameHeader(frame, 0)!;
    // Every byte of the header, and of what follows every seventh.
    const places = Array.from({ length }, (_, i) => i).filter((i) => i < 192 || i % 7 === 0);
    for (const at of places) {
      if (at >= 8 && at < 16) continue;
      const changed = frame.slice();
      changed[at]! ^= 1 << (at % 8);
      let verdict: unknown;
      try {
        verdict = verifiedHeader(mended(changed)) && unpack(mended(changed));
      } catch (error) {
        verdict = (error as RecordError).code;
      }
      // The structure refuses some; what it lets through the tag refuses. A key id that isn't there is missing.
      const allowed = [
        undefined,
        "UNSUPPORTED_FORMAT",
        "NOT_AUTHENTIC",
        ...(at >= 128 && at < 132 ? ["KEY_MISSING"] : []),
      ];
      // The mask isn't covered: undoing it gives what the tag covers, or doesn't.
      const sameBytes = at >= 120 && at < 128 && length <= 4096;
      if (!sameBytes) expect(allowed, `byte ${at}`).toContain(verdict);
    }
  });

  test("does not open with another key, another key's id, or without one", () => {
    const frame = packedFrame(RECORDS, packing());
    const wrong = new KeyRing({ current: KEY_ID, keys: { [KEY_ID]: OTHER_KEY } });
    const missing = new KeyRing({ current: 1, keys: { 1: KEY } });
    expect(() => unpack(frame, decipher(wrong))).toThrow(code("NOT_AUTHENTIC"));
    expect(() => unpack(frame, decipher(missing))).toThrow(code("KEY_MISSING"));
    expect(() => new FrameUnpacker(undefined).unpack(frame, 0, verifiedHeader(frame)!)).toThrow(
      expect.objectContaining({ code: "KEY_MISSING", keyId: KEY_ID }),
    );
  });
});

test.each(["open", "idle", "close"] as const)(
  "an %s frame has no secret, and is authenticated all the same",
  (kind) => {
    const open = kind === "open" ? { open: { dwbId: DWB_ID, ack: "dwb" as const } } : {};
    const frame = packedFrame([], { cipher: cipher() }, { kind, ...open });
    expect(unpack(frame)).toHaveLength(0);
    const changed = frame.slice();
    changed[96]! ^= 1; // the watermark
    expect(() => unpack(mended(changed))).toThrow(code("NOT_AUTHENTIC"));
    if (kind !== "open") return;
    const renamed = frame.slice();
    renamed[192]! ^= 1; // the DWB's id
    expect(() => unpack(mended(renamed))).toThrow(code("NOT_AUTHENTIC"));
  },
);

test("routing fields can be read without a key where that was chosen, and not where it wasn't", () => {
  const frame = packedFrame(RECORDS, { cipher: cipher(), routing: "readable" });
  expect(frameRouting(frame, 0, verifiedHeader(frame)!)).toEqual([
    { lsn: 1000, type: 0x8000_0001, shard: 9, tenant: 0x1122_3344_5566_7788n, database: 3n },
    { lsn: 1001, type: 2, shard: 0, tenant: 0n, database: 0n },
    { lsn: 1002, type: 0, shard: 0, tenant: 0n, database: 0n },
  ]);
  const hidden = packedFrame(RECORDS, { cipher: cipher() });
  expect(frameRouting(hidden, 0, verifiedHeader(hidden)!)).toBeUndefined();
  const tenant = Buffer.from("8877665544332211", "hex");
  expect(Buffer.from(frame).includes(tenant)).toBe(true);
  expect(Buffer.from(hidden).includes(tenant)).toBe(false);
});

describe("a nonce is never used twice", () => {
  test("a cipher refuses a frame number that is not above the last: the same key stream would encrypt both", () => {
    const once = cipher();
    packedFrame(RECORDS, { cipher: once }, { frameNumber: 41 });
    packedFrame(RECORDS, { cipher: once }, { frameNumber: 43 });
    for (const frameNumber of [43, 42, 41]) {
      expect(() => packedFrame(RECORDS, { cipher: once }, { frameNumber })).toThrow(/may have been used/);
    }
  });

  test("another incarnation, log or key id has another key, with the same master key", () => {
    const frame = (place: Partial<ConstructorParameters<typeof LogCipher>[1]>) => {
      const keys = new KeyRing({ current: 1, keys: { 1: KEY, [KEY_ID]: KEY } });
      const made = new LogCipher(keys, { keyId: KEY_ID, logId: LOG_ID, incarnation: INCARNATION, ...place });
      return Buffer.from(packedFrame(RECORDS, { cipher: made }))
        .subarray(192)
        .toString("hex");
    };
    const bodies = [{}, { incarnation: LOG_ID }, { logId: DWB_ID }, { keyId: 1 }].map(frame);
    expect(new Set(bodies).size).toBe(bodies.length);
    expect(frame({})).toBe(bodies[0]);
  });
});

describe("a preamble", () => {
  const sealed = sealPreamble(PREAMBLE, cipher(), PREVIOUS_TAG);

  test("written with the key passes; any field changed doesn't", () => {
    authenticatePreamble(sealed, decipher());
    authenticatePreamble(PREAMBLE, decipher());
    const changes: Partial<typeof sealed>[] = [
      { sequence: 4 },
      { firstLsn: 999, previousLsn: 998 },
      { firstFrameNumber: 42 },
      { segmentBytes: 1 << 21 },
      { blockBytes: 8192 },
      { previousSequence: 1 },
      { previousFrameNumber: 39 },
      { previousChecksum: 1n },
      { previousEnd: PREAMBLE.previousEnd + 4096 },
      { time: 1 },
      { incarnation: DWB_ID },
      { recycled: false },
      { encryption: { ...sealed.encryption!, previousTag: DWB_ID } },
      { encryption: { ...sealed.encryption!, tag: DWB_ID } },
    ];
    for (const change of changes) {
      expect(() => authenticatePreamble({ ...sealed, ...change }, decipher())).toThrow(code("NOT_AUTHENTIC"));
    }
  });

  test("tells a wrong key, and names it, from one that is missing", () => {
    const wrong = new KeyRing({ current: KEY_ID, keys: { [KEY_ID]: OTHER_KEY } });
    expect(() => authenticatePreamble(sealed, decipher(wrong))).toThrow(
      expect.objectContaining({ code: "KEY_WRONG", keyId: KEY_ID }),
    );
    const missing = new KeyRing({ current: 1, keys: { 1: KEY } });
    expect(() => authenticatePreamble(sealed, decipher(missing))).toThrow(
      expect.objectContaining({ code: "KEY_MISSING", keyId: KEY_ID }),
    );
  });
});

test("an anchor of an encrypted log with a trim point that nobody wrote is not authentic: it would hide records", () => {
  const anchor = {
    logId: LOG_ID,
    generation: 9,
    trimPoint: 8,
    watermark: 4,
    durableLsn: 9,
    sequence: 6,
    time: 1,
  };
  const sealed = sealAnchor(anchor, cipher(), INCARNATION);
  authenticateAnchor(sealed, decipher());
  for (const change of [
    { trimPoint: 9 },
    { watermark: 5 },
    { generation: 10 },
    { sequence: 5 },
    { durableLsn: 8 },
  ]) {
    expect(() => authenticateAnchor({ ...sealed, ...change }, decipher())).toThrow(code("NOT_AUTHENTIC"));
  }
});

describe("a key ring", () => {
  test.each<[string, unknown, unknown]>([
    ["31 bytes", 1, new Uint8Array(31).fill(1)],
    ["33 bytes", 1, new Uint8Array(33).fill(1)],
    ["a string", 1, "k".repeat(32)],
    ["zeros", 1, new Uint8Array(32)],
    ["id 0", 0, KEY],
    ["id 2^32", 2 ** 32, KEY],
    ["id 1.5", 1.5, KEY],
  ])("refuses %s", (_name, id, key) => {
    const make = () =>
      new KeyRing({ current: id as number, keys: new Map([[id as number, key as Uint8Array]]) });
    expect(make).toThrow(code("KEY_ARGUMENT"));
  });

  test.each([[undefined], [null], [1], [{ current: 1, keys: null }], [{ current: 1, keys: 5 }]])(
    "refuses with a code what isn't the options of one: %o",
    (options) => {
      expect(() => new KeyRing(options as unknown as { current: number })).toThrow(code("KEY_ARGUMENT"));
    },
  );

  test("never shows a key: not inspected, not as JSON, not in an error", () => {
    const secret = Buffer.from(KEY);
    const shown = [
      inspect(ring(), { showHidden: true, depth: 9 }),
      JSON.stringify(ring()),
      inspect(cipher(), { showHidden: true, depth: 9 }),
      inspect(decipher(), { showHidden: true, depth: 9 }),
      String(ring()),
    ];
    for (const attempt of [
      () => ring().add(KEY_ID, OTHER_KEY),
      () => ring().add(9, KEY.subarray(0, 31)),
      () => ring().masterKey(3),
      () =>
        unpack(
          packedFrame(RECORDS),
          decipher(new KeyRing({ current: KEY_ID, keys: { [KEY_ID]: OTHER_KEY } })),
        ),
    ]) {
      try {
        attempt();
        expect.unreachable();
      } catch (error) {
        shown.push(inspect(error, { showHidden: true, depth: 9 }));
      }
    }
    for (const output of shown) {
      for (const encoding of ["hex", "base64", "latin1"] as const) {
        expect(output).not.toContain(secret.toString(encoding).slice(0, 12));
      }
      expect(output).not.toContain([...KEY.subarray(0, 4)].join(", "));
    }
  });

  test("keeps a copy: wiping the bytes that were handed in harms nothing", () => {
    const handed = Uint8Array.from(KEY);
    const keys = new KeyRing({ current: KEY_ID, keys: { [KEY_ID]: handed } });
    handed.fill(0);
    expect(recordsOf(packedFrame(RECORDS), 4096, keys)).toHaveLength(3);
  });

  test("asks its provider once for each key, and says which it did not get, with the reason", async () => {
    const asked: number[] = [];
    const reason = new Error("access denied");
    const keys = new KeyRing({
      current: KEY_ID,
      provider: async (id) => {
        asked.push(id);
        if (id === 9) throw reason;
        return KEY;
      },
    });
    await keys.load([KEY_ID, KEY_ID]);
    await keys.load([KEY_ID]);
    expect(asked).toEqual([KEY_ID]);
    await expect(keys.load([9])).rejects.toMatchObject({ code: "KEY_MISSING", keyId: 9, cause: reason });
    await expect(keys.use(9)).rejects.toMatchObject({ code: "KEY_MISSING" });
    expect(keys.current).toBe(KEY_ID);
    await keys.use(8);
    expect(keys.current).toBe(8);
  });

  test("opens nothing any more once it has been destroyed", () => {
    const keys = ring();
    keys.destroy();
    expect(() => unpack(packedFrame(RECORDS), decipher(keys))).toThrow(code("KEY_ARGUMENT"));
  });

  test("a cipher that was destroyed encrypts nothing: not with a key of zeros either", () => {
    const gone = cipher();
    gone.destroy();
    expect(() => packedFrame(RECORDS, { cipher: gone })).toThrow(/destroyed/);
  });
});
