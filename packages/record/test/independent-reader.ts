import { createDecipheriv, createHmac } from "node:crypto";
import { brotliDecompressSync, inflateRawSync } from "node:zlib";

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
  if (p.readUInt32LE(136) > 1 || p.readUInt32LE(144) > 1) return undefined;
  const encrypted = p.readUInt32LE(136) === 1;
  if (encrypted !== p.readUInt32LE(140) > 0 || !zero(whole.subarray(encrypted ? 200 : 148))) return undefined;
  if (!zero(whole.subarray(148, 152))) return undefined;
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
    ...(encrypted
      ? {
          encryption: {
            keyId: p.readUInt32LE(140),
            keyCheck: p.toString("hex", 152, 168),
            previousTag: p.toString("hex", 168, 184),
            tag: p.toString("hex", 184, 200),
          },
        }
      : {}),
  };
}

// HKDF of RFC 5869 spelt out.
function derived(
  master: Uint8Array,
  salt: Buffer,
  purpose: string,
  logId: Buffer,
  keyId: number,
  bytes: number,
) {
  const id = Buffer.alloc(4);
  id.writeUInt32LE(keyId);
  const info = Buffer.concat([Buffer.from(`stonewal/1 ${purpose}\0`, "latin1"), logId, id]);
  const extracted = createHmac("sha256", salt).update(master).digest();
  return createHmac("sha256", extracted).update(info).update(Buffer.of(1)).digest().subarray(0, bytes);
}

function decrypt(
  key: Buffer,
  counter: bigint,
  covered: Buffer,
  without: readonly (readonly [number, number])[],
  stored: Buffer,
  tag: Buffer,
) {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(counter);
  const aad = Buffer.from(covered);
  for (const [from, to] of without) aad.fill(0, from, to);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce);
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(stored), decipher.final()]);
}

/** Throws unless the preamble was written with this key. */
export function authenticatePreamble(file: Buffer, copy: number, master: Uint8Array) {
  const p = file.subarray(copy * 65536, copy * 65536 + 256);
  const [logId, keyId] = [p.subarray(16, 32), p.readUInt32LE(140)];
  if (!derived(master, logId, "check", logId, keyId, 16).equals(p.subarray(152, 168)))
    throw new Error("wrong key");
  const key = derived(master, p.subarray(120, 136), "preamble", logId, keyId, 32);
  const without = [
    [8, 12],
    [68, 72],
    [184, 200],
  ] as const;
  decrypt(key, p.readBigUInt64LE(32), p, without, Buffer.alloc(0), p.subarray(184, 200));
}

/** Throws unless the anchor was written with this key. */
export function authenticateAnchor(file: Buffer, copy: number, master: Uint8Array) {
  const a = file.subarray(copy * 65536, copy * 65536 + 256);
  const key = derived(master, a.subarray(96, 112), "anchor", a.subarray(16, 32), a.readUInt32LE(92), 32);
  const without = [
    [8, 12],
    [64, 68],
    [112, 128],
  ] as const;
  decrypt(key, a.readBigUInt64LE(32), a, without, Buffer.alloc(0), a.subarray(112, 128));
}

