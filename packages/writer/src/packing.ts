import {
  type Anchor,
  type Compression,
  LogCipher,
  type Packing,
  type Preamble,
  ROUTING_BYTES,
  sealAnchor,
  sealPreamble,
} from "@stonewal/record";
import type { WriterEncryption } from "./options.js";

export interface LogPackingOptions {
  readonly encryption: WriterEncryption | undefined;
  readonly compression: Required<Compression> | undefined;
  readonly logId: Uint8Array;
  readonly incarnation: Uint8Array;
}

/**
 * How what this opening writes is packed. Every segment is written with the key that is the ring's current one when the segment is begun,
 * and with that key alone.
 */
export class LogPacking {
  readonly #options: LogPackingOptions;
  /** One for each key, for as long as the log is open: it is what remembers which nonces have been used. */
  readonly #ciphers = new Map<number, LogCipher>();

  constructor(options: LogPackingOptions) {
    this.#options = options;
  }

  /** Of the key that the next segment will be written with; 0: it won't be encrypted. */
  get keyId(): number {
    return this.#options.encryption?.keys.current ?? 0;
  }

  /** Bytes that a record takes in a frame besides its own. */
  get routingBytes(): number {
    return this.#options.encryption?.routing === "readable" ? ROUTING_BYTES : 0;
  }

  /**
   * How frames are packed in a segment with this key, 0 being none.
   *
   * @throws RecordError `KEY_MISSING`, `KEY_ARGUMENT`: the ring has been destroyed.
   */
  framesWith(keyId: number): Packing | undefined {
    const { encryption, compression } = this.#options;
    if (keyId === 0 && compression === undefined) return undefined;
    return { compression, cipher: this.#cipher(keyId), routing: encryption?.routing };
  }

  /** The preamble of a new segment, behind the frame or preamble with `previousTag`. */
  preamble(stated: Omit<Preamble, "encryption">, previousTag: Uint8Array): Preamble {
    const cipher = this.#cipher(this.keyId);
    return cipher === undefined ? stated : sealPreamble(stated, cipher, previousTag);
  }

  anchor(stated: Omit<Anchor, "encryption">): Anchor {
    const cipher = this.#cipher(this.keyId);
    return cipher === undefined ? stated : sealAnchor(stated, cipher, this.#options.incarnation);
  }

  /** Overwrites the keys that were derived. */
  async close(): Promise<void> {
    for (const cipher of this.#ciphers.values()) cipher.destroy();
  }

  #cipher(keyId: number): LogCipher | undefined {
    const { encryption, logId, incarnation } = this.#options;
    if (encryption === undefined || keyId === 0) return undefined;
    let cipher = this.#ciphers.get(keyId);
    if (cipher === undefined) {
      cipher = new LogCipher(encryption.keys, { keyId, logId, incarnation });
      this.#ciphers.set(keyId, cipher);
    }
    return cipher;
  }
}
