import { isU32 } from "./binary.js";
import { RecordError } from "./errors.js";

/** Bytes of a master key: AES-256. */
export const KEY_BYTES = 32;

/** Fetches a key, from a KMS perhaps. What it answers is copied; wiping its own copy is up to it. */
export type KeyProvider = (keyId: number) => Uint8Array | Promise<Uint8Array>;

export interface KeyRingOptions {
  /** Id of the key that new segments are written with, 1 to 2^32 − 1. */
  readonly current: number;
  /** Keys by id, 32 random bytes each: the current one and those that older segments were written with. Copied. */
  readonly keys?: Readonly<Record<number, Uint8Array>> | ReadonlyMap<number, Uint8Array> | undefined;
  /** Asked for a key the first time that one is needed which isn't in `keys`. */
  readonly provider?: KeyProvider | undefined;
}

/**
 * The master keys of encrypted logs, by id. What is on disk is encrypted with keys derived from these, another for each
 * opening of a log, so one ring may serve any number of logs.
 *
 * A ring never shows a key: not to `util.inspect`, `JSON.stringify`, in an error or an event. Ids are no secret.
 */
export class KeyRing {
  readonly #keys = new Map<number, Uint8Array>();
  readonly #provider: KeyProvider | undefined;
  #current: number;
  #destroyed = false;

  /**
   * @throws RecordError `KEY_ARGUMENT` for options that are none, an id that isn't an integer from 1 to 2^32 − 1, a key that isn't 32 bytes or is all
   * zeros, a current key that is neither given nor to be had from a provider.
   */
  constructor(options: KeyRingOptions) {
    if (typeof options !== "object" || options === null) {
      throw new RecordError("KEY_ARGUMENT", "a key ring takes { current, keys } or { current, provider }");
    }
    const { current, keys = {}, provider } = options;
    requireKeyId(current);
    if (provider !== undefined && typeof provider !== "function") {
      throw new RecordError("KEY_ARGUMENT", "a key provider is a function of a key id");
    }
    if (typeof keys !== "object" || keys === null) {
      throw new RecordError("KEY_ARGUMENT", "keys are an object, or a Map, with keys by id");
    }
    this.#provider = provider;
    const given =
      keys instanceof Map ? keys : Object.entries(keys).map(([id, key]) => [Number(id), key] as const);
    for (const [id, key] of given as Iterable<readonly [number, Uint8Array]>) this.add(id, key);
    if (provider === undefined && !this.#keys.has(current)) {
      throw new RecordError("KEY_ARGUMENT", `the current key ${current} is not in the ring`);
    }
    this.#current = current;
  }

  /** Id of the key that new segments are written with. */
  get current(): number {
    return this.#current;
  }

  /** Ids of the keys that are here, in the order in which they came. */
  get ids(): number[] {
    return [...this.#keys.keys()];
  }

  /** Is the key here? One that the provider has yet to be asked for isn't. */
  has(keyId: number): boolean {
    return this.#keys.has(keyId);
  }

  /**
   * Puts a key into the ring. A key that is there stays as it is: logs have been written with it.
   *
   * @throws RecordError `KEY_ARGUMENT` for a wrong id or key, or another key under an id that is taken.
   */
  add(keyId: number, key: Uint8Array): void {
    this.#requireAlive();
    requireKeyId(keyId);
    requireKey(keyId, key);
    const known = this.#keys.get(keyId);
    if (known === undefined) this.#keys.set(keyId, Uint8Array.from(key));
    else if (!known.every((byte, i) => byte === key[i])) {
      throw new RecordError("KEY_ARGUMENT", `the ring has another key with the id ${keyId}`, { keyId });
    }
  }

  /**
   * From now on new segments are written with this key; a log goes over to it with its next segment, or at
   * `wal.rotateKey()`. Rejects with `KEY_MISSING` where neither ring nor provider has it; then nothing has changed.
   */
  async use(keyId: number): Promise<void> {
    requireKeyId(keyId);
    await this.load([keyId]);
    this.#current = keyId;
  }

  /** Resolves when these keys are here. Rejects with `KEY_MISSING`, which names the id, and has the provider's error as its cause. */
  async load(keyIds: Iterable<number>): Promise<void> {
    for (const keyId of new Set(keyIds)) {
      this.#requireAlive();
      if (this.#keys.has(keyId)) continue;
      if (this.#provider === undefined) throw missing(keyId);
      let key: Uint8Array;
      try {
        key = await this.#provider(keyId);
      } catch (cause) {
        throw new RecordError("KEY_MISSING", `the provider did not give key ${keyId}`, { keyId, cause });
      }
      this.add(keyId, key);
    }
  }

  /** Overwrites the keys. Logs that are open go on with what they have derived; nothing more can be opened with this ring. */
  destroy(): void {
    for (const key of this.#keys.values()) key.fill(0);
    this.#keys.clear();
    this.#destroyed = true;
  }

  /**
   * The key itself, not a copy: to derive from, and not to be kept.
   *
   * @internal
   * @throws RecordError `KEY_MISSING`.
   */
  masterKey(keyId: number): Uint8Array {
    this.#requireAlive();
    const key = this.#keys.get(keyId);
    if (key === undefined) throw missing(keyId);
    return key;
  }

  toJSON(): object {
    return { current: this.#current, ids: this.ids };
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `KeyRing { current: ${this.#current}, ids: [${this.ids.join(", ")}] }`;
  }

  #requireAlive(): void {
    if (this.#destroyed) throw new RecordError("KEY_ARGUMENT", "the key ring has been destroyed");
  }
}

function missing(keyId: number): RecordError {
  return new RecordError("KEY_MISSING", `key ${keyId} is not in the key ring`, { keyId });
}

function requireKeyId(keyId: unknown): void {
  if (!isU32(keyId) || keyId === 0) {
    throw new RecordError(
      "KEY_ARGUMENT",
      `a key id is an integer from 1 to ${0xffffffff}, not ${String(keyId)}`,
    );
  }
}

/** Says nothing about what the bytes are. */
function requireKey(keyId: number, key: unknown): void {
  if (!(key instanceof Uint8Array)) {
    throw new RecordError("KEY_ARGUMENT", `key ${keyId} is not a Uint8Array`, { keyId });
  }
  if (key.length !== KEY_BYTES) {
    throw new RecordError("KEY_ARGUMENT", `key ${keyId} has ${key.length} bytes, not ${KEY_BYTES}`, {
      keyId,
    });
  }
  if (key.every((byte) => byte === 0)) {
    throw new RecordError("KEY_ARGUMENT", `key ${keyId} is all zeros`, { keyId });
  }
}
