import { edit, type Mutant } from "../mutant.js";

const CIPHER = "record/log-cipher";
const SECRETS = { campaign: "secrets", within: 8 } as const;
const ATTACKS = { campaign: "an attacker with the disk", within: 22 } as const;
const REFUSALS = { campaign: "wrong keys and older copies", within: 6 } as const;
const NONCE_GUARD = edit(CIPHER, "if (!(counter > this.#counters[purpose]))", "if (false)");

/** What derived keys and nonces rest on, and that nothing else than ciphertext is written. */
const secretMutants: readonly Mutant[] = [
  {
    name: "the salt is the same at every opening: derived keys repeat",
    edits: [
      edit(
        "writer/open",
        "const incarnation = io.random(16);",
        "const incarnation = new Uint8Array(16).fill(7);",
      ),
    ],
    ...SECRETS,
  },
  {
    name: "the salt is left out of the derivation: derived keys repeat",
    edits: [
      edit(
        CIPHER,
        'hkdfSync("sha256", master, salt, info, bytes)',
        'hkdfSync("sha256", master, new Uint8Array(16), info, bytes)',
      ),
    ],
    ...SECRETS,
  },
  {
    name: "the nonce does not count",
    edits: [edit(CIPHER, "viewOf(nonce).setBigUint64(0, BigInt(counter), true);", "")],
    ...SECRETS,
  },
  {
    name: "the nonce is rewound: it starts over every eight frames",
    edits: [edit(CIPHER, "BigInt(counter)", "BigInt(counter % 8)")],
    wholeGateOnly: true,
    ...SECRETS,
  },
  {
    name: "the nonce is an LSN, which an empty frame shares with the next one, and the cipher does not look",
    edits: [
      NONCE_GUARD,
      edit(
        "record/frame-builder",
        'cipher.encrypt("frame", fields.frameNumber,',
        'cipher.encrypt("frame", fields.firstLsn,',
      ),
      edit(
        "record/frame-unpacker",
        'decrypt("frame", place, frameNumber,',
        'decrypt("frame", place, header.firstLsn,',
      ),
    ],
    wholeGateOnly: true,
    ...SECRETS,
  },
  {
    name: "frames, preambles and anchors share a derived key",
    edits: [edit(CIPHER, "purpose}\\0`", '"all"}\\0`')],
    ...SECRETS,
  },
  {
    name: "records are written in the clear, with the tag of their ciphertext",
    edits: [
      edit(
        "record/frame-builder",
        "bytes.set(body, restStart + clear.length);",
        "bytes.set(stored, restStart + clear.length);",
      ),
    ],
    ...SECRETS,
  },
  {
    name: "what compression leaves over of the records is not wiped",
    edits: [
      edit("record/frame-builder", "bytes.fill(0, bodyEnd, Math.max(start + paddedLength, plainEnd));", ""),
    ],
    ...SECRETS,
  },
  {
    name: "nothing but the first segment is encrypted, and nothing refuses to write in the clear",
    edits: [
      edit(
        "writer/frame-assembler",
        "plan.packing = this.#options.packing.framesWith(keyId);",
        "plan.packing = undefined;",
      ),
      edit("writer/frame-assembler", "if ((packing?.cipher?.keyId ?? 0) === keyId)", "if (true)"),
    ],
    ...SECRETS,
  },
  {
    name: "a change of the key is forgotten: frames go on with the old one",
    edits: [edit("writer/log-ends", "if (assembler.keyIsOld) {", "if (false) {")],
    ...SECRETS,
  },
  {
    name: "a change of the key is over before its segment is begun",
    edits: [edit("writer/log-ends", "if (assembler.keyIsOld) {", "if (!assembler.keyIsOld) return; {")],
    wholeGateOnly: true,
    ...SECRETS,
  },
  {
    name: "an opening with another key goes on with that of the last segment",
    edits: [
      edit("writer/wal", "if (this.#assembler.keyIsOld)", "if (false)"),
      edit(
        "writer/frame-assembler",
        "packing: keyId === options.packing.keyId ? options.packing.framesWith(keyId) : undefined,",
        "packing: options.packing.framesWith(keyId),",
      ),
    ],
    ...SECRETS,
  },
  {
    name: "a segment with a new key has frames with the old one, and nothing refuses to write them",
    edits: [
      edit(
        "writer/frame-assembler",
        "plan.packing = this.#options.packing.framesWith(keyId);",
        "plan.packing ??= this.#options.packing.framesWith(keyId);",
      ),
      edit("writer/frame-assembler", "if ((packing?.cipher?.keyId ?? 0) === keyId)", "if (true)"),
    ],
    wholeGateOnly: true,
    ...SECRETS,
  },
];

