import type { Writable } from "node:stream";
import { CliError } from "./failure.js";

const BUFFER_BYTES = 256 * 1024;

/**
 * Standard output: gathers small pieces, waits for a slow reader, and notices one that has gone away (`| head`), which is
 * not a failure of what was asked for.
 */
export class Output {
  readonly #stream: Writable;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #failure: NodeJS.ErrnoException | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on("error", (error) => {
      this.#failure ??= error;
    });
  }

  /** Nobody reads what is written here any more. */
  get gone(): boolean {
    return this.#failure?.code === "EPIPE";
  }

  /** Throws `CLI_OUTPUT` where writing has failed otherwise: the disk that output goes to is full. */
  check(): void {
    if (this.#failure !== undefined && !this.gone) {
      throw new CliError(
        "CLI_OUTPUT",
        `standard output can't be written: ${this.#failure.message}`,
        this.#failure,
      );
    }
  }

  /** Resolves at once while there is room in the buffer; otherwise when the reader has taken what was there. */
  async write(piece: Uint8Array | string): Promise<void> {
    const bytes = typeof piece === "string" ? Buffer.from(piece) : piece;
    if (this.tryWrite(bytes)) return;
    await this.flush();
    if (!this.tryWrite(bytes)) await this.#send(bytes);
  }

  /** Takes all of the pieces into the buffer; false, and none taken, where it has no room for them. */
  tryWrite(...pieces: Uint8Array[]): boolean {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (bytes > BUFFER_BYTES - this.#used) return false;
    for (const piece of pieces) {
      this.#buffer.set(piece, this.#used);
      this.#used += piece.length;
    }
    return true;
  }

  /** Resolves when everything written so far has been handed over. */
  async flush(): Promise<void> {
    if (this.#used === 0) return;
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    await this.#send(bytes);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    if (this.#failure === undefined) {
      const error = await new Promise<Error | null | undefined>((resolve) =>
        this.#stream.write(bytes, resolve),
      );
      if (error) this.#failure ??= error;
    }
    this.check();
  }
}
