import fc from "fast-check";
import { expect, test } from "vitest";
import {
  checkCompression,
  encodeAnchor,
  encodePreamble,
  FRAMES_START,
  FrameBuilder,
  type Packing,
  preambleTag,
  type RecordInput,
  sealAnchor,
  sealPreamble,
} from "../src/index.js";
import { authenticateAnchor, readAnchor, readPreamble, readSegment } from "./independent-reader.js";
import {
  anyRecord,
  cipher,
  DWB_ID,
  FIELDS,
  fieldsOf,
  INCARNATION,
  KEY,
  LOG_ID,
  PREAMBLE,
  PREVIOUS_TAG,
  sealedFrame,
} from "./sample-frames.js";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
/** Counts as bigints and bytes as hex, as the independent reader gives them. */
const plain = (value: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(value).map(([key, field]) => [
      key,
      field instanceof Uint8Array
        ? hex(field)
        : typeof field === "number" && key !== "blockBytes"
          ? BigInt(field)
          : typeof field === "object"
            ? { ...plain(field as object), keyId: (field as { keyId: number }).keyId }
            : field,
    ]),
  );

type Step = { kind: "data"; records: RecordInput[] } | { kind: "open" | "idle" | "close" };

const poison = sealedFrame([{ payload: new Uint8Array(3) }]);
const poisoned = fc.nat(2).map((extra) => {
  const payload = new Uint8Array(4096 - 192 - 32 + extra * 4096 + 300);
  for (let at = 4096 - 192 - 32; at < payload.length; at += 4096) payload.set(poison.subarray(0, 300), at);
  return { payload };
});
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("data" as const),
    records: fc.array(fc.oneof({ weight: 4, arbitrary: anyRecord }, { weight: 1, arbitrary: poisoned }), {
      minLength: 1,
      maxLength: 5,
    }),
  }),
  fc.record({ kind: fc.constantFrom("open" as const, "idle" as const, "close" as const) }),
);

const [deflate, brotli] = (["deflate-raw", "brotli"] as const).map((algorithm) =>
  checkCompression({ algorithm }),
);
const modes: readonly (() => Packing | undefined)[] = [
  () => undefined,
  () => ({ compression: deflate }),
  () => ({ cipher: cipher() }),
  () => ({ cipher: cipher(), compression: brotli }),
  () => ({ cipher: cipher(), compression: deflate, routing: "readable" }),
];

test.each([
  ["as it is", 0],
  ["compressed", 1],
  ["encrypted", 2],
  ["compressed and encrypted", 3],
  ["encrypted with a readable routing table", 4],
])(
  "someone with the format page alone reads back a whole segment, %s: preamble, frames, chain, masks",
  (_name, mode) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), fc.constantFrom(4096, 65536), (steps, blockBytes) => {
        const file = new Uint8Array(8 * 131072 + FRAMES_START);
        const packing = modes[mode]!();
        const stated = { ...PREAMBLE, blockBytes, segmentBytes: file.length };
        const preamble =
          packing?.cipher === undefined ? stated : sealPreamble(stated, packing.cipher, PREVIOUS_TAG);
        file.set(encodePreamble(preamble));
        let previousTag = preambleTag(preamble);
        const builder = new FrameBuilder(blockBytes);
        let offset = FRAMES_START;
        let chain = preamble.previousChecksum;
        let firstLsn = preamble.firstLsn;
        let frameNumber = preamble.firstFrameNumber;
        for (const { kind, ...content } of steps) {
          builder.begin(file, offset, 131072, packing);
          const records = "records" in content ? content.records : [];
          for (const record of records) builder.append(record);
          const open = kind === "open" ? { open: { dwbId: DWB_ID, ack: "dwb" as const } } : {};
          const watermark = frameNumber - 1;
          const sealed = builder.seal({
            ...FIELDS,
            kind,
            offset,
            frameNumber,
            firstLsn,
            watermark,
            chain,
            previousTag,
            ...open,
          });
          previousTag = sealed.tag;
          offset += sealed.paddedLength;
          chain = sealed.checksum;
          firstLsn += records.length;
          frameNumber++;
        }

        const read = readSegment(Buffer.from(file), KEY);
        expect(read?.preamble).toEqual(plain(preamble));
        expect(readPreamble(Buffer.from(file), 1)).toEqual(plain(preamble));
        expect(read?.end).toBe(offset);
        expect(read?.frames.map((frame) => frame.kind)).toEqual(steps.map(({ kind }) => kind));
        const written = steps.flatMap((s) => (s.kind === "data" ? s.records : []));
        const records = read!.frames.flatMap((frame) => frame.records);
        expect(records.map((record) => record.lsn)).toEqual(
          written.map((_, i) => BigInt(PREAMBLE.firstLsn + i)),
        );
        expect(records.map(fieldsOf)).toEqual(written.map(fieldsOf));
        for (const frame of read!.frames) {
          expect(frame.time).toBe(BigInt(FIELDS.time));
          expect(frame.watermark).toBe(frame.frameNumber - 1n);
          expect(frame.incarnation).toBe(hex(FIELDS.incarnation));
          expect(frame.routing).toEqual(
            packing?.routing === undefined
              ? []
              : frame.records.map(({ type, shard, tenant, database }) => ({ type, shard, tenant, database })),
          );
          if (frame.kind === "open") expect(frame.open).toEqual({ dwbId: hex(DWB_ID), ack: 1, rest: true });
        }
      }),
      { numRuns: mode === 0 ? 60 : 25 },
    );
  },
);

test.each([false, true])(
  "someone with the format page alone reads back an anchor (encrypted log: %s)",
  (encrypted) => {
    const stated = {
      logId: LOG_ID,
      generation: 3,
      trimPoint: 4,
      watermark: 5,
      durableLsn: 2 ** 40,
      sequence: 6,
      time: 7,
    };
    const anchor = encrypted ? sealAnchor(stated, cipher(), INCARNATION) : stated;
    const file = Buffer.from(encodeAnchor(anchor));
    for (const copy of [0, 1]) {
      expect(readAnchor(file, copy)).toEqual(plain(stated));
      if (encrypted) authenticateAnchor(file, copy, KEY);
    }
  },
);
