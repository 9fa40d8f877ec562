import { edit, type Mutant } from "../mutant.js";

/** Checksums, each of which covers bytes that no other does. */
export const checksumMutants: readonly Mutant[] = [
  {
    name: "the checksum of a frame's header is not checked",
    edits: [
      edit(
        "record/frame-header",
        "if (crc32c(bytes, at + 12, at + FRAME_HEADER_BYTES) !== headerChecksum)",
        "if (false)",
      ),
    ],
    campaign: "one damaged place",
    within: 200,
  },
  {
    name: "the checksum of a frame's body is not checked",
    edits: [
      edit(
        "record/frame-verifier",
        "let right = crc32cWords(sums, first, count) === header.bodyChecksum;",
        "let right = true;",
      ),
    ],
    campaign: "one damaged place",
    within: 150,
  },
  {
    name: "the checksum of a record is not checked",
    edits: [
      edit("record/frame-verifier", "right = view.getUint32(ranges[2 * i] - 4, true) === sums[i];", ""),
    ],
    campaign: "one damaged place",
    within: 550,
  },
  {
    name: "neither the checksum of a frame's body nor those of its records are checked",
    edits: [
      edit(
        "record/frame-verifier",
        "let right = crc32cWords(sums, first, count) === header.bodyChecksum;",
        "let right = true;",
      ),
      edit("record/frame-verifier", "right = view.getUint32(ranges[2 * i] - 4, true) === sums[i];", ""),
    ],
    campaign: "one damaged place",
    within: 100,
  },
  {
    name: "the checksum of a preamble is not checked",
    edits: [
      edit(
        "record/preamble",
        "if (view.getUint32(at + 8, true) !== crc32c(bytes, at + 12, end))",
        "if (false)",
      ),
    ],
    campaign: "one damaged place",
    within: 40,
  },
  {
    name: "the checksum of the anchor is not checked",
    edits: [
      edit(
        "record/anchor",
        "if (view.getUint32(at + 8, true) !== crc32c(bytes, at + 12, end))",
        "if (false)",
      ),
    ],
    campaign: "one damaged place",
    within: 15,
  },
];
