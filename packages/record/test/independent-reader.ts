/**
 * A second reader, written from docs/format.md alone and sharing nothing with src/: another CRC, other ways to get at
 * numbers, whole segments instead of single frames. If the two disagree, the page or the codec is wrong.
 */

const CRC_TABLE = Array.from({ length: 256 }, (_, byte) => {
  let crc = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n;
  return Number(crc);
});

function crc(bytes: Iterable<number>): number {
  let state = 0xffffffff;
  for (const byte of bytes) state = (CRC_TABLE[(state ^ byte) & 0xff]! ^ (state >>> 8)) >>> 0;
  return (state ^ 0xffffffff) >>> 0;
}

const zero = (bytes: Buffer) => bytes.every((byte) => byte === 0);
const KINDS = new Map([
  [1, "data"],
  [2, "open"],
  [3, "idle"],
  [4, "close"],
]);

export function readPreamble(file: Buffer, copy: number) {
  const whole = file.subarray(copy * 65536, (copy + 1) * 65536);
  const p = whole.subarray(0, 256);
  if (p.toString("latin1", 0, 8) !== "SWSEGMT1" || p.readUInt32LE(8) !== crc(p.subarray(12)))
    return undefined;
  if (p.readUInt32LE(12) !== 1 || p.readUInt32LE(68) !== copy) return undefined;
  if (p.readUInt32LE(136) !== 0 || p.readUInt32LE(140) !== 0 || !zero(whole.subarray(148))) return undefined;
  if (p.readUInt32LE(144) > 1) return undefined;
  return {
    logId: p.toString("hex", 16, 32),
    sequence: p.readBigUInt64LE(32),
    firstLsn: p.readBigUInt64LE(40),
    firstFrameNumber: p.readBigUInt64LE(48),
    segmentBytes: p.readBigUInt64LE(56),
    blockBytes: p.readUInt32LE(64),
    previousSequence: p.readBigUInt64LE(72),
    previousFrameNumber: p.readBigUInt64LE(80),
    previousLsn: p.readBigUInt64LE(88),
    previousChecksum: p.readBigUInt64LE(96),
    previousEnd: p.readBigUInt64LE(104),
    time: p.readBigUInt64LE(112),
    incarnation: p.toString("hex", 120, 136),
    recycled: p.readUInt32LE(144) === 1,
  };
}

export function readAnchor(file: Buffer, copy: number) {
  const whole = file.subarray(copy * 65536, (copy + 1) * 65536);
  const a = whole.subarray(0, 256);
  if (a.toString("latin1", 0, 8) !== "SWANCHR1" || a.readUInt32LE(8) !== crc(a.subarray(12)))
    return undefined;
  if (a.readUInt32LE(12) !== 1 || a.readUInt32LE(64) !== copy) return undefined;
  if (a.readUInt32LE(68) !== 0 || !zero(whole.subarray(88))) return undefined;
  return {
    logId: a.toString("hex", 16, 32),
    generation: a.readBigUInt64LE(32),
    trimPoint: a.readBigUInt64LE(40),
    watermark: a.readBigUInt64LE(48),
    durableLsn: a.readBigUInt64LE(56),
    sequence: a.readBigUInt64LE(80),
    time: a.readBigUInt64LE(72),
  };
}

export function readRecord(bytes: Buffer) {
  const length = bytes.readUInt32LE(4);
  const end = Math.ceil((32 + length) / 8) * 8;
  if (end > bytes.length || !zero(bytes.subarray(32 + length, end))) return undefined;
  return {
    end,
    checksum: bytes.readUInt32LE(0),
    right: bytes.readUInt32LE(0) === crc(bytes.subarray(4, end)),
    type: bytes.readUInt32LE(8),
    shard: bytes.readUInt32LE(12),
    tenant: bytes.readBigUInt64LE(16),
    database: bytes.readBigUInt64LE(24),
    payload: Buffer.from(bytes.subarray(32, 32 + length)),
  };
}

