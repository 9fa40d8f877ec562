import { channels, type Wal } from "@stonewal/writer";
import { CliError } from "./failure.js";

/**
 * Prints `durable LSN` each time the durable LSN of a log moves, when it has moved. Where the lines can't be written any more, the log
 * goes on all the same: the records matter more than the report.
 */
export class DurableLines {
  readonly #wal: Wal;
  readonly #stream: NodeJS.WritableStream;
  #printed: number;
  #failure: NodeJS.ErrnoException | undefined;
  #handedOver: Promise<void> = Promise.resolve();
  readonly #onFlush = (message: unknown) => {
    if ((message as { directory: string }).directory === this.#wal.directory) this.#print();
  };

  constructor(wal: Wal, stream: NodeJS.WritableStream) {
    this.#wal = wal;
    this.#stream = stream;
    this.#printed = wal.durableLsn;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      this.#failure ??= error;
    });
    channels.flush.subscribe(this.#onFlush);
  }

  #print(): void {
    const { durableLsn } = this.#wal;
    if (durableLsn <= this.#printed || this.#failure !== undefined) return;
    this.#printed = durableLsn;
    this.#write(`durable ${durableLsn}`);
  }

  #write(line: string): void {
    this.#handedOver = new Promise((resolve) => {
      this.#stream.write(`${line}\n`, (error) => {
        if (error) this.#failure ??= error;
        resolve();
      });
    });
  }

  /** Resolves when the last line has been handed over, `last` where there is one. Rejects with `CLI_OUTPUT` where one could not be. */
  async end(last?: string): Promise<void> {
    channels.flush.unsubscribe(this.#onFlush);
    if (last !== undefined && this.#failure === undefined) this.#write(last);
    await this.#handedOver;
    if (this.#failure === undefined) return;
    const why = this.#failure.code === "EPIPE" ? "nobody reads it any more" : this.#failure.message;
    throw new CliError("CLI_OUTPUT", `standard output can't be written: ${why}`, this.#failure);
  }
}
