import type { MessagePort } from "node:worker_threads";
import { type RecordInput, validateRecord } from "@stonewal/record";
import { WalError, type WalErrorCode } from "@stonewal/writer";
import { ATTACHED, CONTROL_BYTES, entryBytes, OWNER_SLEEPS, SETTLED, WORKER_SLEEPS } from "./layout.js";
import { type ErrorParts, type LogLink, maxPayload, type Refusal, RING, requestLimit } from "./link.js";
import { RequestWriter } from "./request-writer.js";

interface Pending {
  readonly resolve: (firstLsn: number) => void;
  readonly reject: (error: Error) => void;
}

/** Node.js has had it since 18.1, as an experiment; its types don't. */
type HeldPort = MessagePort & { hasRef?(): boolean };

interface Waiting extends Pending {
  readonly records: readonly RecordInput[];
}

/**
 * The log as a worker has it. Its records go through shared memory to the thread that owns the log, which appends them in the order in which
 * this worker committed them; between workers there is no order but that of the LSNs.
 *
 * While a commit is pending, the worker is kept alive by it; an idle log keeps nothing alive.
 */
export class AttachedLog {
  /** The largest payload that `commit` takes, in bytes: bounded by the log and by half of the link's memory. */
  readonly maxPayloadBytes: number;
  readonly #link: LogLink;
  readonly #control: Int32Array;
  readonly #settlements: Float64Array;
  readonly #writer: RequestWriter;
  /** Requests in the ring or on their way to the disk, oldest first. */
  #pending: Pending[] = [];
  #pendingHead = 0;
  /** How many requests have been told their end. Its low 32 bits are compared with SETTLED. */
  #settled = 0;
  /** Requests for which there was no room yet, oldest first. */
  #waiting: Waiting[] = [];
  readonly #refusals = new Map<number, Error>();
  #ownerEnded = false;
  #closing: { promise: Promise<void>; done: () => void } | undefined;

