const NEWLINE = 0x0a;

/**
 * Cuts a stream of bytes into lines, without their newlines. Bytes, not text: a carriage return stays, and so does whatever is no
 * valid UTF-8. A line is a view of its chunk where it lies in one.
 */
export class LineSplitter {
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** Bytes of the line that has begun and not ended. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  /** The lines that end in `chunk`. Take all of them before the next call. */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const part = chunk.subarray(from, end);
      from = end + 1;
      yield this.#parts.length === 0 ? part : this.#join(part);
    }
    if (from < chunk.length) {
      this.#parts.push(chunk.subarray(from));
      this.#bytes += chunk.length - from;
    }
  }

  /** What stands behind the last newline; `undefined` where nothing does. */
  end(): Uint8Array | undefined {
    return this.#parts.length === 0 ? undefined : this.#join(new Uint8Array());
  }

  #join(last: Uint8Array): Uint8Array {
    const line = Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#bytes = 0;
    return line;
  }
}
