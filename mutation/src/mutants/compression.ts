import { edit, type Mutant } from "../mutant.js";

const COMPRESSION = "record/compression";
const ATTACKS = { campaign: "an attacker with the disk", within: 22 } as const;

/** What a compressed frame may come to. */
export const compressionMutants: readonly Mutant[] = [
  {
    name: "a frame is compressed though that makes it larger",
    edits: [
      edit(
        "record/frame-builder",
        "return blocks(compressed.length) < blocks(plain.length) ? compressed : undefined;",
        "return compressed;",
      ),
    ],
    campaign: "secrets",
    within: 8,
  },
  {
    name: "what deflate expands to is not bounded",
    edits: [
      edit(
        COMPRESSION,
        "zlib.inflateRawSync(bytes, { maxOutputLength: limit })",
        "zlib.inflateRawSync(bytes)",
      ),
    ],
    ...ATTACKS,
  },
  {
    name: "what brotli expands to is not bounded",
    edits: [
      edit(
        COMPRESSION,
        "zlib.brotliDecompressSync(bytes, { maxOutputLength: limit })",
        "zlib.brotliDecompressSync(bytes)",
      ),
    ],
    wholeGateOnly: true,
    ...ATTACKS,
  },
  {
    name: "a frame may expand to less than it states",
    edits: [edit(COMPRESSION, "if (expanded.length !== length) {", "if (false) {")],
    ...ATTACKS,
  },
  {
    name: "a frame that is compressed by what nobody knows is taken for one that isn't",
    edits: [edit(COMPRESSION, "if (number >= ALGORITHMS.length) {", "if (false) {")],
    wholeGateOnly: true,
    ...ATTACKS,
  },
];
