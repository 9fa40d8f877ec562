import type { ChecksumRanges } from "@stonewal/io";
import {
  type Anchor,
  authenticateAnchor,
  authenticatePreamble,
  FrameUnpacker,
  type KeyRing,
  LogDecipher,
  type Preamble,
  RecordError,
} from "@stonewal/record";
import { RecoveryError } from "./errors.js";

/** With which keys an encrypted log is read, and how strictly. */
export interface EncryptionOptions {
  readonly keys: KeyRing;
  /**
   * What to do about a log that isn't encrypted at all, though keys were given: `refuse` (default) rejects with `WAL_NOT_ENCRYPTED`, since
   * whoever can write to the disk could have put it there. `accept` reads it; opened for writing, it goes on encrypted,
   * and needs no `accept` from then on.
   */
  readonly unencrypted?: "refuse" | "accept" | undefined;
  /**
   * What to do about a segment whose key is not in the ring: `refuse` (default) rejects with `WAL_KEY_MISSING`. With `allow` the log opens: of such a
   * segment only the structure is checked, and reading its records is what rejects. A checkpoint can free it.
   */
  readonly missingKeys?: "refuse" | "allow" | undefined;
}

/**
 * The keys for the segments of a log: decides which are to be had, and whether preambles and anchor were written with them.
 */
export class SegmentKeys {
  readonly encryption: EncryptionOptions | undefined;
  readonly #structureOnly: boolean;
  readonly #decipher: LogDecipher | undefined;
  readonly #unpacker: FrameUnpacker;
  /** Preambles that passed. */
  readonly #authentic = new WeakSet<Preamble>();
  readonly #unchecked = new Set<number>();

  /**
   * `structureOnly`: where no keys are given, the structure of an encrypted log is looked at without. Otherwise such a log is
   * refused.
   */
  constructor(
    encryption: EncryptionOptions | undefined,
    options: { checksum: ChecksumRanges | undefined; structureOnly?: boolean | undefined },
  ) {
    this.encryption = encryption;
    this.#structureOnly = options.structureOnly ?? false;
    this.#decipher = encryption && new LogDecipher(encryption.keys);
    this.#unpacker = new FrameUnpacker(this.#decipher, options.checksum);
  }

  /** Ids of the keys that were asked for and not to be had. */
  get unchecked(): readonly number[] {
    return [...this.#unchecked];
  }

  /**
   * What unpacks the frames of a segment, whose preamble is authentic then; `undefined`: there is no key, and the structure is to do.
   *
   * Rejects with `WAL_KEY_MISSING`, `WAL_KEY_WRONG`, and `WAL_TAMPERED`.
   */
  async unpackerFor(file: string, preamble: Preamble): Promise<FrameUnpacker | undefined> {
    const keyId = preamble.encryption?.keyId;
    if (keyId === undefined || this.#authentic.has(preamble)) return this.#unpacker;
    if ((await this.unpackerWith(file, keyId)) === undefined) return undefined;
    authentic(file, "its preamble", () => authenticatePreamble(preamble, this.#decipher!));
    this.#authentic.add(preamble);
    return this.#unpacker;
  }

  /** What unpacks frames that are encrypted with this key, 0 being none, whoever's they are. Rejects with `WAL_KEY_MISSING`. */
  async unpackerWith(file: string, keyId: number): Promise<FrameUnpacker | undefined> {
    return keyId === 0 || (await this.#has(file, keyId)) ? this.#unpacker : undefined;
  }

  /** Rejects with `WAL_TAMPERED` for an anchor that nobody who has the key wrote, and as `unpackerFor`. */
  async authenticateAnchor(file: string, anchor: Anchor): Promise<void> {
    const keyId = anchor.encryption?.keyId;
    if (keyId === undefined || !(await this.#has(file, keyId))) return;
    authentic(file, "it", () => authenticateAnchor(anchor, this.#decipher!));
  }

  /** Overwrites what was derived of the keys. Whoever is still reading may go on. */
  destroy(): void {
    this.#decipher?.destroy();
  }

  /** Is the key at hand? Throws where it must be. */
  async #has(file: string, keyId: number): Promise<boolean> {
    if (this.encryption === undefined) {
      if (!this.#structureOnly) throw noKeys(file, keyId);
      this.#unchecked.add(keyId);
      return false;
    }
    try {
      await this.encryption.keys.load([keyId]);
      return true;
    } catch (error) {
      if (!(error instanceof RecordError && error.code === "KEY_MISSING")) throw error;
      if (this.encryption.missingKeys !== "allow") throw keyError(file, error);
      this.#unchecked.add(keyId);
      return false;
    }
  }
}

function noKeys(file: string, keyId: number): RecoveryError {
  return new RecoveryError(
    "WAL_KEY_MISSING",
    `${file} is encrypted with key ${keyId}, and no keys were given`,
    {
      file,
      keyId,
    },
  );
}

/** A missing or wrong key, as recovery reports it. */
export function keyError(file: string, error: RecordError): RecoveryError {
  const code = error.code === "KEY_WRONG" ? "WAL_KEY_WRONG" : "WAL_KEY_MISSING";
  return new RecoveryError(code, `${file}: ${error.message}`, { file, keyId: error.keyId, cause: error });
}

function authentic(file: string, what: string, authenticate: () => void): void {
  try {
    authenticate();
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    if (error.code === "KEY_WRONG" || error.code === "KEY_MISSING") throw keyError(file, error);
    if (error.code !== "NOT_AUTHENTIC") throw error;
    throw new RecoveryError("WAL_TAMPERED", `${file}: ${what} was not written with key ${error.keyId}`, {
      file,
      keyId: error.keyId,
      cause: error,
    });
  }
}
