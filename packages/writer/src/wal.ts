import type { Dwb } from "@stonewal/dwb";
import type { IoBackend, IoLock } from "@stonewal/io";
import { type LogRecord, type RecordInput, validateRecord } from "@stonewal/record";
import {
  follow,
  type LogView,
  type Position,
  type ReadOptions,
  type RecoveryReport,
  type ReplayOptions,
  replay,
  SegmentKeys,
  type Tip,
} from "@stonewal/recovery";
import type { AnchorFile } from "./anchor-file.js";
import { WalError } from "./errors.js";
import { channels } from "./events.js";
import { framesInFolio } from "./folio-frames.js";
import { FrameAssembler } from "./frame-assembler.js";
import { GroupCommit } from "./group-commit.js";
import { Holds } from "./holds.js";
import { HomeWrites } from "./home-writes.js";
import { LogEnds } from "./log-ends.js";
import { checkLsn, shown } from "./lsn.js";
import { NextSegment } from "./next-segment.js";
import type { Settings, WrittenDwbMode } from "./options.js";
import type { LogPacking } from "./packing.js";
import { openReleased, Protection } from "./protection.js";
import { RoomQueue } from "./room-queue.js";
import type { SegmentStore } from "./segment-store.js";
import type { Counters, Protection as ProtectionState, WalStats } from "./stats.js";
import { Witnesses } from "./witnesses.js";

function checkBatch(records: readonly RecordInput[]): void {
  if (!Array.isArray(records)) {
    throw new WalError("WAL_ARGUMENT", `a batch must be an array of records, not ${shown(records)}`);
  }
  if (records.length === 0) throw new WalError("WAL_ARGUMENT", "a batch needs at least one record");
}

/** What a record is now. While it waits its turn the caller may go on using its own objects, but for the payload. */
function fields(record: RecordInput): RecordInput {
  validateRecord(record);
  const { payload, type = 0, shard = 0, tenant = 0, database = 0 } = record;
  return { payload, type, shard, tenant, database };
}

/** What opening a log has put together; see `open.ts`. */
export interface WalParts {
  readonly io: IoBackend;
  readonly directory: string;
  readonly settings: Settings;
  readonly direct: boolean;
  readonly dwbMode: WrittenDwbMode;
  readonly blockBytes: number;
  readonly logId: Uint8Array;
  readonly incarnation: Uint8Array;
  readonly lock: IoLock;
  readonly store: SegmentStore;
  readonly anchor: AnchorFile;
  readonly dwb: Dwb | undefined;
  readonly counters: Counters;
  readonly trimLsn: number;
  readonly position: Position;
  readonly tip: Tip;
  readonly packing: LogPacking;
  readonly highestSequence: number;
  readonly created: boolean;
  readonly report: RecoveryReport | undefined;
}

/**
 * A write-ahead log, open for writing. `append` gives a record its place in memory, at once; what makes it survive a power cut
 * is `commit`, `flushUntil` or `sync`, whose promises resolve only when it would.
 */
export class Wal {
  /** The back end in use. */
  readonly io: IoBackend;
  readonly directory: string;
  /** Whether the log is written past the page cache. */
  readonly direct: boolean;
  /** Whether this opening created the log. */
  readonly created: boolean;
  /** What recovery found and did when the log was opened; `undefined` for a new log. */
  readonly recovery: RecoveryReport | undefined;
  readonly #parts: WalParts;
  readonly #assembler: FrameAssembler;
  readonly #commits: GroupCommit;
  readonly #home: HomeWrites;
  readonly #protection: Protection;
  readonly #room = new RoomQueue();
  readonly #holds: Holds;
  readonly #view: LogView;
  readonly #store: SegmentStore;
  readonly #nextSegment: NextSegment;
  readonly #witnesses: Witnesses;
  readonly #ends: LogEnds;
  #state: "open" | "closing" | "closed" = "open";
  #closing: Promise<void> | undefined;
  #changed: (() => void)[] = [];

