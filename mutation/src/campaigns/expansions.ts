import { syncBuiltinESMExports } from "node:module";
import zlib from "node:zlib";

type Expand = (bytes: Uint8Array, options?: { readonly maxOutputLength?: number }) => Buffer;

/** What the log expands with. That of zstd is taken hold of when the module is loaded: who watches from later on doesn't see it. */
const NAMES = ["inflateRawSync", "brotliDecompressSync"] as const;

/**
 * Every expansion of this process, as zlib itself is asked for it: how much it may come to, whatever the code that asks makes of it. What it
 * takes of memory says less: that is a high-water mark, and the garbage of everything else is in it.
 */
export class Expansions {
  /** How much each may come to, in bytes; `Infinity` where nothing was said. */
  readonly bounds: number[] = [];
  readonly #originals = NAMES.map((name) => [name, zlib[name]] as const);

  /** Until `end`. */
  begin(): void {
    for (const [name, original] of this.#originals) {
      const watched: Expand = (bytes, options) => {
        this.bounds.push(options?.maxOutputLength ?? Number.POSITIVE_INFINITY);
        return (original as Expand)(bytes, options);
      };
      Object.assign(zlib, { [name]: watched });
    }
    // Modules that have imported them by name see it too.
    syncBuiltinESMExports();
  }

  end(): void {
    Object.assign(zlib, Object.fromEntries(this.#originals));
    syncBuiltinESMExports();
  }
}
