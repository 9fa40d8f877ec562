import { edit, type Mutant } from "../mutant.js";

const STORE = "writer/segment-store";
const ENDS = "writer/log-ends";
const OPEN = "writer/open";
const ANCHOR = "writer/anchor-file";

/** Segments, directories and the anchor: creation, roll, checkpoint, cut. */
export const segmentMutants: readonly Mutant[] = [
  {
    name: "a preamble's sync is left out",
    edits: [edit(STORE, "offset: 0, durable: true }", "offset: 0 }")],
    campaign: "power cuts",
    within: 15,
  },
  {
    name: "a new segment's name is not made durable: the directory's sync is left out",
    edits: [edit(STORE, "await io.syncDirectory(directory);\n        const file", "const file")],
    campaign: "power cuts",
    within: 15,
  },
  {
    name: "a new segment has its name before its preamble is written",
    edits: [
      edit(
        STORE,
        "const unnamed = await io.open(sparePath,",
        "await io.rename(sparePath, path);\nawait io.syncDirectory(directory);\nconst unnamed = await io.open(path,",
      ),
      edit(
        STORE,
        "await io.rename(sparePath, path);\n        await io.syncDirectory(directory);\n        const file",
        "const file",
      ),
    ],
    campaign: "power cuts at rare steps",
    within: 100,
  },
  {
    name: "the next segment has its name before the last frames of the one before it are durable",
    edits: [
      edit(
        STORE,
        "async #activate(spare, preamble) {",
        "name(spare, preamble) { return this.#activate(spare, preamble, true); }\n    async #activate(spare, preamble, ahead = false) {\nconst named = this.named === preamble.sequence;\nif (ahead) this.named = preamble.sequence;",
      ),
      edit(
        STORE,
        "const unnamed = await io.open(sparePath,",
        "if (!named) {\nconst unnamed = await io.open(sparePath,",
      ),
      edit(
        STORE,
        "await io.syncDirectory(directory);\n        const file",
        "await io.syncDirectory(directory);\n}\nif (ahead) return;\nconst file",
      ),
      edit(
        "writer/group-commit",
        "yield* this.#writeFrames(work);",
        '{\nconst roll = assembler.peek(this.#nextFrames(work).length);\nif (roll?.work === "roll") yield { begin: () => store.name(roll.spare, roll.preamble) };\nyield* this.#writeFrames(work);\n}',
      ),
    ],
    campaign: "power cuts in groups of frames",
    within: 40,
  },
  {
    name: "the path to a new log is not made durable",
    edits: [edit(OPEN, "await syncPath(io, directory);", "")],
    campaign: "power cuts at rare steps",
    within: 15,
  },
  {
    name: "a new anchor's name is not made durable",
    edits: [edit(OPEN, "sequence: 1 }));\n    await io.syncDirectory(directory);", "sequence: 1 }));")],
    campaign: "power cuts at rare steps",
    within: 450,
  },
  {
    name: "the name of an anchor that is made anew is not made durable",
    edits: [edit(OPEN, "}));\n        await io.syncDirectory(directory);", "}));")],
    campaign: "power cuts at rare steps",
    within: 300,
  },
  {
    name: "the anchor's first copy is not synced",
    edits: [edit(ANCHOR, "region: region(0), offset: 0, durable: true", "region: region(0), offset: 0")],
    campaign: "power cuts while the anchor is written",
    within: 40,
  },
  {
    name: "the anchor's second copy is not synced",
    edits: [edit(ANCHOR, "offset: PREAMBLE_COPY_OFFSET, durable: true", "offset: PREAMBLE_COPY_OFFSET")],
    campaign: "power cuts while the anchor is written",
    within: 50,
  },
  {
    name: "both copies of the anchor are written before one is durable",
    edits: [
      edit(ANCHOR, "region: region(0), offset: 0, durable: true", "region: region(0), offset: 0"),
      edit(
        ANCHOR,
        "offset: PREAMBLE_COPY_OFFSET, durable: true },",
        'offset: PREAMBLE_COPY_OFFSET },\n{ kind: "sync", file: this.#file },',
      ),
    ],
    campaign: "power cuts while the anchor is written",
    within: 100,
  },
  {
    name: "a trim point is not recorded before its segments are freed",
    edits: [edit(ENDS, "await this.writeAnchor(lsn);", "")],
    campaign: "power cuts at rare steps",
    within: 15,
  },
  {
    name: "segments are freed before the trim point is durable",
    edits: [edit(ENDS, "await this.writeAnchor(lsn);", "void this.writeAnchor(lsn).catch(() => undefined);")],
    campaign: "power cuts while the anchor is written",
    within: 100,
  },
  {
    name: "what is freed is not made durable: the directory's sync is left out",
    edits: [
      edit(STORE, "await io.syncDirectory(directory);\n        this.#spares.push", "this.#spares.push"),
    ],
    campaign: "power cuts at rare steps",
    within: 15,
  },
  {
    name: "a roll does not reach the anchor: a newest segment that vanishes is not missed",
    edits: [edit("writer/group-commit", "await this.#options.onRoll();", "")],
    campaign: "one damaged place",
    within: 100,
  },
  {
    name: "what a cut removed is freed before the cut is durable",
    edits: [
      edit(
        ENDS,
        "await store.activate(spare, preamble);",
        "await store.free(store.live.filter((segment) => segment.sequence > place.sequence && segment !== store.active));\nawait store.activate(spare, preamble);",
      ),
    ],
    campaign: "power cuts while the log is cut",
    within: 40,
  },
];
