import { fstatSync } from "node:fs";
import { addAbortSignal } from "node:stream";
import type { CompressionAlgorithm } from "@stonewal/record";
import { type DwbMode, type Wal, WalError } from "@stonewal/writer";
import type { BackendChoice } from "../backends.js";
import { openWal } from "../open-wal.js";
import { DurableLines } from "./durable-lines.js";
import type { DwbPathOptions } from "./dwb-path.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { CliError, Hinted } from "./failure.js";
import { encryptionOf, type KeyOptions } from "./keys.js";
import { LineSplitter } from "./lines.js";
import { type TipOptions, tipText } from "./tip.js";

export interface AppendOptions extends KeyOptions, TipOptions, DwbPathOptions {
  readonly compress?: CompressionAlgorithm;
  readonly io?: string;
  readonly dwb?: DwbMode;
  readonly ack?: "wal" | "dwb";
  readonly buffered?: boolean;
  readonly direct?: boolean;
  readonly type?: number;
  readonly syncEvery?: number;
  readonly tip?: boolean;
}

/** Bound on the memory of records that are not durable yet, in bytes: twice the default, so that lines of many MiB fit. */
const BUFFER_BYTES = 64 * 1024 * 1024;

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** Appends standard input to the log, a record for each line. Resolves when everything is durable and the log is closed. */
export async function append(dir: string, options: AppendOptions): Promise<ExitCode> {
  const { io, dwb, dwbPath, ack, type, syncEvery, atLeast, tip } = options;
  const wal = await openWal({
    dir,
    // Any name: an unknown one is refused with those that there are.
    io: (io ?? "auto") as BackendChoice,
    bufferBytes: BUFFER_BYTES,
    encryption: await encryptionOf(options),
    compression: options.compress,
    atLeast,
    dwb: {
      ...(dwb === undefined ? {} : { mode: dwb }),
      ...(dwbPath === undefined ? {} : { path: dwbPath }),
    },
    ...(ack === undefined ? {} : { ack }),
    ...(options.direct ? { direct: true } : options.buffered ? { direct: false } : {}),
  });
  const durable = new DurableLines(wal, process.stdout);
  const appender = new InputAppender(wal, type ?? 0, syncEvery);
  const interrupt = (signal: NodeJS.Signals) => appender.interrupt(signal);
  // Once: whoever insists gets what the signal does by itself.
  for (const signal of SIGNALS) process.once(signal, interrupt);
  const failures: unknown[] = [];
  const collect = (error: unknown) => failures.push(error);
  await appender.run().catch(collect);
  await wal.close().catch(collect);
  // As this writer knows it: not what somebody has put on the disk since it was opened. What was there by then it has taken as it was, unless
  // `--at-least` was given.
  const last = tip && failures.length === 0 ? `tip ${tipText(wal.tip)}` : undefined;
  await durable.end(last).catch(collect);
  for (const signal of SIGNALS) process.off(signal, interrupt);
  if (failures.length === 0) return EXIT.fine;
  throw new Hinted(
    failures[0],
    wal.durableLsn === wal.nextLsn - 1
      ? `everything appended is durable, up to LSN ${wal.durableLsn}`
      : `durable up to LSN ${wal.durableLsn}`,
  );
}

class InputAppender {
  readonly #wal: Wal;
  readonly #type: number;
  /** `undefined`: whatever has been read is synced as soon as the disk is free. */
  readonly #syncEvery: number | undefined;
  readonly #lines = new LineSplitter();
  readonly #stop = new AbortController();
  #appended = 0;
  #failure: unknown;
  #interruptedBy: NodeJS.Signals | undefined;

  constructor(wal: Wal, type: number, syncEvery: number | undefined) {
    this.#wal = wal;
    this.#type = type;
    this.#syncEvery = syncEvery;
  }

  /** Stops reading; what has been read is still appended. */
  interrupt(signal: NodeJS.Signals): void {
    this.#interruptedBy = signal;
    this.#stop.abort();
  }

  /** Resolves when all of the input is durable. */
  async run(): Promise<void> {
    for await (const chunk of this.#chunks()) await this.#take(chunk);
    const rest = this.#lines.end();
    if (rest !== undefined) await this.#append(rest);
    await this.#wal.sync();
  }

  /** Half a line is no record: where the input breaks off, what has come of its last line is not appended. */
  async *#chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      // Node takes a directory for an empty input.
      if (fstatSync(process.stdin.fd).isDirectory()) throw new Error("it is a directory");
      yield* addAbortSignal(this.#stop.signal, process.stdin);
    } catch (error) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#interruptedBy !== undefined) {
        throw new CliError("CLI_INTERRUPTED", `${this.#interruptedBy} came before the end of the input`);
      }
      const message = error instanceof Error ? error.message : String(error);
      throw new CliError("CLI_INPUT", `standard input can't be read: ${message}`, error);
    }
  }

  async #take(chunk: Uint8Array): Promise<void> {
    for (const line of this.#lines.push(chunk)) {
      const waiting = this.#append(line);
      if (waiting !== undefined) await waiting;
    }
    const { maxPayloadBytes } = this.#wal;
    if (this.#lines.pendingBytes > maxPayloadBytes) {
      throw new WalError("WAL_RECORD_TOO_LARGE", `a line is longer than ${maxPayloadBytes} bytes`);
    }
    // While a chain is in flight this is what the next one carries: one commit after another, as fast as the disk takes them.
    if (this.#syncEvery === undefined) this.#wal.sync().catch((error) => this.#fail(error));
  }

  /** A promise only where there is something to wait for. */
  #append(payload: Uint8Array): Promise<void> | undefined {
    const record = { payload, type: this.#type };
    this.#appended += 1;
    if (!this.#tryAppend(record)) return this.#appendWhenReady(record);
    return this.#syncIfDue();
  }

  async #appendWhenReady(record: { payload: Uint8Array; type: number }): Promise<void> {
    for (let appended = false; !appended; ) {
      await this.#wal.ready();
      appended = this.#tryAppend(record);
    }
    await this.#syncIfDue();
  }

  /** False where there is no room at this moment. */
  #tryAppend(record: { payload: Uint8Array; type: number }): boolean {
    try {
      this.#wal.append(record);
      return true;
    } catch (error) {
      if (error instanceof WalError && error.code === "WAL_BACKPRESSURE") return false;
      throw error;
    }
  }

  #syncIfDue(): Promise<void> | undefined {
    const due = this.#syncEvery !== undefined && this.#appended % this.#syncEvery === 0;
    return due ? this.#wal.sync() : undefined;
  }

  /** Something that nobody waits for has failed. */
  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#stop.abort();
  }
}
