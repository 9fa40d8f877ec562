import { edit, type Mutant } from "../mutant.js";

const GROUP_COMMIT = "writer/group-commit";
const ASSEMBLER = "writer/frame-assembler";
const SUBMIT = "yield this.#chain([...staged.steps, ...steps]);";
const LAST = "queued[staged.frames - 1]";

/** The path of a commit: sync, acknowledgement, watermark, failure. */
export const commitMutants: readonly Mutant[] = [
  {
    name: "the log's sync is left out behind a single frame",
    edits: [edit(GROUP_COMMIT, "durable: frames.length === 1,", "durable: false,")],
    campaign: "power cuts",
    within: 15,
  },
  {
    name: "the log's sync is left out behind several frames",
    edits: [edit(GROUP_COMMIT, 'steps.push({ kind: "sync", file });', ";")],
    campaign: "power cuts",
    within: 15,
  },
  {
    name: "several writes are followed by a sync of the last alone",
    edits: [
      edit(GROUP_COMMIT, "durable: frames.length === 1,", "durable: frame === frames[frames.length - 1],"),
      edit(GROUP_COMMIT, 'steps.push({ kind: "sync", file });', ";"),
    ],
    campaign: "power cuts",
    within: 15,
  },
  {
    name: "a commit is acknowledged before its sync",
    edits: [edit(GROUP_COMMIT, SUBMIT, `this.#waiters.resolveThrough(${LAST}.lastLsn);\n${SUBMIT}`)],
    campaign: "power cuts",
    within: 15,
  },
  {
    name: "the watermark is too high: it covers every frame before the one that states it",
    edits: [edit(ASSEMBLER, "watermark: watermark(),", "watermark: plan.frameNumber,")],
    campaign: "power cuts in groups of frames",
    within: 15,
  },
  {
    name: "the watermark of the anchor is not contiguous: it covers what is in flight",
    edits: [
      edit(
        GROUP_COMMIT,
        SUBMIT,
        `this.#watermark = ${LAST}.frameNumber + 1; this.inFlightLsn = ${LAST}.lastLsn;\n${SUBMIT}`,
      ),
      edit("writer/log-ends", "watermark: home.point.watermark,", "watermark: commits.watermark,"),
      edit(
        "writer/log-ends",
        "durableLsn: home.point.lsn,",
        "durableLsn: commits.inFlightLsn ?? home.point.lsn,",
      ),
    ],
    campaign: "power cuts while the anchor is written",
    within: 15,
  },
  {
    name: "the watermark is an LSN",
    edits: [
      edit(
        "writer/wal",
        "watermark: () => this.#commits.watermark,",
        "watermark: () => this.#commits.durableLsn + 1,",
      ),
      edit("record/frame-builder", "if (fields.watermark > fields.frameNumber) {", "if (false) {"),
      edit("record/frame-header", "header.watermark <= header.frameNumber &&", ""),
      edit(
        "recovery/classify",
        "header.frameNumber > missing && header.watermark > missing",
        "header.frameNumber > missing && header.watermark > end.position.nextLsn",
      ),
    ],
    campaign: "one damaged place",
    within: 40,
  },
  {
    name: "close frames are written together with the last commits, and cover them",
    edits: [
      edit(
        "writer/wal",
        "await this.#commits.drain();\n        await this.#witnesses.close();",
        "await this.#witnesses.close();",
      ),
      edit(
        ASSEMBLER,
        "watermark: watermark(),",
        'watermark: kind === "close" ? plan.frameNumber : watermark(),',
      ),
    ],
    campaign: "power cuts in groups of frames",
    within: 25,
  },
  {
    name: "a batch that can't be copied leaves its first records in the frame, without LSNs",
    edits: [
      edit("record/frame-builder", "this.#end = end;\n            this.#recordCount = recordCount;", ""),
    ],
    campaign: "processes end",
    within: 15,
  },
];
