import { edit, type Mutant } from "../mutant.js";

const GROUP_COMMIT = "writer/group-commit";
const MIRROR = "dwb/mirror";

/** The double-write buffer, and the log's use of it. */
export const doubleWriteMutants: readonly Mutant[] = [
  {
    name: "the double-write buffer's sync is left out behind a single write",
    edits: [edit(MIRROR, "...(runs.length === 1 ? { durable: true } : {}),", "")],
    campaign: "torn pages",
    within: 25,
  },
  {
    name: "the double-write buffer's sync is left out behind several writes",
    edits: [edit(MIRROR, '[...writes, { kind: "sync", file: this.#file }]', "writes")],
    campaign: "torn pages",
    within: 25,
  },
  {
    name: "several slots are written, and only the last of them durably",
    edits: [
      edit(
        MIRROR,
        "const writes = runs.map(({ start, end }) =>",
        "const writes = runs.map(({ start, end }, index) =>",
      ),
      edit(MIRROR, "runs.length === 1 ? { durable: true }", "index === runs.length - 1 ? { durable: true }"),
      edit(MIRROR, '[...writes, { kind: "sync", file: this.#file }]', "writes"),
    ],
    campaign: "torn pages",
    within: 25,
  },
  {
    name: "frames are written home before their copies: DWB and log steps are swapped",
    edits: [
      edit(
        GROUP_COMMIT,
        "yield this.#chain([...staged.steps, ...steps]);",
        "yield this.#chain([...steps, ...staged.steps]);",
      ),
    ],
    campaign: "copies of frames",
    within: 150,
  },
  {
    name: "frames are written home without waiting for their copies' sync",
    edits: [
      edit(
        GROUP_COMMIT,
        "yield this.#chain([...staged.steps, ...steps]);",
        "yield { begin: () => Promise.all([io.submit(staged.steps), io.submit(steps)]) };",
      ),
    ],
    campaign: "copies of frames",
    within: 150,
  },
  {
    name: "a slot is free before its page is home",
    edits: [edit("dwb/ring", "if (!entry.durable || !entry.released)", "if (!entry.durable)")],
    campaign: "torn pages",
    within: 100,
  },
  {
    name: "a slot is free although an older one is held",
    edits: [
      edit(
        "dwb/ring",
        "if (!entry.durable || !entry.released)\n                break;\n            this.#oldest = entry.ringSequence + entry.slots;\n            count++;",
        "this.#oldest = entry.ringSequence + entry.slots;\n            if (entry.durable && entry.released) count++;",
      ),
    ],
    campaign: "torn pages",
    within: 15,
  },
  {
    name: "a slot counts although the ring has gone past it",
    edits: [
      edit("dwb/images", "if (slot.ringSequence + geometry.slots <= newest)\n            continue;", ""),
    ],
    campaign: "a void that the ring overtakes",
    within: 15,
  },
  {
    name: "ring sequence numbers begin anew at every opening",
    edits: [edit("dwb/resume", "return last + 1 +", "return 1 + 0 *")],
    campaign: "torn pages",
    within: 25,
  },
  {
    name: "a void is overlooked",
    edits: [edit("dwb/images", "voided.set(slot.key, slot.ringSequence);", ";")],
    campaign: "torn pages",
    within: 40,
  },
  {
    name: "an image counts by its first slot alone",
    edits: [edit("dwb/images", "part < first.parts", "part < 1")],
    campaign: "torn pages",
    within: 15,
  },
  {
    name: "a slot's checksum is not checked",
    edits: [
      edit(
        "dwb/layout",
        "checksumOf(checksum, bytes, SLOT_HEADER_BYTES + stored))",
        "view.getUint32(CHECKSUM_AT, true))",
      ),
    ],
    campaign: "torn pages",
    within: 15,
  },
  {
    name: "a new double-write buffer's name is not made durable",
    edits: [edit("dwb/create", "await io.syncDirectory(dirname(path));", "")],
    campaign: "torn pages",
    within: 15,
  },
  {
    name: "a new double-write buffer is built under its own name",
    edits: [
      edit("dwb/create", "path}.new`;", "path}`;"),
      edit("dwb/create", "await io.rename(unfinished, path);", ""),
    ],
    campaign: "torn pages",
    within: 100,
  },
  {
    name: "the double-write buffer is read without being synced",
    edits: [edit("dwb/device", "await cached.sync();", ";")],
    campaign: "torn pages",
    within: 50,
  },
  {
    name: "the double-write buffer is read from the page cache",
    edits: [
      edit("dwb/device", "await cached.dropCache();", ""),
      edit(
        "dwb/device",
        'return await io.open(path, { access: "read", direct: true });',
        'return await io.open(path, { access: "read" });',
      ),
    ],
    campaign: "torn pages",
    within: 100,
  },
  {
    name: "a copy is taken although its chain does not fit",
    edits: [
      edit(
        "recovery/dwb-copies",
        "if (header === undefined || unexpected(header, position) !== undefined)",
        "if (header === undefined || unexpected(header, { ...position, chain: header.chain }) !== undefined)",
      ),
      edit("recovery/segment-scan", "scanner.resume();", "scanner.resume(copy.header.chain);"),
      edit(
        "recovery/frame-scan",
        "resume() {",
        "resume(chain = this.#position.chain) {\n        this.#position = { ...this.#position, chain };",
      ),
    ],
    campaign: "copies of frames",
    within: 15,
  },
  {
    name: "the double-write buffer does not bear witness of what the log is missing",
    edits: [edit("recovery/classify", "const dwb = end.dwb === undefined ? []", "const dwb = true ? []")],
    campaign: "copies of frames",
    within: 100,
  },
  {
    name: "copies are not asked for",
    edits: [
      edit(
        "recovery/segment-scan",
        'if (dwb === undefined || stop.kind === "full"',
        'if (true || stop.kind === "full"',
      ),
    ],
    campaign: "copies of frames",
    within: 15,
  },
  {
    name: "a copy does not say what was durable when it was made",
    edits: [
      edit(
        "writer/protection",
        "version: frame.checksum,\n            watermark,",
        "version: frame.checksum,",
      ),
    ],
    campaign: "folios torn by the kernel",
    within: 5,
  },
  {
    name: "what a copy says was durable when it was made is not believed",
    edits: [edit("recovery/dwb-copies", "Math.min(Number(image.watermark), header.frameNumber)", "0")],
    campaign: "folios torn by the kernel",
    within: 5,
  },
  {
    name: "slots of the double-write buffer share a folio",
    edits: [edit("dwb/open", "slotAlignment = FOLIO_BYTES", "slotAlignment = blockBytes")],
    campaign: "folios torn by the kernel",
    within: 10,
  },
];
