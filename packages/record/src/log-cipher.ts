import { createCipheriv, createDecipheriv, hkdfSync, timingSafeEqual } from "node:crypto";
import { requireId, viewOf } from "./binary.js";
import { ID_BYTES, KEY_CHECK_BYTES, TAG_BYTES } from "./constants.js";
import { RecordError } from "./errors.js";
import { KEY_BYTES, type KeyRing } from "./key-ring.js";

/**
 * What is being protected. Each purpose has a derived key of its own, and counts its nonces by what it never gives out
 * twice: frames by their number, preambles by the segment's sequence, anchors by their generation.
 */
export type CipherPurpose = "frame" | "preamble" | "anchor";

/** Which derived key: the writer's incarnation is the salt, so every opening of a log has keys of its own. */
export interface KeyPlace {
  readonly keyId: number;
  /** 16 bytes. */
  readonly logId: Uint8Array;
  /** 16 bytes. */
  readonly incarnation: Uint8Array;
}

const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_OPTIONS = { authTagLength: TAG_BYTES } as const;

/** HKDF-SHA256. The info names purpose, log and key, so that no two of them ever share a derived key. */
function derive(
  master: Uint8Array,
  salt: Uint8Array,
  purpose: CipherPurpose | "check",
  { logId, keyId }: Pick<KeyPlace, "logId" | "keyId">,
  bytes: number,
): Uint8Array {
  const label = new TextEncoder().encode(`stonewal/1 ${purpose}\0`);
  const info = new Uint8Array(label.length + ID_BYTES + 4);
  info.set(label);
  info.set(logId, label.length);
  viewOf(info).setUint32(label.length + ID_BYTES, keyId, true);
  return new Uint8Array(hkdfSync("sha256", master, salt, info, bytes));
}

/** Tells a wrong key from a log that was tampered with. Says nothing about the key to who doesn't have it. */
function keyCheck(ring: KeyRing, place: Pick<KeyPlace, "logId" | "keyId">): Uint8Array {
  return derive(ring.masterKey(place.keyId), place.logId, "check", place, KEY_CHECK_BYTES);
}

function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  viewOf(nonce).setBigUint64(0, BigInt(counter), true);
  return nonce;
}

/**
 * Encrypts what one opening of a log writes with one key. A counter that is not above the one before it is refused: a
 * nonce that is used twice with one key gives away the plaintext, and lets anyone forge.
 */
export class LogCipher {
  readonly keyId: number;
  /** Goes into the preambles of the segments that are written with this key. */
  readonly keyCheck: Uint8Array;
  readonly #keys: Readonly<Record<CipherPurpose, Uint8Array>>;
  readonly #counters: Record<CipherPurpose, number> = { frame: 0, preamble: 0, anchor: 0 };
  #destroyed = false;

  /**
   * `incarnation` is 128 random bits, drawn for this opening.
   *
   * @throws RecordError `KEY_MISSING` when the key has not been loaded; `RECORD_ARGUMENT`.
   */
  constructor(ring: KeyRing, place: KeyPlace) {
    requireId(place.logId, "the log id");
    requireId(place.incarnation, "the incarnation");
    const { keyId, incarnation } = place;
    const master = ring.masterKey(keyId);
    const keyFor = (purpose: CipherPurpose) => derive(master, incarnation, purpose, place, KEY_BYTES);
    this.keyId = keyId;
    this.keyCheck = keyCheck(ring, place);
    this.#keys = { frame: keyFor("frame"), preamble: keyFor("preamble"), anchor: keyFor("anchor") };
  }

  /** @internal */
  encrypt(
    purpose: CipherPurpose,
    counter: number,
    authenticated: Uint8Array,
    plain: Uint8Array,
  ): { readonly stored: Uint8Array; readonly tag: Uint8Array } {
    if (this.#destroyed) throw new Error("the cipher has been destroyed");
    if (!(counter > this.#counters[purpose])) {
      throw new Error(
        `the nonce of ${purpose} ${counter} may have been used: ${this.#counters[purpose]} was`,
      );
    }
    this.#counters[purpose] = counter;
    const cipher = createCipheriv(ALGORITHM, this.#keys[purpose], nonceOf(counter), TAG_OPTIONS);
    cipher.setAAD(authenticated, { plaintextLength: plain.length });
    const stored = cipher.update(plain);
    cipher.final();
    return { stored, tag: Uint8Array.from(cipher.getAuthTag()) };
  }

  /** Overwrites the derived keys. */
  destroy(): void {
    this.#destroyed = true;
    for (const key of Object.values(this.#keys)) key.fill(0);
  }
}

/** How many derived keys a reader keeps: those of the openings that it goes through in order, and of some copies. */
const KEPT_KEYS = 32;

/** Decrypts what any opening of a log has written, as far as the ring has the keys. */
export class LogDecipher {
  readonly #ring: KeyRing;
  readonly #derived = new Map<string, Uint8Array>();
  #destroyed = false;

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  /** Is the key in the ring? */
  has(keyId: number): boolean {
    return this.#ring.has(keyId);
  }

  /** @throws RecordError `KEY_MISSING`; `KEY_WRONG` when it isn't the key that made `check`. */
  requireKey(place: Pick<KeyPlace, "logId" | "keyId">, check: Uint8Array): void {
    if (timingSafeEqual(keyCheck(this.#ring, place), check)) return;
    const { keyId } = place;
    throw new RecordError("KEY_WRONG", `key ${keyId} is not the one this log was written with`, { keyId });
  }

  /**
   * @internal
   * @throws RecordError `KEY_MISSING`; `NOT_AUTHENTIC` when any of it isn't what was encrypted.
   */
  decrypt(
    purpose: CipherPurpose,
    place: KeyPlace,
    counter: number,
    authenticated: Uint8Array,
    stored: Uint8Array,
    tag: Uint8Array,
  ): Uint8Array {
    const key = this.#key(purpose, place);
    const decipher = createDecipheriv(ALGORITHM, key, nonceOf(counter), TAG_OPTIONS);
    if (this.#destroyed) key.fill(0);
    decipher.setAuthTag(tag);
    decipher.setAAD(authenticated, { plaintextLength: stored.length });
    const plain = decipher.update(stored);
    try {
      decipher.final();
    } catch {
      plain.fill(0);
      const { keyId } = place;
      throw new RecordError("NOT_AUTHENTIC", `${purpose} ${counter} was not written with key ${keyId}`, {
        keyId,
      });
    }
    return plain;
  }

  /** Overwrites the derived keys; the ring keeps its own. What is decrypted all the same has its key derived once more, and overwritten at once. */
  destroy(): void {
    this.#destroyed = true;
    for (const key of this.#derived.values()) key.fill(0);
    this.#derived.clear();
  }

  #key(purpose: CipherPurpose, place: KeyPlace): Uint8Array {
    const { keyId, logId, incarnation } = place;
    const name = [purpose, keyId, ...logId, ...incarnation].join();
    let key = this.#derived.get(name);
    if (key === undefined) {
      key = derive(this.#ring.masterKey(keyId), incarnation, purpose, place, KEY_BYTES);
      if (this.#destroyed) return key;
      const [oldest] = this.#derived;
      if (this.#derived.size >= KEPT_KEYS && oldest !== undefined) {
        oldest[1].fill(0);
        this.#derived.delete(oldest[0]);
      }
      this.#derived.set(name, key);
    }
    return key;
  }
}
