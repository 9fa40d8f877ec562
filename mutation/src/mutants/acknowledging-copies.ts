import { edit, type Mutant } from "../mutant.js";

const GROUP_COMMIT = "writer/group-commit";
const HOME = "writer/home-writes";

/** `ack: 'dwb'`: what is acknowledged by its copy, and brought home later. */
export const acknowledgingCopyMutants: readonly Mutant[] = [
  {
    name: "a commit is acknowledged before the sync of its copy",
    edits: [
      edit(
        GROUP_COMMIT,
        "yield this.#chain(staged.steps);",
        "this.#waiters.resolveThrough(queued[staged.frames - 1].lastLsn);\nyield this.#chain(staged.steps);",
      ),
    ],
    campaign: "commits acknowledged by their copies",
    within: 15,
  },
  {
    name: "a slot is free before the log's sync of what it has acknowledged",
    edits: [
      edit(
        HOME,
        "flight.submitted = this.#options.io.submit(this.#stepsOf(batch));",
        "this.#options.protection.release(batch.copies);\nflight.submitted = this.#options.io.submit(this.#stepsOf(batch));",
      ),
    ],
    campaign: "commits acknowledged by their copies",
    within: 150,
  },
  {
    name: "the log's sync is left out when what is acknowledged comes home in one write",
    edits: [
      edit(HOME, "const durable = writes.length === 1;", "const durable = false;"),
      edit(
        HOME,
        'return durable ? steps : [...steps, { kind: "sync", file }];',
        'return writes.length === 1 ? steps : [...steps, { kind: "sync", file }];',
      ),
    ],
    campaign: "commits acknowledged by their copies",
    within: 40,
  },
  {
    name: "the log's sync is left out when what is acknowledged comes home in several writes",
    edits: [edit(HOME, 'return durable ? steps : [...steps, { kind: "sync", file }];', "return steps;")],
    campaign: "commits acknowledged by their copies",
    within: 15,
  },
  {
    name: "what is acknowledged is not put back from its copy: the repair is skipped",
    edits: [
      edit(
        "recovery/segment-scan",
        'if (dwb === undefined || stop.kind === "full"',
        'if (true || stop.kind === "full"',
      ),
    ],
    campaign: "commits acknowledged by their copies",
    within: 25,
  },
  {
    name: "what is acknowledged is put back in memory only",
    edits: [
      edit(
        "recovery/repair",
        "for (const [path, writes] of homeWrites(found))\n        await writeDurably(found.access, path, writes);",
        "",
      ),
    ],
    campaign: "commits acknowledged by their copies",
    within: 15,
  },
  {
    name: "a segment is begun before what its preamble proves has come home",
    edits: [
      edit(
        GROUP_COMMIT,
        "yield this.#allHome;\n            this.#acknowledger = undefined;",
        "this.#acknowledger = undefined;",
      ),
    ],
    campaign: "commits acknowledged by their copies",
    within: 100,
  },
  {
    name: "nobody misses the double-write buffer that has acknowledged commits",
    edits: [edit("recovery/classify", "const problem = missingBuffer(end) ??", "const problem =")],
    campaign: "one damaged place",
    within: 25,
  },
  {
    name: "the copies of what is at home are given away while its neighbours are written",
    edits: [edit(HOME, "file.direct ? [] : all.filter", "true ? [] : all.filter")],
    campaign: "folios torn by the kernel",
    within: 30,
    // Takes a quarter of a minute, half of it to see the log as it is pass.
    wholeGateOnly: true,
  },
  {
    name: "copies go on being written while frames are brought home beside those of an earlier process",
    edits: [
      edit(
        HOME,
        "return file === this.#shared.file && offset",
        "return false && file === this.#shared.file && offset",
      ),
    ],
    campaign: "folios torn by the kernel",
    within: 20,
  },
];
