import fc from "fast-check";
import {
  type ChecksumRanges,
  FRAMES_START,
  FrameBuilder,
  type FrameFields,
  FrameUnpacker,
  FrameVerifier,
  frameRecords,
  KeyRing,
  LogCipher,
  LogDecipher,
  type LogRecord,
  type Packing,
  type Preamble,
  paddedFrameBytes,
  type RecordInput,
  readFrameHeader,
  recordBytes,
} from "../src/index.js";

export const LOG_ID = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);
export const INCARNATION = Uint8Array.from({ length: 16 }, (_, i) => 0x10 + i);
export const DWB_ID = Uint8Array.from({ length: 16 }, (_, i) => 0xd0 + i);

export const FIELDS: FrameFields = {
  kind: "data",
  logId: LOG_ID,
  incarnation: INCARNATION,
  sequence: 3,
  offset: FRAMES_START,
  frameNumber: 41,
  firstLsn: 1000,
  watermark: 40,
  time: 1_700_000_000_123,
  chain: 0xfedc_ba98_7654_3210n,
};

export const PREAMBLE: Preamble = {
  logId: LOG_ID,
  sequence: 3,
  firstLsn: 1000,
  firstFrameNumber: 41,
  segmentBytes: 1 << 20,
  blockBytes: 4096,
  previousSequence: 2,
  previousFrameNumber: 40,
  previousLsn: 999,
  previousChecksum: 0xfedc_ba98_7654_3210n,
  previousEnd: FRAMES_START + 7 * 4096,
  time: 1_700_000_000_000,
  incarnation: INCARNATION,
  recycled: true,
};

export const KEY = Uint8Array.from({ length: 32 }, (_, i) => 0x40 + i);
export const KEY_ID = 7;
export const PREVIOUS_TAG = Uint8Array.from({ length: 16 }, (_, i) => 0xe0 + i);

export const ring = (): KeyRing => new KeyRing({ current: KEY_ID, keys: { [KEY_ID]: KEY } });

/** Made anew for every frame: a cipher takes no nonce twice. */
export const cipher = (incarnation = INCARNATION): LogCipher =>
  new LogCipher(ring(), { keyId: KEY_ID, logId: LOG_ID, incarnation });

export const decipher = (keys = ring()): LogDecipher => new LogDecipher(keys);

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A frame of these records, with nothing behind its last block. The memory is dirty before. */
export function sealedFrame(
  records: readonly RecordInput[],
  fields: Partial<FrameFields> = {},
  blockBytes = 4096,
  checksum?: ChecksumRanges,
  packing?: Packing,
): Uint8Array {
  const length = records.reduce((sum, record) => sum + 24 + recordBytes(record.payload.length), 192 + 32);
  const capacity = paddedFrameBytes(length, blockBytes);
  const bytes = new Uint8Array(capacity).fill(0xee);
  const builder = new FrameBuilder(blockBytes, checksum);
  builder.begin(bytes, 0, capacity, packing);
  for (const record of records) builder.append(record);
  const sealed = builder.seal({ ...FIELDS, ...fields });
  return bytes.slice(0, sealed.paddedLength);
}

/** The frame at the start of the bytes, if header and body are right. */
export function verifiedHeader(bytes: Uint8Array, blockBytes = 4096, checksum?: ChecksumRanges) {
  const header = readFrameHeader(bytes, 0);
  if (header === undefined || paddedFrameBytes(header.length, blockBytes) > bytes.length) return undefined;
  const [right] = new FrameVerifier(blockBytes, checksum).verify(bytes, [{ header, at: 0 }]);
  return right ? header : undefined;
}

/** All records of a frame that must be right. */
export function recordsOf(bytes: Uint8Array, blockBytes = 4096, keys = ring()): LogRecord[] {
  const header = verifiedHeader(bytes, blockBytes);
  if (header === undefined) throw new Error("the frame is not right");
  const unpacked = new FrameUnpacker(new LogDecipher(keys)).unpack(bytes, 0, header);
  return [...frameRecords(bytes, 0, header, unpacked)];
}

/** An encrypted frame of these records, or of none, or only a compressed one. */
export function packedFrame(
  records: readonly RecordInput[],
  packing: Packing = { cipher: cipher() },
  fields: Partial<FrameFields> = {},
  blockBytes = 4096,
): Uint8Array {
  return sealedFrame(records, { previousTag: PREVIOUS_TAG, ...fields }, blockBytes, undefined, packing);
}

/** A record's fields, all said, for comparison. */
export function fieldsOf(record: RecordInput) {
  return {
    type: record.type ?? 0,
    tenant: BigInt(record.tenant ?? 0),
    shard: record.shard ?? 0,
    database: BigInt(record.database ?? 0),
    payload: Uint8Array.from(record.payload),
  };
}

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.constantFrom(0, 0n, 0xffff_ffff_ffff_ffffn, 1n << 63n, Number.MAX_SAFE_INTEGER),
);

// Made of two numbers: drawing each byte would take most of a test's time.
const longPayload = fc
  .tuple(fc.nat(12_288), fc.nat(255))
  .map(([length, seed]) => Uint8Array.from({ length }, (_, i) => seed + i * (i >> 8)));

/** Any record, payloads up to three blocks. */
export const anyRecord: fc.Arbitrary<RecordInput> = fc.record(
  {
    payload: fc.oneof(fc.uint8Array({ maxLength: 300 }), longPayload),
    type: u32,
    tenant: u64,
    shard: u32,
    database: u64,
  },
  { requiredKeys: ["payload"] },
);
