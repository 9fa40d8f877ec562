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
    name: "frames of an earlier process get no copies beside what is written in their folio",
    edits: [edit(HOME, "protection.stageAtHome(adopted.frames, next)", "[]")],
    campaign: "folios torn by the kernel",
    within: 10,
  },
  {
    name: "frames of an earlier process get their copies behind what is written into their folio",
    edits: [
      edit(
        "writer/group-commit",
        "home.stageAdopted(first);",
        "home.stageAdopted(first); const late = protection.stage([], store.activeFile, 0);",
      ),
      edit(
        "writer/group-commit",
        "yield this.#chain([...staged.steps, ...steps]);",
        "yield this.#chain([...staged.steps, ...steps, ...late.steps]); late.settled();",
      ),
    ],
    campaign: "folios torn by the kernel",
    within: 40,
    wholeGateOnly: true,
  },
  {
    name: "copies of an earlier process's frames are given away at once",
    edits: [
      edit(
        HOME,
        "this.#neighbours = protection.stageAtHome(adopted.frames, next);",
        "protection.release(protection.stageAtHome(adopted.frames, next));",
      ),
    ],
    campaign: "folios torn by the kernel",
    within: 40,
    wholeGateOnly: true,
  },
  {
    name: "of an earlier process's frames the one that begins before the folio gets no copy",
    edits: [edit("writer/folio-frames", "frames.unshift(", "if (header.offset >= folio) frames.unshift(")],
    campaign: "folios torn by the kernel",
    within: 40,
    wholeGateOnly: true,
  },
];
