import { strict as assert } from "node:assert";
import * as zlib from "node:zlib";
import { openDwb } from "@stonewal/dwb";
import {
  FRAME_HEADER_BYTES,
  FRAMES_START,
  FrameBuilder,
  type FrameHeader,
  frameChecksum,
  OPEN_BODY_BYTES,
  type Preamble,
  ROUTING_BYTES,
  readFrameHeader,
  segmentName,
} from "@stonewal/record";
import { openReader, RecoveryError, type RecoveryErrorCode } from "@stonewal/recovery";
import { Random } from "stonewal-campaign";
import { Expansions } from "./expansions.js";
import {
  anchorOf,
  BLOCK,
  type FoundFrame,
  putAnchor,
  putFrame,
  putPreamble,
  rewritten,
  segmentsOf,
  standingFor,
  withBody,
  withHeader,
} from "./forging.js";
import { DIRECTORY, LogUnderTest, type Mode } from "./log-under-test.js";
import { keyRing, SecretLog } from "./secrets.js";

/** Someone who has the disk, and no key, changes what is there: one attack of each kind in turn. */
export async function attackDisk(seed: number): Promise<void> {
  const names = Object.keys(ATTACKS);
  const name = names[seed % names.length] as string;
  await (ATTACKS[name] as Attack)(new Random(seed), name, Math.ceil(seed / names.length));
}

/** Rejects where the attack had any effect but an error that names it. */
type Attack = (random: Random, name: string, seed: number) => Promise<void>;

const encrypted = (more: Mode = {}): Mode => ({
  encryption: { keys: keyRing(1), routing: "readable" },
  dwb: { mode: "off" },
  ...more,
});

/** An encrypted log that was closed, of a few segments and two keys. `last` is what it was given before that. */
async function closedLog(
  random: Random,
  seed: number,
  mode = encrypted(),
  last: (log: SecretLog) => Promise<void> = async () => {},
): Promise<SecretLog> {
  const log = new SecretLog(random, { seed, crashPolicy: "none" });
  await log.open(mode);
  await log.commit(10);
  for (let commits = 2 + random.below(4); commits > 0; commits -= 1) {
    await log.commit(random.pick([10, 3000, 9000]));
    const next = random.below(4);
    if (next === 0) await log.wal.seal();
    if (next !== 1) continue;
    await mode.encryption?.keys.use(1 + random.below(3));
    await log.wal.rotateKey();
  }
  await last(log);
  await log.close();
  log.disk.crash();
  return log;
}

/** Opening is refused with one of `codes`, nothing is changed by trying, and whoever reads is given nothing that nobody wrote. */
async function refused(
  log: LogUnderTest,
  mode: Mode,
  what: string,
  codes: readonly RecoveryErrorCode[],
): Promise<void> {
  const before = log.disk.files();
  const io = log.disk.clone().mount();
  try {
    const reader = await openReader({
      io,
      directory: DIRECTORY,
      damaged: "prefix",
      encryption: mode.encryption,
    });
    for await (const record of reader.replay())
      assert.ok(
        log.ledger.wasAttempted(record),
        `${what}: LSN ${record.lsn} is delivered, and nobody wrote it`,
      );
  } catch (error) {
    if (!(error instanceof RecoveryError)) throw error;
  }
  const outcome = await log.open(mode).then(
    () => "nothing",
    (error: unknown) => {
      if (!(error instanceof RecoveryError)) throw error;
      return error.code;
    },
  );
  assert.ok(codes.includes(outcome as RecoveryErrorCode), `${what}: ${outcome} is said of it`);
  const after = log.disk.files();
  for (const [path, bytes] of before)
    assert.ok(
      Buffer.compare(bytes, after.get(path) ?? new Uint8Array()) === 0,
      `${what}: ${path} was changed`,
    );
}

const framesOf = (log: LogUnderTest): FoundFrame[] => segmentsOf(log.disk).flatMap(({ frames }) => frames);
const lastOf = <T>(all: readonly T[]): T => all[all.length - 1] as T;
const withRecords = ({ header }: FoundFrame): boolean => header.recordCount > 0;
/** Where the records are, encrypted. */
const bodyOf = ({ header }: FoundFrame): number => FRAME_HEADER_BYTES + header.recordCount * ROUTING_BYTES;