/** The frame at the start of these bytes, judged by itself. */
export function readFrame(bytes: Buffer, blockBytes: number) {
  const h = bytes.subarray(0, 192);
  if (h.length < 192 || h.toString("latin1", 0, 8) !== "SWFRAME1") return undefined;
  const headerChecksum = h.readUInt32LE(8);
  if (headerChecksum !== crc(h.subarray(12))) return undefined;
  if (h.readUInt16LE(26) !== 0 || h.readUInt32LE(28) !== 0 || !zero(h.subarray(128))) return undefined;
  const kind = KINDS.get(h.readUInt16LE(24));
  const length = h.readUInt32LE(16);
  const paddedLength = Math.ceil(length / blockBytes) * blockBytes;
  if (kind === undefined || length < 192 || paddedLength > bytes.length) return undefined;

  const frame = Buffer.from(bytes.subarray(0, paddedLength));
  const mask = h.subarray(120, 128);
  for (let at = 4096; at < length; at += 4096) for (let i = 0; i < 8; i++) frame[at + i]! ^= mask[i]!;

  const records = [];
  const sums: number[] = [];
  let at = 192;
  const firstLsn = h.readBigUInt64LE(88);
  for (let i = 0; i < h.readUInt32LE(20); i++) {
    const record = at + 32 <= length ? readRecord(frame.subarray(at, length)) : undefined;
    if (record === undefined || !record.right) return undefined;
    sums.push(record.checksum);
    records.push({ lsn: firstLsn + BigInt(i), ...record });
    at += record.end;
  }
  sums.push(crc(frame.subarray(at)));
  const bodyChecksum = h.readUInt32LE(12);
  const list = sums.flatMap((sum) => [sum & 255, (sum >>> 8) & 255, (sum >>> 16) & 255, sum >>> 24]);
  if (crc(list) !== bodyChecksum || !zero(frame.subarray(length))) return undefined;
  const open =
    kind === "open"
      ? {
          dwbId: frame.toString("hex", 192, 208),
          ack: frame.readUInt32LE(208),
          rest: zero(frame.subarray(212)),
        }
      : undefined;
  if (at + (kind === "open" ? 32 : 0) !== length || (kind === "data") !== records.length > 0)
    return undefined;
  return {
    kind,
    length,
    paddedLength,
    logId: h.toString("hex", 32, 48),
    incarnation: h.toString("hex", 48, 64),
    sequence: h.readBigUInt64LE(64),
    offset: h.readBigUInt64LE(72),
    frameNumber: h.readBigUInt64LE(80),
    firstLsn,
    watermark: h.readBigUInt64LE(96),
    time: h.readBigUInt64LE(104),
    chain: h.readBigUInt64LE(112),
    checksum: BigInt(headerChecksum) + BigInt(bodyChecksum) * 4294967296n,
    records,
    open,
  };
}

/** The frames of a segment up to the first position that isn't valid. */
export function readSegment(file: Buffer) {
  const preamble = readPreamble(file, 0) ?? readPreamble(file, 1);
  if (preamble === undefined || BigInt(file.length) !== preamble.segmentBytes) return undefined;
  const frames = [];
  let at = 131072;
  let { firstFrameNumber: number, firstLsn: lsn, previousChecksum: chain } = preamble;
  while (at < file.length) {
    const frame = readFrame(file.subarray(at), preamble.blockBytes);
    if (
      frame === undefined ||
      frame.logId !== preamble.logId ||
      frame.sequence !== preamble.sequence ||
      frame.offset !== BigInt(at) ||
      frame.frameNumber !== number ||
      frame.firstLsn !== lsn ||
      frame.chain !== chain ||
      frame.watermark > frame.frameNumber
    ) {
      break;
    }
    frames.push(frame);
    at += frame.paddedLength;
    number++;
    lsn += BigInt(frame.records.length);
    chain = frame.checksum;
  }
  return { preamble, frames, end: at };
}
