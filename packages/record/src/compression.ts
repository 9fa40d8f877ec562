import * as zlib from "node:zlib";
import { RecordError } from "./errors.js";

/** What a frame's records may be compressed with. `zstd` needs a Node.js that has it: 22.15 or later. */
export type CompressionAlgorithm = "deflate-raw" | "brotli" | "zstd";

/** How a writer compresses. */
export interface Compression {
  readonly algorithm: CompressionAlgorithm;
  /** deflate-raw 1 to 9 (default 1), brotli 0 to 11 (default 4), zstd 1 to 19 (default 3). */
  readonly level?: number | undefined;
}

interface Codec {
  readonly levels: readonly [lowest: number, highest: number, fallback: number];
  compress(bytes: Uint8Array, level: number): Uint8Array;
  /** Never makes more than `limit` bytes of them, whatever they are. */
  expand(bytes: Uint8Array, limit: number): Uint8Array;
}

type Zstd = (bytes: Uint8Array, options: object) => Uint8Array;

function zstdCodec(): Codec | undefined {
  // Not in the types of the oldest Node.js that is supported, because it isn't there.
  const found = zlib as unknown as { zstdCompressSync?: Zstd; zstdDecompressSync?: Zstd };
  const { zstdCompressSync: compress, zstdDecompressSync: expand } = found;
  const { ZSTD_c_compressionLevel: levelOf } = zlib.constants as Record<string, number>;
  if (compress === undefined || expand === undefined || levelOf === undefined) return undefined;
  return {
    levels: [1, 19, 3],
    compress: (bytes, level) => compress(bytes, { params: { [levelOf]: level } }),
    expand: (bytes, limit) => expand(bytes, { maxOutputLength: limit }),
  };
}

const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT } = zlib.constants;

/** By their number on disk. */
const ALGORITHMS: readonly (CompressionAlgorithm | undefined)[] = [
  undefined,
  "deflate-raw",
  "brotli",
  "zstd",
];

const CODECS: Readonly<Record<CompressionAlgorithm, Codec | undefined>> = {
  "deflate-raw": {
    levels: [1, 9, 1],
    compress: (bytes, level) => zlib.deflateRawSync(bytes, { level }),
    expand: (bytes, limit) => zlib.inflateRawSync(bytes, { maxOutputLength: limit }),
  },
  brotli: {
    levels: [0, 11, 4],
    compress: (bytes, level) =>
      zlib.brotliCompressSync(bytes, {
        params: { [BROTLI_PARAM_QUALITY]: level, [BROTLI_PARAM_SIZE_HINT]: bytes.length },
      }),
    expand: (bytes, limit) => zlib.brotliDecompressSync(bytes, { maxOutputLength: limit }),
  },
  zstd: zstdCodec(),
};

/** The algorithms that this Node.js has. */
export const COMPRESSION_ALGORITHMS: readonly CompressionAlgorithm[] = ALGORITHMS.filter(
  (algorithm) => algorithm !== undefined && CODECS[algorithm] !== undefined,
) as CompressionAlgorithm[];

/** Its number on disk; 0: none. */
export function compressionNumber(algorithm: CompressionAlgorithm | undefined): number {
  return ALGORITHMS.indexOf(algorithm);
}

/**
 * What a number on disk stands for, 0 being none.
 *
 * @throws RecordError `UNSUPPORTED_FORMAT` for one that this version doesn't know.
 */
export function compressionAlgorithm(number: number): CompressionAlgorithm | undefined {
  if (number >= ALGORITHMS.length) {
    throw new RecordError("UNSUPPORTED_FORMAT", `compression ${number} is unknown to this version`);
  }
  return ALGORITHMS[number];
}

/**
 * Checks what a caller asked for and fills in the level.
 *
 * @throws RecordError `RECORD_ARGUMENT` for an unknown algorithm or a level it doesn't have; `UNSUPPORTED_FORMAT` for an
 * algorithm that this Node.js lacks.
 */
export function checkCompression(compression: Compression): Required<Compression> {
  const { algorithm, level } = compression;
  if (algorithm === undefined || !ALGORITHMS.includes(algorithm)) {
    throw new RecordError(
      "RECORD_ARGUMENT",
      `compression is one of ${ALGORITHMS.slice(1).join(", ")}, not ${String(algorithm)}`,
    );
  }
  const [lowest, highest, fallback] = codec(algorithm).levels;
  const given = level ?? fallback;
  if (!Number.isInteger(given) || given < lowest || given > highest) {
    throw new RecordError(
      "RECORD_ARGUMENT",
      `the level of ${algorithm} is an integer from ${lowest} to ${highest}, not ${String(given)}`,
    );
  }
  return { algorithm, level: given };
}

export function compress(bytes: Uint8Array, { algorithm, level }: Required<Compression>): Uint8Array {
  return codec(algorithm).compress(bytes, level as number);
}

/**
 * The `length` bytes that were compressed; nothing is allocated for more than that, whatever the bytes are.
 *
 * @throws RecordError `RECORD_MALFORMED` when they don't expand to exactly that many; `UNSUPPORTED_FORMAT` for an
 * algorithm that this Node.js lacks.
 */
export function expand(bytes: Uint8Array, algorithm: CompressionAlgorithm, length: number): Uint8Array {
  const { expand } = codec(algorithm);
  let expanded: Uint8Array;
  try {
    expanded = expand(bytes, length);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new RecordError("RECORD_MALFORMED", `compressed records can't be expanded (${algorithm}: ${code})`);
  }
  if (expanded.length !== length) {
    throw new RecordError(
      "RECORD_MALFORMED",
      `compressed records expand to ${expanded.length} bytes, not ${length}`,
    );
  }
  return expanded;
}

function codec(algorithm: CompressionAlgorithm): Codec {
  const found = CODECS[algorithm];
  if (found === undefined) {
    throw new RecordError("UNSUPPORTED_FORMAT", `this version of Node.js has no ${algorithm} (22.15 has)`);
  }
  return found;
}
