import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeAnchor, encodePreamble, FRAMES_START, FrameBuilder, type RecordInput } from "../src/index.js";
import { readAnchor, readPreamble, readSegment } from "./independent-reader.js";
import { anyRecord, DWB_ID, FIELDS, fieldsOf, PREAMBLE, sealedFrame } from "./sample-frames.js";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
/** Counts as bigints and bytes as hex, as the independent reader gives them. */
const plain = (value: object) =>
  Object.fromEntries(
    Object.entries(value).map(([key, field]) => [
      key,
      field instanceof Uint8Array
        ? hex(field)
        : typeof field === "number" && key !== "blockBytes"
          ? BigInt(field)
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

test("someone with the format page alone reads back a whole segment: preamble, frames, chain, masks", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), fc.constantFrom(4096, 65536), (steps, blockBytes) => {
      const file = new Uint8Array(8 * 131072 + FRAMES_START);
      const preamble = { ...PREAMBLE, blockBytes, segmentBytes: file.length };
      file.set(encodePreamble(preamble));
      const builder = new FrameBuilder(blockBytes);
      let offset = FRAMES_START;
      let chain = preamble.previousChecksum;
      let firstLsn = preamble.firstLsn;
      let frameNumber = preamble.firstFrameNumber;
      for (const { kind, ...content } of steps) {
        builder.begin(file, offset, 131072);
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
          ...open,
        });
        offset += sealed.paddedLength;
        chain = sealed.checksum;
        firstLsn += records.length;
        frameNumber++;
      }

      const read = readSegment(Buffer.from(file));
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
        if (frame.kind === "open") expect(frame.open).toEqual({ dwbId: hex(DWB_ID), ack: 1, rest: true });
      }
    }),
    { numRuns: 60 },
  );
});

test("someone with the format page alone reads back an anchor", () => {
  const anchor = {
    logId: DWB_ID,
    generation: 3,
    trimPoint: 4,
    watermark: 5,
    durableLsn: 2 ** 40,
    sequence: 6,
    time: 7,
  };
  const file = Buffer.from(encodeAnchor(anchor));
  for (const copy of [0, 1]) expect(readAnchor(file, copy)).toEqual(plain(anchor));
});
