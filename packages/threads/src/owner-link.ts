import type { MessagePort } from "node:worker_threads";
import type { RecordInput } from "@stonewal/record";
import type { Wal } from "@stonewal/writer";
import { CONTROL_BYTES, OWNER_SLEEPS, SETTLED, WORKER_SLEEPS } from "./layout.js";
import { type ErrorParts, type LogLink, type Refusal, RING } from "./link.js";
import { RequestReader } from "./request-reader.js";

/** A request that is in the log, or was refused, and of which the worker has not been told. */
interface Taken {
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly error: unknown;
}

/**
 * The owner's end of one link: takes requests out of the ring, in order, appends them, and tells the worker when they are durable.
 *
 * While a flush is under way the ring is where the next batch gathers: it is emptied when the flush has ended, before the log begins its
 * next one. So a busy worker never has to wake this thread, and a group of commits costs one message each way.
 */
export class OwnerLink {
  readonly #wal: Wal;
  readonly #port: MessagePort;
  readonly #control: Int32Array;
  readonly #settlements: Float64Array;
  readonly #pendingLimit: number;
  readonly #requests: RequestReader;
  readonly #onEnd: () => void;
  #taken: Taken[] = [];
  #settled = 0;
  /** Requests are being appended, or made durable. */
  #busy = false;
  /** Nobody is there to be told any more. */
  #ended = false;
  #idle: (() => void)[] = [];

  constructor(wal: Wal, link: Omit<LogLink, "maxPayloadBytes">, onEnd: () => void) {
    this.#wal = wal;
    this.#port = link.port;
    this.#pendingLimit = link.pendingLimit;
    this.#control = new Int32Array(link.memory, 0, CONTROL_BYTES / 4);
    this.#settlements = new Float64Array(link.memory, CONTROL_BYTES, link.pendingLimit);
    this.#requests = new RequestReader(link);
    this.#onEnd = onEnd;
    Atomics.store(this.#control, OWNER_SLEEPS, 1);
    link.port.on("message", () => void this.#work());
    link.port.once("close", () => void this.#workerGone());
    // A worker that is attached and silent keeps nobody alive.
    link.port.unref();
  }

  /** Resolves when what is in the ring now is durable and told, and the link has ended. A worker that goes on committing doesn't hold it up. */
  async close(): Promise<void> {
    this.#requests.end();
    await this.#work();
    if (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#port.close();
  }

  /** What it had put into the ring whole is appended all the same: it may have been told others about it. */
  async #workerGone(): Promise<void> {
    this.#ended = true;
    await this.close();
    this.#onEnd();
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    do {
      while (!this.#requests.empty) {
        await this.#take();
        await this.#flush();
      }
      Atomics.store(this.#control, OWNER_SLEEPS, 1);
      // A request that came before that store rings nobody.
    } while (!this.#requests.empty);
    this.#busy = false;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  /** Appends what is in the ring. */
  async #take(): Promise<void> {
    for (;;) {
      const records = this.#requests.peek();
      if (records === undefined) return;
      const taken = this.#append(records);
      const done = taken ?? (await this.#waitForRoom(records));
      this.#taken.push(done);
      this.#requests.shift();
      // It is durable already, and those behind it have waited long enough to be told.
      if (taken === undefined) return;
    }
  }

  /** Those before it are told meanwhile, each by its own LSN: when its turn comes, `truncateAfter` may have cut them away. */
  async #waitForRoom(records: readonly RecordInput[]): Promise<Taken> {
    const turn = this.#commitInTurn(records);
    if (this.#taken.length > 0) await this.#flush();
    return turn;
  }

  /** `undefined`: there is no room at the moment. */
  #append(records: readonly RecordInput[]): Taken | undefined {
    try {
      if (records.length > 1) return { ...this.#wal.appendBatch(records), error: undefined };
      const lsn = this.#wal.append(records[0] as RecordInput);
      return { firstLsn: lsn, lastLsn: lsn, error: undefined };
    } catch (error) {
      const { code } = error as { code?: string };
      return code === "WAL_BACKPRESSURE" || code === "WAL_NO_SPACE" ? undefined : refusedFor(error);
    }
  }

  /** Waits for room in the order of arrival, among this thread's own commits and those of the other links. */
  async #commitInTurn(records: readonly RecordInput[]): Promise<Taken> {
    try {
      if (records.length > 1) return { ...(await this.#wal.commitBatch(records)), error: undefined };
      const lsn = await this.#wal.commit(records[0] as RecordInput);
      return { firstLsn: lsn, lastLsn: lsn, error: undefined };
    } catch (error) {
      return refusedFor(error);
    }
  }

  /** Makes what was taken durable, and tells the worker. */
  async #flush(): Promise<void> {
    const last = this.#taken.findLast(({ error }) => error === undefined)?.lastLsn;
    let durable = 0;
    let failure: unknown;
    try {
      if (last !== undefined) await this.#wal.flushUntil(last);
      durable = last ?? 0;
    } catch (error) {
      failure = error;
      durable = this.#wal.durableLsn;
    }
    for (const { firstLsn, lastLsn, error } of this.#taken) {
      if (error !== undefined) this.#refuse(error);
      else if (lastLsn <= durable) this.#settle(firstLsn);
      else this.#refuse(failure);
    }
    this.#taken = [];
    if (Atomics.exchange(this.#control, WORKER_SLEEPS, 0) === 1) this.#tell(RING);
  }

  #settle(firstLsn: number): void {
    this.#settlements[this.#settled % this.#pendingLimit] = firstLsn;
    this.#settled += 1;
    Atomics.store(this.#control, SETTLED, this.#settled | 0);
  }

  #refuse(error: unknown): void {
    this.#tell({ request: this.#settled, error: partsOf(error as Error) });
    this.#settle(Number.NaN);
  }

  #tell(message: Refusal | typeof RING): void {
    if (!this.#ended) this.#port.postMessage(message);
  }
}

function refusedFor(error: unknown): Taken {
  return { firstLsn: Number.NaN, lastLsn: 0, error };
}

function partsOf(error: Error & { readonly code?: unknown }): ErrorParts {
  const { name, message, code, cause } = error;
  return {
    name,
    message,
    ...(typeof code === "string" ? { code } : {}),
    ...(cause instanceof Error ? { cause: partsOf(cause) } : {}),
  };
}