/** What is authenticated, and what is made of it. */
const authenticityMutants: readonly Mutant[] = [
  {
    name: "tags are not verified",
    edits: [edit(CIPHER, "decipher.final();", "")],
    ...ATTACKS,
  },
  {
    name: "a frame that is not authentic is taken for the end of the log",
    edits: [edit("recovery/frame-scan", "this.#stop = unsound ?? {", "this.#stop = {")],
    ...ATTACKS,
  },
  {
    name: "a frame's header is not authenticated",
    edits: [
      edit(
        "record/packed-body",
        "for (const [from, to] of NOT_AUTHENTICATED)\n        authenticated.fill(0, from, to);",
        "authenticated.fill(0, 0, FRAME_HEADER_BYTES);",
      ),
    ],
    ...ATTACKS,
  },
  {
    name: "routing fields and open frames' bodies are not authenticated",
    edits: [
      edit("record/frame-builder", "authenticated.set(clear, FRAME_HEADER_BYTES);", ""),
      edit(
        "record/frame-unpacker",
        "const authenticated = authenticatedBytes(bytes, at, clearBytes);",
        "const authenticated = authenticatedBytes(bytes, at, clearBytes).fill(0, FRAME_HEADER_BYTES);",
      ),
    ],
    wholeGateOnly: true,
    ...ATTACKS,
  },
  {
    name: "the previous tag is left out of what a frame's tag covers",
    edits: [edit("record/packed-body", "[144, 160],", "[144, 176],")],
    ...ATTACKS,
  },
  {
    name: "a frame's previous tag is not compared with the tag before it",
    edits: [
      edit(
        "recovery/frame-scan",
        "if (keyId === 0 || sameBytes(packed.previousTag, position.tag))",
        "if (true)",
      ),
    ],
    ...ATTACKS,
  },
  {
    name: "a segment's previous tag is not compared with the end of the one before it",
    edits: [
      edit(
        "recovery/examine",
        "if (next.encryption === undefined || sameBytes(next.encryption.previousTag, position.tag))",
        "if (true)",
      ),
    ],
    wholeGateOnly: true,
    ...ATTACKS,
  },
  {
    name: "a frame in the clear is taken in an encrypted segment",
    edits: [
      edit(
        "recovery/frame-scan",
        "if ((packed?.keyId ?? 0) !== keyId) {",
        "if (packed === undefined) return undefined;\n    if (packed.keyId !== keyId) {",
      ),
    ],
    ...ATTACKS,
  },
  {
    name: "a segment in the clear is taken behind an encrypted one",
    edits: [
      edit(
        "recovery/authenticate",
        "if (before?.encryption !== undefined && preamble.encryption === undefined) {",
        "if (false) {",
      ),
    ],
    wholeGateOnly: true,
    ...ATTACKS,
  },
  {
    name: "preambles are not authenticated",
    edits: [
      edit(
        "recovery/segment-keys",
        'authentic(file, "its preamble", () => authenticatePreamble(preamble, this.#decipher));',
        "",
      ),
    ],
    ...ATTACKS,
  },
  {
    name: "a segment that is not authentic is taken for the end of the log",
    edits: [
      edit("recovery/authenticate", "problems: [...walk.problems, ...problems]", "problems: walk.problems"),
    ],
    wholeGateOnly: true,
    ...ATTACKS,
  },
  {
    name: "the anchor is not authenticated",
    edits: [
      edit(
        "recovery/segment-keys",
        'authentic(file, "it", () => authenticateAnchor(anchor, this.#decipher));',
        "",
      ),
    ],
    ...ATTACKS,
  },
  {
    name: "an anchor without a tag is taken in an encrypted log",
    edits: [
      edit(
        "recovery/authenticate",
        "if (first === undefined || anchor.sequence < first.file.sequence)",
        "if (true)",
      ),
    ],
    wholeGateOnly: true,
    ...ATTACKS,
  },
  {
    name: "a copy that is not authentic stands in for a frame",
    edits: [
      edit(
        "recovery/dwb-copies",
        'if (unpacker !== undefined && "code" in unpackFrame("a copy", unpacker, bytes, 0, header))',
        "if (false)",
      ),
    ],
    ...ATTACKS,
  },
];

/** Calls that have to be refused. */
const refusalMutants: readonly Mutant[] = [
  {
    name: "an encrypted log is opened without keys",
    edits: [edit("recovery/segment-keys", "if (!this.#structureOnly)", "if (false)")],
    ...REFUSALS,
  },
  {
    name: "an encrypted log is opened although a key is missing",
    edits: [edit("recovery/segment-keys", 'if (this.encryption.missingKeys !== "allow")', "if (false)")],
    ...REFUSALS,
  },
  {
    name: "a missing key is taken for damage",
    edits: [
      edit(
        "recovery/authenticate",
        'if (!(error instanceof RecoveryError && error.code === "WAL_TAMPERED"))\n            throw error;\n        return { code: error.code,',
        'return { code: "WAL_CORRUPT",',
      ),
    ],
    wholeGateOnly: true,
    ...REFUSALS,
  },
  {
    name: "segments that take a missing key are dropped, as if the log ended before them",
    edits: [
      edit(
        "recovery/authenticate",
        "await judged(keys.unpackerFor(file.path, preamble));",
        "await judged(keys.unpackerFor(file.path, preamble)).catch((error) => i > 0 ? { code: error.code } : Promise.reject(error));",
      ),
      edit("recovery/authenticate", "problems: [...walk.problems, ...problems]", "problems: walk.problems"),
    ],
    wholeGateOnly: true,
    ...REFUSALS,
  },
  {
    name: "a wrong key is taken for tampering",
    edits: [edit("record/preamble", "decipher.requireKey(place, keyCheck);", "")],
    ...REFUSALS,
  },
  {
    name: "a log in the clear is taken although keys are given",
    edits: [
      edit(
        "recovery/authenticate",
        'if (encryption === undefined || encryption.unencrypted === "accept")',
        "if (true)",
      ),
    ],
    ...REFUSALS,
  },
  {
    name: "atLeast is not checked",
    edits: [edit("recovery/examine", "if (options.atLeast !== undefined) {", "if (false) {")],
    ...REFUSALS,
  },
  {
    name: "the tag of atLeast is not checked",
    edits: [edit("recovery/examine", "(heldTag !== undefined && sameBytes(heldTag, tag))", "true")],
    ...REFUSALS,
  },
  {
    name: "nothing is said where there is no log and atLeast says that there was one",
    edits: [edit("recovery/examine", "if (found !== undefined || atLeast === undefined)", "if (true)")],
    wholeGateOnly: true,
    ...REFUSALS,
  },
];

export const encryptionMutants: readonly Mutant[] = [
  ...secretMutants,
  ...authenticityMutants,
  ...refusalMutants,
];