const ATTACKS: Record<string, Attack> = {
  async "an encrypted record is changed"(random, what, seed) {
    const mode = encrypted();
    const log = await closedLog(random, seed, mode);
    const frame = random.pick(framesOf(log).filter(withRecords));
    const body = bodyOf(frame);
    putFrame(log.disk, withBody(frame, body + 8 * random.below(4), body + 40));
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "a field of a header is changed"(random, what, seed) {
    const mode = encrypted();
    const log = await closedLog(random, seed, mode);
    const changed = withHeader(random.pick(framesOf(log)), (view) => {
      if (random.below(2) === 0) view.setBigUint64(104, view.getBigUint64(104, true) + 1000n, true);
      // Whoever lowers what a frame bears witness of can make what comes before it look as if it had never been acknowledged.
      else view.setBigUint64(96, view.getBigUint64(96, true) - 1n, true);
    });
    putFrame(log.disk, changed);
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "a routing field is changed"(random, what, seed) {
    const mode = encrypted();
    const log = await closedLog(random, seed, mode);
    const frame = random.pick(framesOf(log).filter(withRecords));
    putFrame(log.disk, withBody(frame, FRAME_HEADER_BYTES + 4, FRAME_HEADER_BYTES + ROUTING_BYTES));
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "an open frame names another double-write buffer"(random, what, seed) {
    const mode = encrypted({ dwb: { mode: "buffered", slots: 8, slotBytes: 8192 } });
    const log = await closedLog(random, seed, mode);
    const frame = random.pick(framesOf(log).filter(({ header }) => header.kind === "open"));
    putFrame(log.disk, withBody(frame, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + OPEN_BODY_BYTES - 8));
    // A copy of the frame that is in its place is as good as the frame.
    const io = log.disk.mount();
    await io.unlink(`${DIRECTORY}/dwb`);
    await io.syncDirectory(DIRECTORY);
    log.disk.crash();
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "the last frame is changed, and nothing bears witness of it"(random, what, seed) {
    const mode = encrypted();
    const log = new SecretLog(random, { seed, crashPolicy: "none" });
    await log.open(mode);
    for (let commits = 1 + random.below(3); commits > 0; commits -= 1) await log.commit(10);
    log.disk.crash();
    const frame = lastOf(framesOf(log));
    putFrame(log.disk, withBody(frame, bodyOf(frame), bodyOf(frame) + 40));
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "a frame of another history takes the place of one"(random, what, seed) {
    const { log, mode, ours, theirs } = await twins(random, seed, (log) => log.commit(10));
    putFrame(log.disk, standingFor(ours, theirs));
    await refused(log, mode, what, ["WAL_REPLAYED"]);
  },

  async "a frame of another history takes the place of one, and the next is made to follow on it"(
    random,
    what,
    seed,
  ) {
    const { log, mode, ours, theirs } = await twins(random, seed, (log) => log.commit(10));
    putFrame(log.disk, standingFor(ours, theirs));
    const next = framesOf(log).find(
      ({ header }) => header.frameNumber === ours.header.frameNumber + 1,
    ) as FoundFrame;
    putFrame(
      log.disk,
      withHeader(next, (_, bytes) => bytes.set(theirs.header.packed?.tag as Uint8Array, 160)),
    );
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "a frame of another history takes the place of a segment's last"(random, what, seed) {
    const { log, mode, ours, theirs } = await twins(random, seed, (log) => log.wal.seal());
    putFrame(log.disk, standingFor(ours, theirs));
    await refused(log, mode, what, ["WAL_REPLAYED"]);
  },

  async "a segment begins with the preamble of another history"(random, what, seed) {
    const { log, copy, mode } = await twins(random, seed, (log) => log.wal.seal());
    await copy.wal.seal();
    await copy.commit(10);
    const theirs = lastOf(segmentsOf(copy.disk));
    putPreamble(log.disk, { path: theirs.path, preamble: theirs.preamble });
    await refused(log, mode, what, ["WAL_REPLAYED"]);
  },

  async "the end of the log is gone, and the anchor has been left"(random, what, seed) {
    const mode = encrypted();
    // A segment that has only just been begun has no record that could be missed.
    const log = await closedLog(random, seed, mode, (log) => log.commit(10));
    const { path, frames } = lastOf(segmentsOf(log.disk));
    const cut = frames.slice(0, frames.findLastIndex(withRecords) + 1);
    assert.ok(cut.length > 0, "the last segment has to have records");
    const { offset } = random.pick(cut).header;
    log.disk.corrupt(path, offset, new Uint8Array(log.disk.fileBytes(path).length - offset));
    await refused(log, mode, what, ["WAL_CORRUPT"]);
  },

  async "a preamble is changed"(random, what, seed) {
    const mode = encrypted();
    const log = await closedLog(random, seed, mode);
    const { path, preamble } = random.pick(segmentsOf(log.disk));
    const change: Partial<Preamble> =
      random.below(2) === 0 ? { time: preamble.time + 1000 } : { recycled: !preamble.recycled };
    putPreamble(log.disk, { path, preamble: { ...preamble, ...change } });
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "the anchor lets records go that nobody has trimmed"(random, what, seed) {
    const mode = encrypted();
    const log = await closedLog(random, seed, mode);
    putAnchor(log.disk, { ...anchorOf(log.disk), trimPoint: 1 + random.below(log.ledger.lastLsn) });
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "an anchor without a tag lets records go that nobody has trimmed"(random, what, seed) {
    const mode = encrypted();
    const log = await closedLog(random, seed, mode);
    const trimPoint = 1 + random.below(log.ledger.lastLsn);
    putAnchor(log.disk, { ...anchorOf(log.disk), trimPoint, encryption: undefined });
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "a frame in the clear is appended"(random, what, seed) {
    const mode = encrypted();
    const log = await closedLog(random, seed, mode);
    const { preamble, path, frames } = lastOf(segmentsOf(log.disk));
    const { header, bytes } = lastOf(frames);
    const forged = frameInTheClear(preamble, header, header.offset + bytes.length, header.checksum);
    log.disk.corrupt(path, header.offset + bytes.length, forged);
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "a segment in the clear is appended"(random, what, seed) {
    const mode = encrypted();
    const log = await closedLog(random, seed, mode);
    const { preamble, frames } = lastOf(segmentsOf(log.disk));
    const { header, bytes } = lastOf(frames);
    const { encryption: _, ...stated } = preamble;
    const next: Preamble = {
      ...stated,
      sequence: preamble.sequence + 1,
      firstLsn: header.nextLsn,
      firstFrameNumber: header.frameNumber + 1,
      previousSequence: preamble.sequence,
      previousFrameNumber: header.frameNumber,
      previousLsn: header.nextLsn - 1,
      previousChecksum: header.checksum,
      previousEnd: header.offset + bytes.length,
    };
    const path = `${DIRECTORY}/${segmentName(next.sequence, next.firstLsn)}`;
    log.disk.plant(path, new Uint8Array(next.segmentBytes));
    putPreamble(log.disk, { path, preamble: next });
    log.disk.corrupt(path, FRAMES_START, frameInTheClear(next, header, FRAMES_START, header.checksum));
    await refused(log, mode, what, ["WAL_TAMPERED"]);
  },

  async "a forged copy is put into the double-write buffer beside the true one"(random, what, seed) {
    const mode = encrypted({ dwb: { mode: "buffered", slots: 8, slotBytes: 8192 } });
    const log = new SecretLog(random, { seed, crashPolicy: "none" });
    await log.open(mode);
    for (let commits = 1 + random.below(3); commits > 0; commits -= 1) await log.commit(10);
    log.disk.crash();
    const frame = lastOf(framesOf(log));
    await stageCopies(log, [frame, withBody(frame, bodyOf(frame), bodyOf(frame) + 40)]);
    log.disk.corrupt(frame.path, frame.header.offset, new Uint8Array(frame.bytes.length));
    await log.reopen(mode).catch((error: unknown) => {
      throw new Error(`${what}: the true one is not put back`, { cause: error });
    });
  },

  async "a frame is compressed by what nobody knows"(random, what, seed) {
    const { log, mode, frame } = await compressedLog(random, seed, "deflate-raw");
    putFrame(
      log.disk,
      rewritten(frame, (view) => view.setUint16(28, 9, true)),
    );
    await refused(log, mode, what, ["WAL_UNSUPPORTED_FORMAT"]);
  },

  async "a frame states more than it expands to"(random, what, seed) {
    const { log, mode, frame } = await compressedLog(random, seed, random.pick(["deflate-raw", "brotli"]));
    putFrame(
      log.disk,
      rewritten(frame, (view) => view.setUint32(132, view.getUint32(132, true) + 8, true)),
    );
    await refused(log, mode, what, ["WAL_CORRUPT"]);
  },

  "a frame expands to far more than it states, by deflate": (random, what, seed) =>
    bomb(random, what, seed, "deflate-raw"),
  "a frame expands to far more than it states, by brotli": (random, what, seed) =>
    bomb(random, what, seed, "brotli"),
};

/**
 * A log, and a copy that went on beside it: both were opened after one and the same crash, so that each has its own open frame in the same place,
 * with the same number, LSN, chain and tag before it. `then` is what follows in ours.
 */
async function twins(random: Random, seed: number, then: (log: SecretLog) => Promise<void>) {
  const mode = encrypted();
  const log = new SecretLog(random, { seed, crashPolicy: "none" });
  await log.open(mode);
  for (let commits = 1 + random.below(3); commits > 0; commits -= 1) await log.commit(10);
  log.disk.crash();
  const copy = log.copy(seed + 1);
  await log.reopen(mode);
  await copy.reopen(mode);
  const [ours, theirs] = [lastOf(framesOf(log)), lastOf(framesOf(copy))];
  assert.ok(ours.header.frameNumber === theirs.header.frameNumber && ours.header.kind === theirs.header.kind);
  assert.notDeepEqual(ours.header.incarnation, theirs.header.incarnation);
  await then(log);
  await log.commit(10);
  await log.close();
  log.disk.crash();
  return { log, copy, mode, ours, theirs };
}

/** The bytes of a frame that somebody without a key can make: a record of his own. */
function frameInTheClear(
  { sequence }: Preamble,
  { logId, incarnation, nextLsn, frameNumber, time }: FrameHeader,
  offset: number,
  chain: bigint,
): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  const builder = new FrameBuilder(BLOCK);
  builder.begin(bytes, 0, BLOCK);
  builder.append({ payload: new TextEncoder().encode("pay the attacker") });
  const place = { sequence, offset, frameNumber: frameNumber + 1, firstLsn: nextLsn, chain };
  builder.seal({ kind: "data", logId, incarnation, time, watermark: frameNumber + 1, ...place });
  return bytes;
}

/** As the log would, one after the other: the last one is the newest. */
async function stageCopies(log: LogUnderTest, frames: readonly FoundFrame[]): Promise<void> {
  const io = log.disk.mount();
  const dwb = await openDwb({
    io,
    path: `${DIRECTORY}/dwb`,
    mode: "buffered",
    slots: 8,
    slotBytes: 8192,
    blockBytes: BLOCK,
  });
  if (dwb.hasUnrecovered) dwb.releaseRecovered();
  for (const { header, bytes } of frames) {
    const { frameNumber, sequence, offset, headerChecksum, bodyChecksum, length } = header;
    const ticket = dwb.stage({
      key: frameNumber,
      target: sequence,
      offset,
      version: frameChecksum(headerChecksum, bodyChecksum),
      bytes: bytes.subarray(0, length),
      length: bytes.length,
    });
    const batch = dwb.takeSteps();
    await io.submit(batch.steps);
    batch.done();
    dwb.release(ticket);
  }
  await dwb.close();
  log.disk.crash();
}

type Algorithm = "deflate-raw" | "brotli";

/** A log that is compressed and nothing else, whose last frame is. */
async function compressedLog(random: Random, seed: number, algorithm: Algorithm) {
  const mode: Mode = { compression: algorithm, dwb: { mode: "off" } };
  const log = new LogUnderTest(random, { seed, crashPolicy: "none" });
  await log.open(mode);
  await log.commit(20_000);
  log.disk.crash();
  const frame = lastOf(framesOf(log));
  assert.equal(frame.header.packed?.compression, algorithm);
  return { log, mode, frame };
}

/** Far more than a segment, and little once it is compressed. */
const BOMB_BYTES = 1 << 24;
/** As much as a segment can hold: more than that is refused for that alone. */
const STATED_BYTES = 131_072;

function makeBomb(algorithm: Algorithm): Uint8Array {
  const zeros = new Uint8Array(BOMB_BYTES);
  if (algorithm === "deflate-raw") return zlib.deflateRawSync(zeros);
  return zlib.brotliCompressSync(zeros, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } });
}

async function bomb(random: Random, what: string, seed: number, algorithm: Algorithm): Promise<void> {
  const { log, mode, frame } = await compressedLog(random, seed, algorithm);
  const stored = makeBomb(algorithm);
  const bytes = new Uint8Array(Math.ceil((FRAME_HEADER_BYTES + stored.length) / BLOCK) * BLOCK);
  bytes.set(frame.bytes.subarray(0, FRAME_HEADER_BYTES));
  bytes.set(stored, FRAME_HEADER_BYTES);
  const forged = rewritten({ ...frame, bytes }, (view) => {
    view.setUint32(16, FRAME_HEADER_BYTES + 8 * Math.ceil(stored.length / 8), true);
    view.setUint32(132, STATED_BYTES, true);
    view.setUint32(136, stored.length, true);
  });
  assert.ok(readFrameHeader(forged.bytes, 0) !== undefined, "it has to be a frame by its header");
  putFrame(log.disk, forged);
  const expansions = new Expansions();
  expansions.begin();
  try {
    await refused(log, mode, what, ["WAL_CORRUPT"]);
  } finally {
    expansions.end();
  }
  const { bounds } = expansions;
  assert.ok(bounds.length > 0, `${what}: nobody has tried to expand it`);
  assert.ok(Math.max(...bounds) <= STATED_BYTES, `${what}: it may come to ${Math.max(...bounds)} bytes`);
}