  /** Use `attachLog`. */
  constructor(link: LogLink) {
    this.#link = link;
    this.maxPayloadBytes = maxPayload(link);
    this.#control = new Int32Array(link.memory, 0, CONTROL_BYTES / 4);
    this.#settlements = new Float64Array(link.memory, CONTROL_BYTES, link.pendingLimit);
    this.#writer = new RequestWriter(link);
    link.port.on("message", (message: Refusal | typeof RING) => this.#rung(message));
    link.port.once("close", () => this.#ownerGone());
    // A listener holds a port that is open. One that closed before says so no more.
    if ((link.port as HeldPort).hasRef?.() === false) this.#ownerGone();
    link.port.unref();
  }

  /** Commits that have not settled yet. */
  get pending(): number {
    return this.#pending.length - this.#pendingHead + this.#waiting.length;
  }

  /**
   * Resolves to the record's LSN when it is durable, with the same promise as `Wal.commit` in the thread that owns the log.
   *
   * Where there is room, the payload has been copied when this returns. Otherwise it waits its turn: leave the payload alone until
   * the promise has settled. Rejects as `Wal.commit` does; `WAL_RECORD_TOO_LARGE` also for what is larger than half of the link's memory;
   * `WAL_CLOSED` where this or the log was closed, or its thread has ended: what was on its way then may be durable or not.
   */
  commit(record: RecordInput): Promise<number> {
    try {
      return this.#request([fields(record)]);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Commits records that come back together after a crash, or not at all. Resolves when they are durable; rejects as
   * `commit` does, and as `Wal.commitBatch`.
   */
  async commitBatch(records: readonly RecordInput[]): Promise<{ firstLsn: number; lastLsn: number }> {
    if (!Array.isArray(records) || records.length === 0)
      throw new WalError("WAL_ARGUMENT", "a batch must be an array of records, with at least one");
    const batch = records.map(fields);
    const firstLsn = await this.#request(batch);
    return { firstLsn, lastLsn: firstLsn + batch.length - 1 };
  }

  /** Takes no more commits. Resolves when those that were under way have settled; idempotent. The log stays open. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      let done: () => void = () => undefined;
      const promise = new Promise<void>((resolve) => {
        done = resolve;
      });
      this.#closing = { promise, done };
      this.#closeIfDone();
    }
    return this.#closing.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #request(records: readonly RecordInput[]): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined)
        throw new WalError("WAL_CLOSED", "this thread's end of the log is closed");
      if (this.#ownerEnded) throw ownerGone("this record is not in it");
      this.#check(records);
      // Payloads are copied when there is room.
      if (this.#waiting.length > 0 || !this.#put(records, { resolve, reject }))
        this.#waiting.push({ records, resolve, reject });
      if (this.pending === 1) this.#link.port.ref();
    });
  }

  #check(records: readonly RecordInput[]): void {
    let bytes = 0;
    for (const record of records) {
      validateRecord(record);
      const { byteLength } = record.payload;
      if (byteLength > this.maxPayloadBytes)
        throw new WalError(
          "WAL_RECORD_TOO_LARGE",
          `a payload of ${byteLength} bytes is above the limit of ${this.maxPayloadBytes}`,
        );
      bytes += entryBytes(byteLength);
    }
    const limit = requestLimit(this.#link.ringBytes);
    if (bytes > limit)
      throw new WalError(
        "WAL_RECORD_TOO_LARGE",
        `a batch of ${bytes} bytes is above half of the link's memory, ${limit}`,
      );
  }

  #put(records: readonly RecordInput[], pending: Pending): boolean {
    if (this.#pending.length - this.#pendingHead >= this.#link.pendingLimit) return false;
    if (!this.#writer.put(records)) return false;
    this.#pending.push(pending);
    // Said before the owner is woken: it may settle at once.
    Atomics.store(this.#control, WORKER_SLEEPS, 1);
    if (Atomics.exchange(this.#control, OWNER_SLEEPS, 0) === 1) this.#link.port.postMessage(RING);
    return true;
  }

  #rung(message: Refusal | typeof RING): void {
    if (message !== RING) this.#refusals.set(message.request, errorOf(message.error));
    do {
      this.#settle();
      this.#putWaiting();
      Atomics.store(this.#control, WORKER_SLEEPS, 1);
      // What was settled before that store rings nobody.
    } while (this.#settleable());
    if (this.pending === 0) this.#link.port.unref();
    this.#closeIfDone();
  }

  #settleable(): boolean {
    if (Atomics.load(this.#control, SETTLED) === (this.#settled | 0)) return false;
    const lsn = this.#settlements[this.#settled % this.#link.pendingLimit] as number;
    return !Number.isNaN(lsn) || this.#refusals.has(this.#settled);
  }

  #settle(): void {
    while (this.#settleable()) {
      const lsn = this.#settlements[this.#settled % this.#link.pendingLimit] as number;
      const { resolve, reject } = this.#pending[this.#pendingHead] as Pending;
      const refusal = this.#refusals.get(this.#settled);
      if (refusal === undefined) resolve(lsn);
      else reject(refusal);
      this.#refusals.delete(this.#settled);
      this.#settled += 1;
      this.#pendingHead += 1;
    }
    if (this.#pendingHead * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#pendingHead);
      this.#pendingHead = 0;
    }
  }

  #putWaiting(): void {
    let taken = 0;
    for (const waiting of this.#waiting) {
      try {
        // Its payload may have been transferred away meanwhile.
        this.#check(waiting.records);
        if (!this.#put(waiting.records, waiting)) break;
      } catch (error) {
        waiting.reject(error as Error);
      }
      taken += 1;
    }
    if (taken > 0) this.#waiting = this.#waiting.slice(taken);
  }

  #closeIfDone(): void {
    if (this.#closing === undefined || this.pending > 0) return;
    this.#link.port.close();
    this.#closing.done();
  }

  #ownerGone(): void {
    this.#settle();
    this.#ownerEnded = true;
    const handedOver = this.#pending.slice(this.#pendingHead);
    const waiting = this.#waiting;
    this.#pending = [];
    this.#pendingHead = 0;
    this.#waiting = [];
    for (const { reject } of handedOver) reject(ownerGone("whether this record is durable is not known"));
    for (const { reject } of waiting) reject(ownerGone("this record is not in it"));
    this.#closing?.done();
  }
}

function ownerGone(consequence: string): WalError {
  return new WalError("WAL_CLOSED", `the log was closed, or its thread has ended; ${consequence}`);
}

/** What a record is now: the caller may go on using its own objects, or make them anew whenever they are asked for. What is none stays as it is. */
function fields(record: RecordInput): RecordInput {
  if (typeof record !== "object" || record === null) return record;
  const { payload, type = 0, shard = 0, tenant = 0, database = 0 } = record;
  return { payload, type, shard, tenant, database };
}

/** Errors don't cross threads with their class and code; their parts do. */
function errorOf({ name, message, code, cause }: ErrorParts): Error {
  const first = cause === undefined ? undefined : errorOf(cause);
  if (name === "WalError") return new WalError(code as WalErrorCode, message, first);
  const error = new Error(message, first === undefined ? undefined : { cause: first });
  return Object.assign(error, { name }, code === undefined ? undefined : { code });
}

/**
 * Attaches this thread to the log that `link` was made for, by `SharedLog.link`. A link can be attached once, and not again when
 * it was closed: `WAL_ARGUMENT`.
 */
export function attachLog(link: LogLink): AttachedLog {
  if (!(link?.memory instanceof SharedArrayBuffer) || typeof link.port?.postMessage !== "function")
    throw new WalError("WAL_ARGUMENT", "attachLog takes what SharedLog.link() made, port included");
  if (Atomics.exchange(new Int32Array(link.memory, 0, CONTROL_BYTES / 4), ATTACHED, 1) === 1)
    throw new WalError("WAL_ARGUMENT", "this link was attached before: take another of SharedLog.link()");
  return new AttachedLog(link);
}