export function readAnchor(file: Buffer, copy: number) {
  const whole = file.subarray(copy * 65536, (copy + 1) * 65536);
  const a = whole.subarray(0, 256);
  if (a.toString("latin1", 0, 8) !== "SWANCHR1" || a.readUInt32LE(8) !== crc(a.subarray(12)))
    return undefined;
  if (a.readUInt32LE(12) !== 1 || a.readUInt32LE(64) !== copy) return undefined;
  if (a.readUInt32LE(68) !== 0 || a.readUInt32LE(88) > 1) return undefined;
  if (!zero(whole.subarray(a.readUInt32LE(88) === 1 ? 128 : 92))) return undefined;
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
export function readFrame(bytes: Buffer, blockBytes: number, master?: Uint8Array) {
  const h = bytes.subarray(0, 192);
  if (h.length < 192 || h.toString("latin1", 0, 8) !== "SWFRAME1") return undefined;
  const headerChecksum = h.readUInt32LE(8);
  if (headerChecksum !== crc(h.subarray(12))) return undefined;
  const [flags, compression] = [h.readUInt16LE(26), h.readUInt16LE(28)];
  const packed = flags !== 0 || compression !== 0;
  const encrypted = (flags & 1) !== 0;
  if (flags > 3 || flags === 2 || compression > 3 || !zero(h.subarray(30, 32))) return undefined;
  if (!zero(h.subarray(packed ? 176 : 128)) || !zero(h.subarray(140, 144))) return undefined;
  if (!encrypted && !zero(h.subarray(144, 176))) return undefined;
  const kind = KINDS.get(h.readUInt16LE(24));
  const length = h.readUInt32LE(16);
  const paddedLength = Math.ceil(length / blockBytes) * blockBytes;
  if (kind === undefined || length < 192 || paddedLength > bytes.length) return undefined;

  const frame = Buffer.from(bytes.subarray(0, paddedLength));
  const mask = h.subarray(120, 128);
  for (let at = 4096; at < length; at += 4096) for (let i = 0; i < 8; i++) frame[at + i]! ^= mask[i]!;

  const count = h.readUInt32LE(20);
  let plain: Buffer = frame.subarray(192, kind === "data" ? length : 192);
  let rest = 0;
  const sums: number[] = [];
  if (packed) {
    sums.push(crc(frame.subarray(192)));
    const clear = kind === "open" ? 32 : flags === 3 ? 24 * count : 0;
    const stored = h.readUInt32LE(136);
    if (length !== 192 + clear + Math.ceil(stored / 8) * 8 || !zero(frame.subarray(192 + clear + stored)))
      return undefined;
    plain = frame.subarray(192 + clear, 192 + clear + stored);
    if (encrypted && master !== undefined) {
      const key = derived(master, h.subarray(48, 64), "frame", h.subarray(32, 48), h.readUInt32LE(128), 32);
      const without = [
        [8, 16],
        [120, 128],
        [144, 160],
      ] as const;
      const covered = frame.subarray(0, 192 + clear);
      plain = decrypt(key, h.readBigUInt64LE(80), covered, without, plain, h.subarray(144, 160));
    }
    if (compression === 1) plain = inflateRawSync(plain);
    if (compression === 2) plain = brotliDecompressSync(plain);
    if (plain.length !== h.readUInt32LE(132)) return undefined;
    rest = clear;
  }

  const records = [];
  let at = 0;
  const firstLsn = h.readBigUInt64LE(88);
  for (let i = 0; i < count; i++) {
    const record = at + 32 <= plain.length ? readRecord(plain.subarray(at)) : undefined;
    if (record === undefined || !record.right) return undefined;
    if (!packed) sums.push(record.checksum);
    records.push({ lsn: firstLsn + BigInt(i), ...record });
    at += record.end;
  }
  if (at !== plain.length) return undefined;
  const routing = Array.from({ length: flags === 3 ? count : 0 }, (_, i) => ({
    type: frame.readUInt32LE(192 + 24 * i),
    shard: frame.readUInt32LE(192 + 24 * i + 4),
    tenant: frame.readBigUInt64LE(192 + 24 * i + 8),
    database: frame.readBigUInt64LE(192 + 24 * i + 16),
  }));
  if (!packed) {
    sums.push(crc(frame.subarray(192 + at)));
    rest = at + (kind === "open" ? 32 : 0);
  }
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
  if ((!packed && 192 + rest !== length) || (kind === "data") !== records.length > 0) return undefined;
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
    routing,
    open,
    tag: h.toString("hex", 144, 160),
    previousTag: h.toString("hex", 160, 176),
  };
}

/** The frames of a segment up to the first position that isn't valid. */
export function readSegment(file: Buffer, master?: Uint8Array) {
  const preamble = readPreamble(file, 0) ?? readPreamble(file, 1);
  if (preamble === undefined || BigInt(file.length) !== preamble.segmentBytes) return undefined;
  if (preamble.encryption !== undefined && master !== undefined) authenticatePreamble(file, 0, master);
  const frames = [];
  let tag = preamble.encryption?.tag ?? "0".repeat(32);
  let at = 131072;
  let { firstFrameNumber: number, firstLsn: lsn, previousChecksum: chain } = preamble;
  while (at < file.length) {
    const frame = readFrame(file.subarray(at), preamble.blockBytes, master);
    if (
      frame === undefined ||
      frame.logId !== preamble.logId ||
      frame.sequence !== preamble.sequence ||
      frame.offset !== BigInt(at) ||
      frame.frameNumber !== number ||
      frame.firstLsn !== lsn ||
      frame.chain !== chain ||
      frame.previousTag !== tag ||
      frame.watermark > frame.frameNumber
    ) {
      break;
    }
    frames.push(frame);
    at += frame.paddedLength;
    number++;
    lsn += BigInt(frame.records.length);
    chain = frame.checksum;
    tag = frame.tag;
  }
  return { preamble, frames, end: at };
}
