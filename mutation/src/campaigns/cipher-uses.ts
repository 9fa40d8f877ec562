import crypto, { type CipherGCM, type createCipheriv } from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Every encryption of this process, as the cipher itself is asked for it: with which key and which nonce, whatever the code that asks believes
 * them to be. All that simulated processes write is encrypted here, so what one log, its restored copies and its later openings use is seen
 * together.
 */
export class CipherUses {
  /** Pairs of key and nonce that something was encrypted with before. */
  readonly reused: string[] = [];
  readonly #pairs = new Set<string>();
  readonly #tags = new Set<string>();
  readonly #original = crypto.createCipheriv;

  /** Until `end`. */
  begin(): void {
    const watched = (algorithm: string, key: Uint8Array, nonce: Uint8Array, options: object) => {
      const pair = `${hex(key)} ${hex(nonce)}`;
      if (this.#pairs.has(pair)) this.reused.push(`nonce ${hex(nonce)}`);
      this.#pairs.add(pair);
      const cipher = (this.#original as (...args: unknown[]) => CipherGCM)(algorithm, key, nonce, options);
      const getAuthTag = cipher.getAuthTag.bind(cipher);
      cipher.getAuthTag = () => {
        const tag = getAuthTag();
        this.#tags.add(hex(tag));
        return tag;
      };
      return cipher;
    };
    crypto.createCipheriv = watched as unknown as typeof createCipheriv;
    // Modules that have imported it by name see it too.
    syncBuiltinESMExports();
  }

  end(): void {
    crypto.createCipheriv = this.#original;
    syncBuiltinESMExports();
  }

  get count(): number {
    return this.#pairs.size;
  }

  /** Whether it was seen how this tag was made: what reaches the disk with any other has been encrypted behind our back. */
  hasMade(tag: Uint8Array): boolean {
    return this.#tags.has(hex(tag));
  }
}