  /** Use `openLog`. */
  constructor(parts: WalParts) {
    const { io, directory, settings, counters, position, store } = parts;
    this.#parts = parts;
    this.io = io;
    this.directory = directory;
    this.direct = parts.direct;
    this.created = parts.created;
    this.recovery = parts.report;
    this.#store = store;
    this.#nextSegment = new NextSegment({
      store,
      directory,
      isOpen: () => this.#state === "open",
      onReady: () => {
        if (this.#witnesses.openPending && !this.#ends.paused) this.#witnesses.open();
        this.#room.retry();
      },
      onNoSpace: () => this.#room.retry(),
      onFailure: (error) => this.#commits.fail(error),
    });
    this.#protection = new Protection(parts.dwb, counters, {
      untorn: settings.dwb.mode === "auto",
      direct: parts.direct,
    });
    this.#assembler = new FrameAssembler(
      {
        io,
        logId: parts.logId,
        incarnation: parts.incarnation,
        segmentBytes: settings.segmentBytes,
        blockBytes: parts.blockBytes,
        frameBytes: settings.frameBytes,
        bufferBytes: settings.bufferBytes,
        packing: parts.packing,
        preambleFor: (spare, start) => store.preambleFor(spare, start),
        reclaim: () => this.#home.gather(),
        takeSpare: () => this.#nextSegment.take(),
        spareReady: () => store.spares > 0,
        watermark: () => this.#commits.watermark,
        openBody: () => ({ dwbId: this.#protection.dwbId, ack: this.#ack }),
        openEverySegment: settings.ack === "dwb",
      },
      position,
      { preamble: store.active.preamble, highestSequence: parts.highestSequence },
    );
    // Recovery has made everything before the position durable.
    const durable = { lsn: position.nextLsn - 1, watermark: position.frameNumber };
    const chainBytes = Math.max(4 * 1024 * 1024, settings.frameBytes);
    this.#home = new HomeWrites(
      {
        io,
        protection: this.#protection,
        counters,
        file: () => store.activeFile,
        chainBytes,
        release: (frame) => this.#assembler.release(frame),
        onProgress: () => this.#commits.broughtHome(),
        onFailure: (error) => this.#commits.fail(error),
      },
      durable,
    );
    this.#commits = new GroupCommit(
      {
        io,
        directory,
        assembler: this.#assembler,
        store,
        protection: this.#protection,
        home: this.#home,
        counters,
        onDwbFailure: settings.dwb.onFailure,
        delayMs: settings.groupDelayMs,
        chainBytes,
        onRoll: () => this.#ends.writeAnchor(),
        // The open frame there is says that the DWB acknowledges.
        onDegraded: () => settings.ack === "dwb" && this.#witnesses.open(),
        onProgress: () => this.#progress(),
        onPoison: (error) => this.#poisoned(error),
      },
      { tip: parts.tip, watermark: position.frameNumber },
    );
    this.#holds = new Holds(settings.maxHeldBytes);
    this.#view = this.#makeView();
    const work = { assembler: this.#assembler, commits: this.#commits, nextSegment: this.#nextSegment };
    this.#witnesses = new Witnesses({
      ...work,
      clock: io.clock,
      idleMs: settings.idleMs,
      isOpen: () => this.#state === "open",
      isPaused: () => this.#ends.paused,
    });
    this.#ends = new LogEnds(
      {
        ...work,
        home: this.#home,
        io,
        directory,
        store,
        anchor: parts.anchor,
        counters,
        witnesses: this.#witnesses,
        holds: this.#holds,
        view: this.#view,
        checkUsable: () => this.#checkUsable(),
        onResume: () => this.#room.retry(),
        onChange: () => this.#notifyChanged(),
      },
      parts.trimLsn,
    );
  }

  // ---- what is where -------------------------------------------------------------------------------------------

  /** Highest LSN that survives a power cut; one less than the first LSN while there is none. */
  get durableLsn(): number {
    return this.#commits.durableLsn;
  }

  /**
   * What to remember, somewhere else, to tell an older copy of the log from this one: the last durable LSN, and in an encrypted log the tag of
   * the frame that holds it. Give it back as `atLeast`. After `truncateAfter` an earlier one doesn't hold any more.
   */
  get tip(): Tip {
    return this.#commits.tip;
  }

  /** The LSN that the next record will get. */
  get nextLsn(): number {
    return this.#assembler.nextLsn;
  }

  /** Records up to this LSN may be gone; 0 before the first checkpoint. */
  get trimLsn(): number {
    return this.#ends.trimLsn;
  }

  /** 128 random bits that name this log. */
  get logId(): Uint8Array {
    return this.#parts.logId.slice();
  }

  /** Whether commits get a second copy at this moment. */
  get protection(): ProtectionState {
    return this.#protection.state;
  }

  /** The largest payload that `append` takes, in bytes. */
  get maxPayloadBytes(): number {
    return this.#assembler.maxPayloadBytes;
  }

  /** What acknowledges commits at this moment: without a DWB in use it is the log's own sync, whatever was asked for. */
  get #ack(): "wal" | "dwb" {
    return this.#protection.state === "protecting" ? this.#parts.settings.ack : "wal";
  }

  stats(): WalStats {
    return this.#parts.counters.snapshot({
      ack: this.#ack,
      framesOnlyInDwb: this.#home.frames,
      recordsAppended: this.#assembler.recordsAppended,
      payloadBytes: this.#assembler.payloadBytes,
      dwbBytesWritten: this.#protection.bytesWritten,
      protection: this.#protection.state,
      untornWriteBytes: this.#protection.untornWriteBytes,
      bufferedBytes: this.#assembler.bufferedBytes,
      bufferLimitBytes: this.#parts.settings.bufferBytes,
    });
  }

  // ---- appending -----------------------------------------------------------------------------------------------

  /**
   * Gives the record the next LSN and copies it into the log's buffer. It is not durable yet.
   *
   * Throws, with no LSN given and nothing changed: `WAL_BACKPRESSURE` (wait for `ready()`), `WAL_NO_SPACE`,
   * `WAL_RECORD_TOO_LARGE`, `WAL_LSN_EXHAUSTED`, `WAL_POISONED`, `WAL_CLOSED`, `RECORD_ARGUMENT`.
   */
  append(record: RecordInput): number {
    return this.#appendInOrder(() => this.#assembler.append(record));
  }

  /**
   * Appends a record that `encodeRecord` made beforehand; its place in the log gives it its LSN. Throws as `append` does, and
   * `RECORD_MALFORMED` or `RECORD_CHECKSUM` for bytes that are not an intact record.
   */
  appendEncoded(encoded: Uint8Array): number {
    return this.#appendInOrder(() => this.#assembler.appendEncoded(encoded));
  }

  /**
   * Appends records that come back together after a crash, or not at all. Throws as `append` does; `WAL_RECORD_TOO_LARGE`
   * where they don't fit into one frame together.
   */
  appendBatch(records: readonly RecordInput[]): { firstLsn: number; lastLsn: number } {
    checkBatch(records);
    return this.#appendInOrder(() => this.#assembler.appendBatch(records));
  }

  /**
   * Appends the record and resolves to its LSN when it is durable.
   *
   * Where `append` would throw `WAL_BACKPRESSURE`, waits its turn instead: leave the payload alone until the promise has settled.
   * Rejects as `append` throws, and with `WAL_POISONED` if the record can't be made durable.
   */
  commit(record: RecordInput): Promise<number> {
    // Not an async function, which would make each record a second promise. The LSN is given, and the payload copied, before this
    // returns.
    let waiting: RecordInput;
    try {
      const lsn = this.#appendAtOnce(() => this.#assembler.append(record));
      if (lsn !== undefined) return this.#commits.wait(lsn);
      waiting = fields(record);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#appendInTurn(() => this.#assembler.append(waiting)).then((lsn) => this.#commits.wait(lsn));
  }

  /**
   * `appendBatch`, and resolves when the batch is durable. Waits its turn where `commit` would, and rejects as `appendBatch`
   * throws otherwise.
   */
  async commitBatch(records: readonly RecordInput[]): Promise<{ firstLsn: number; lastLsn: number }> {
    checkBatch(records);
    const range =
      this.#appendAtOnce(() => this.#assembler.appendBatch(records)) ??
      (await this.#appendBatchInTurn(records));
    await this.#commits.wait(range.lastLsn);
    return range;
  }

  /**
   * Resolves when everything up to `lsn` is durable; at once where it is already. Rejects with `WAL_ARGUMENT` for an LSN
   * that has not been given, and with `WAL_POISONED`.
   */
  async flushUntil(lsn: number): Promise<void> {
    checkLsn(lsn);
    if (lsn >= this.nextLsn) {
      throw new WalError("WAL_ARGUMENT", `LSN ${lsn} has not been given; the next is ${this.nextLsn}`);
    }
    await this.#commits.wait(lsn);
  }

  /** Resolves when everything appended so far is durable. */
  sync(): Promise<void> {
    return this.flushUntil(this.nextLsn - 1);
  }

  /**
   * As `sync`, but blocks the thread, and needs no event loop: for exit handlers, and for tools that run once. Everything appended is
   * durable when it returns, what is in flight included; whoever waits for that is told as ever. Commits that wait for room have not
   * been appended.
   *
   * Throws `WAL_NOT_NOW` where the next segment has to be begun first: what comes before that is durable, the rest as soon as the event
   * loop goes on. `WAL_POISONED`; `WAL_UNSUPPORTED` with a back end that can't block (`io.now`).
   */
  syncNow(): void {
    this.#checkBlocks();
    this.#commits.flushNow(this.nextLsn - 1);
  }

  /**
   * As `commit`, but blocks, as `syncNow` does; the record's LSN. Makes room by itself where frames that can be written are all
   * that is in the way.
   *
   * Throws as `append` and `syncNow` do. With `WAL_NOT_NOW`, no LSN was given: use `commit` for this one.
   */
  commitNow(record: RecordInput): number {
    this.#checkBlocks();
    const append = () =>
      this.#appendInOrder(() => {
        if (!this.#assembler.rollsBefore(record)) return this.#assembler.append(record);
        throw new WalError("WAL_NOT_NOW", "the record is for the next segment, which takes the event loop");
      });
    let lsn: number;
    try {
      lsn = append();
    } catch (error) {
      if (!(error instanceof WalError && error.code === "WAL_BACKPRESSURE")) throw error;
      this.syncNow();
      // Frames that only the DWB has may be all that is in memory still.
      if (this.#assembler.lacks === "memory") this.#commits.bringHomeNow();
      lsn = append();
    }
    this.#commits.flushNow(lsn);
    return lsn;
  }

  #checkBlocks(): void {
    if (this.io.now !== undefined) return;
    throw new WalError("WAL_UNSUPPORTED", `the back end ${this.io.name} can't block: wait for sync()`);
  }

  /**
   * Resolves when `append` has room again. Rejects with `WAL_NO_SPACE` where that takes space that the disk doesn't have,
   * `WAL_POISONED`, `WAL_CLOSED`.
   */
  async ready(): Promise<void> {
    this.#checkUsable();
    await this.#room.enter(() => this.#hasRoom());
  }

  #appendInOrder<T>(append: () => T): T {
    this.#checkUsable();
    if (this.#room.waiting > 0) {
      throw new WalError("WAL_BACKPRESSURE", `${this.#room.waiting} commits wait for room`);
    }
    return this.#guarded(append);
  }

  /** Appends if there is room; turns "no next segment" into what it means. */
  #guarded<T>(append: () => T): T {
    const obstacle = this.#obstacle();
    if (obstacle !== undefined) throw obstacle;
    try {
      const appended = append();
      this.#witnesses.awaitIdle();
      return appended;
    } catch (error) {
      if (error instanceof WalError && error.code === "WAL_BACKPRESSURE") throw this.#makeRoom(error);
      throw error;
    }
  }

  /** Sets about getting what the assembler lacked. Answers what the caller is to be told. */
  #makeRoom(refused: WalError): WalError {
    // Full frames must leave before there is room.
    this.#commits.request(this.nextLsn - 1);
    this.#home.start();
    return this.#assembler.lacks === "segment" ? this.#segmentWanted(refused) : refused;
  }

  #segmentWanted(refused: WalError): WalError {
    const { failure } = this.#nextSegment;
    this.#nextSegment.need();
    return failure ?? refused;
  }

  /** What keeps every record out at this moment. */
  #obstacle(): WalError | undefined {
    if (this.#ends.paused) return new WalError("WAL_BACKPRESSURE", "the log stands still for a moment");
    if (!this.#witnesses.openPending || this.#witnesses.open()) return undefined;
    return this.#segmentWanted(new WalError("WAL_BACKPRESSURE", "the next segment is still being prepared"));
  }

  /** `undefined`: it has to wait. */
  #appendAtOnce<T>(append: () => T): T | undefined {
    this.#checkUsable();
    if (this.#room.waiting > 0) return undefined;
    try {
      return this.#tryAppend(append);
    } catch (error) {
      // There was no space when it was last looked for; perhaps there is now.
      if (error instanceof WalError && error.code === "WAL_NO_SPACE") return undefined;
      throw error;
    }
  }

  #appendBatchInTurn(records: readonly RecordInput[]): Promise<{ firstLsn: number; lastLsn: number }> {
    const waiting = records.map(fields);
    return this.#appendInTurn(() => this.#assembler.appendBatch(waiting));
  }

  #appendInTurn<T>(append: () => T): Promise<T> {
    if (this.#nextSegment.failure === undefined) return this.#room.enter(() => this.#tryAppend(append));
    // There was no space for the next segment; perhaps there is now. Its turn it takes at once: whoever comes meanwhile is behind.
    let looked = false;
    const entered = this.#room.enter(() => (looked ? this.#tryAppend(append) : undefined));
    const look = () => {
      looked = true;
      this.#room.retry();
    };
    this.#nextSegment.prepare().then(look, look);
    return entered;
  }

  #tryAppend<T>(append: () => T): T | undefined {
    try {
      return this.#guarded(append);
    } catch (error) {
      if (error instanceof WalError && error.code === "WAL_BACKPRESSURE") return undefined;
      throw error;
    }
  }

  /** `undefined` while what was refused last would be refused again. */
  #hasRoom(): true | undefined {
    const obstacle = this.#obstacle();
    if (obstacle?.code === "WAL_BACKPRESSURE") return undefined;
    if (obstacle !== undefined) throw obstacle;
    const { lacks } = this.#assembler;
    if (lacks === undefined) return true;
    if (lacks === "segment") {
      const { failure } = this.#nextSegment;
      if (failure !== undefined) throw failure;
      this.#nextSegment.need();
    }
    return undefined;
  }

  #checkUsable(): void {
    if (this.#commits.poison !== undefined) throw this.#commits.poison;
    if (this.#state !== "open") throw new WalError("WAL_CLOSED", "the log is closed");
  }

  #progress(): void {
    if (this.#assembler.lacks === "memory") this.#home.gather();
    this.#room.retry();
    // What somebody waits for may be in use until it is home.
    if (this.#assembler.lacks === "memory") this.#home.start();
    this.#notifyChanged();
    this.#witnesses.postponeIdle();
  }

  #notifyChanged(): void {
    const changed = this.#changed;
    this.#changed = [];
    for (const resolve of changed) resolve();
  }

  #poisoned(error: WalError): void {
    this.#witnesses.stop();
    this.#room.fail(error);
    this.#notifyChanged();
  }

  /** Called once by `openLog`: resolves when the log is ready for its first record. */
  async begin(): Promise<void> {
    await this.#adoptNeighbours();
    // Not one frame more with another key than the current one, or with none.
    if (this.#assembler.keyIsOld) this.#assembler.roll(await this.#nextSegment.obtain());
    if (!this.#witnesses.open()) {
      // No room in the last segment. A disk that is full must not keep the log from being opened.
      await this.#nextSegment.prepare().catch((error: unknown) => {
        if (this.#commits.poison !== undefined) throw error;
      });
    }
    await this.#commits.drain();
    this.#nextSegment.want();
    channels.open.publish({ directory: this.directory, created: this.created, report: this.recovery });
  }

  /** Of frames that the next write home could take if it were torn the buffer in use may have no copies that stay. Nothing is queued or on its way. */
  async #adoptNeighbours(): Promise<void> {
    const { activeFile: file } = this.#store;
    const { largestFrameBytes } = this.#protection;
    if (file.direct || largestFrameBytes === 0) return;
    const { io, blockBytes } = this.#parts;
    this.#home.adopt(file, await framesInFolio(io, file, blockBytes, this.#assembler.end, largestFrameBytes));
  }

  // ---- reading -------------------------------------------------------------------------------------------------

  #makeView(): LogView {
    return {
      logId: this.#parts.logId,
      blockBytes: this.#parts.blockBytes,
      keys: new SegmentKeys(this.#parts.settings.encryption, { checksum: this.io.checksum }),
      segments: () => this.#store.live.slice(),
      durable: () => ({ lsn: this.durableLsn, frameNumber: this.#commits.watermark - 1 }),
      home: {
        frameNumber: () => this.#home.point.watermark - 1,
        reach: () => this.#commits.bringHome(),
      },
      trimLsn: () => this.#ends.trimLsn,
      changed: () =>
        this.#finished() ? Promise.resolve() : new Promise((resolve) => this.#changed.push(resolve)),
      closed: () => this.#finished(),
      hold: (position) => this.#holds.add(position),
    };
  }

  #finished(): boolean {
    return this.#state === "closed" || this.#commits.poison !== undefined;
  }

  /**
   * Durable records in LSN order, with bounded memory; by default from the first that is there to the last that is durable
   * at the call. Payloads are views that stay valid. Rejects with `WAL_TRIMMED` for records that a checkpoint has freed. Throws `WAL_CLOSED`
   * of a closed log: `openReader` reads it.
   */
  read(options?: ReplayOptions): AsyncIterableIterator<LogRecord> {
    this.#checkReadable();
    return replay(this.io, this.#view, { direct: this.direct, ...options });
  }

  /** As `read`, but goes on with what becomes durable, until the loop is left, `signal` aborts, or the log is closed. */
  follow(options?: ReadOptions): AsyncIterableIterator<LogRecord> {
    this.#checkReadable();
    // A log that can't be written any more has not ended: the reader is told.
    const view = { ...this.#view, damage: () => this.#commits.poison };
    return follow(this.io, view, { direct: this.direct, ...options });
  }

  /** A log that can't be written any more can be read until it is closed. */
  #checkReadable(): void {
    if (this.#state === "closed") throw new WalError("WAL_CLOSED", "the log is closed");
  }

  // ---- moving the ends -----------------------------------------------------------------------------------------

  /**
   * Says that records up to `lsn` are needed no more. The trim point is durable before anything is freed; segments wholly below it
   * are then recycled or removed. Resolves to the number of segments freed, when that is durable. Needs no free space. Rejects
   * with `WAL_ARGUMENT` for an LSN that isn't durable.
   */
  async checkpoint(lsn: number): Promise<number> {
    this.#checkUsable();
    checkLsn(lsn);
    if (lsn > this.durableLsn) {
      throw new WalError(
        "WAL_ARGUMENT",
        `a checkpoint must be at or below the durable LSN ${this.durableLsn}, not ${lsn}`,
      );
    }
    return this.#ends.checkpoint(lsn);
  }

  /**
   * Ends the active segment and begins the next: what was appended so far lies in files that don't change any more. Resolves
   * when that is durable. `WAL_NO_SPACE` on a full disk.
   */
  async seal(): Promise<void> {
    this.#checkUsable();
    await this.#ends.seal();
  }

  /**
   * Goes over to the key that is the key ring's current one now (`KeyRing.use`): begins a new segment that is written with it. What lies in older
   * segments stays as it is, and takes their keys, until checkpoints have freed them. Where it is the key already, makes no segment.
   * Resolves when everything appended before and the new segment are durable. `WAL_ARGUMENT` where the log is not encrypted, `WAL_NO_SPACE` on a full disk.
   */
  async rotateKey(): Promise<void> {
    this.#checkUsable();
    if (this.#parts.settings.encryption === undefined) {
      throw new WalError("WAL_ARGUMENT", "the log was opened without keys");
    }
    await this.#ends.rotateKey();
  }

  /** Id of the key that the active segment is written with; `undefined`: the log is not encrypted. */
  get keyId(): number | undefined {
    return this.#store.active.preamble.encryption?.keyId;
  }

  /**
   * Removes every record behind `lsn`, for good: the next record gets the LSN `lsn + 1`. Everything appended before is flushed
   * first. Resolves when the cut is durable; after a crash it has happened whole or not at all. While it runs, appending waits
   * (`WAL_BACKPRESSURE`).
   *
   * Rejects with `WAL_ARGUMENT` for an LSN below the trim point or not given yet, `WAL_NO_SPACE` where there is no room for the
   * segment that states the cut; then nothing has changed.
   */
  async truncateAfter(lsn: number): Promise<void> {
    this.#checkUsable();
    await this.#ends.truncateAfter(lsn);
  }

  // ---- the second copy -----------------------------------------------------------------------------------------

  /**
   * Brings back a double-write buffer after `onFailure: 'degrade'` has given one up: a new one in its place. Resolves when commits
   * are protected again, and so are, in a buffered log, those before that a torn folio could take. While it runs, appending waits
   * (`WAL_BACKPRESSURE`). Nothing to do while commits are protected. `WAL_ARGUMENT` where the log was opened without one.
   */
  async attachDwb(): Promise<void> {
    this.#checkUsable();
    if (this.#protection.state === "protecting") return;
    const { dwbMode, settings, blockBytes } = this.#parts;
    if (dwbMode === "off")
      throw new WalError("WAL_ARGUMENT", "the log was opened without a double-write buffer");
    await this.#ends.alone(async () => {
      this.#checkUsable();
      if (this.#protection.state === "protecting") return;
      await this.#ends.still(async () => {
        const { slots, slotBytes, path } = settings.dwb;
        const dwb = await openReleased({ io: this.io, path, mode: dwbMode, slots, slotBytes, blockBytes });
        this.#protection.attach(dwb);
        await this.#adoptNeighbours();
        this.#witnesses.open();
        await this.#commits.drain();
      });
      channels.dwb.publish({ directory: this.directory, protection: this.#protection.state });
    });
  }

  // ---- the end -------------------------------------------------------------------------------------------------

  /**
   * Makes everything appended durable, writes the frames that mark a clean end, and gives the log up. Resolves when all that is
   * done; idempotent. Commits that still wait for room have not been appended: they are rejected with `WAL_CLOSED`. Whoever wants
   * them kept awaits them first. Of a poisoned log it frees lock, files and memory, and rejects with the first failure if
   * records are lost by it.
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#state = "closing";
      this.#witnesses.stop();
      this.#room.fail(new WalError("WAL_CLOSED", "the log was closed before there was room"));
      this.#closing = this.#ends.alone(() => this.#close());
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { anchor, lock, settings } = this.#parts;
    const failures: unknown[] = [];
    const attempt = (step: () => Promise<void>) => step().catch((error: unknown) => failures.push(error));
    await attempt(() => this.#end());
    this.#state = "closed";
    this.#notifyChanged();
    // The lock goes last: nobody else may write while something of this writer is in flight.
    await attempt(() => this.#store.close());
    // A failed DWB has been heard of already, as the poison or as the degradation.
    await this.#protection.close().catch(() => undefined);
    await attempt(() => anchor.close());
    await this.#parts.packing.close();
    this.#view.keys?.destroy();
    await attempt(() => lock.release());
    if (settings.ownsIo) await attempt(() => this.io.close());
    channels.close.publish({ directory: this.directory, durableLsn: this.durableLsn });
    if (failures.length > 0) throw failures[0];
  }

  /** Makes everything durable and says so on the disk. */
  async #end(): Promise<void> {
    if (this.#commits.poison !== undefined) {
      this.#home.stop();
      // What was acknowledged need not wait for the next opening, unless it was this that failed.
      await this.#home.drained().catch(() => undefined);
      if (this.nextLsn - 1 > this.durableLsn) throw this.#commits.poison;
      return;
    }
    await this.#store.stopPreparing();
    await this.#commits.drain();
    await this.#witnesses.close();
    await this.#ends.writeAnchor();
    this.#commits.stop();
    this.#home.stop();
  }
}
