import { edit, type Mutant } from "../mutant.js";

const REPAIR = "recovery/repair";
const CLASSIFY = "recovery/classify";
const DISK = "recovery/disk";
const PROVES = "header.frameNumber > missing && header.watermark > missing";

/** What recovery reads, believes, and puts right; and what a failure leaves for it. */
export const recoveryMutants: readonly Mutant[] = [
  {
    name: "the watermark is ignored: what is missing is always an interrupted write",
    edits: [
      edit(CLASSIFY, PROVES, "false"),
      edit(CLASSIFY, "(end.anchor?.watermark ?? 0) > missing", "false"),
    ],
    campaign: "one damaged place",
    within: 40,
  },
  {
    name: "the watermark of later frames is ignored",
    edits: [edit(CLASSIFY, PROVES, "false")],
    campaign: "one damaged place",
    within: 40,
  },
  {
    name: "the anchor's watermark is ignored",
    edits: [edit(CLASSIFY, "(end.anchor?.watermark ?? 0) > missing", "false")],
    campaign: "one damaged place",
    within: 200,
  },
  {
    name: "the watermark is ignored: a later intact frame proves the earlier one",
    edits: [edit(CLASSIFY, PROVES, "header.frameNumber > missing")],
    campaign: "power cuts in groups of frames",
    within: 15,
  },
  {
    name: "the chain is not checked",
    edits: [edit("recovery/frame-scan", "if (header.chain !== position.chain)", "if (false)")],
    campaign: "copies of frames",
    within: 15,
  },
  {
    name: "a file's page cache is trusted: neither synced nor dropped",
    edits: [
      edit(DISK, "await cached.sync();\n            await cached.dropCache();", ""),
      edit(DISK, "if (access.direct)", "if (false)"),
    ],
    campaign: "failures and kills",
    within: 25,
  },
  {
    name: "what a killed process wrote is delivered without a sync",
    edits: [edit(DISK, "await cached.sync();", "")],
    campaign: "failures and kills",
    within: 200,
  },
  {
    name: "pages that a failed sync has dropped are believed: the page cache is not dropped",
    edits: [edit(DISK, "await cached.dropCache();", ""), edit(DISK, "if (access.direct)", "if (false)")],
    campaign: "failures and kills",
    within: 25,
  },
  {
    name: "the directory is not synced before a segment in it is believed",
    edits: [edit("recovery/examine", "await io.syncDirectory(directory);", ";")],
    campaign: "power cuts at rare steps",
    within: 15,
  },
  {
    name: "copies that a killed process left in the page cache are believed without a sync",
    edits: [edit("recovery/dwb-copies", "await file.sync();", "")],
    campaign: "failures and kills",
    within: 150,
  },
  {
    name: "a frame put back from its copy is not synced",
    edits: [
      edit(
        REPAIR,
        'offset };\n        });\n        await io.submit([...steps, { kind: "sync", file }]);',
        "offset };\n        });\n        await io.submit(steps);",
      ),
    ],
    campaign: "power cuts",
    within: 40,
  },
  {
    name: "frames are put back in memory only",
    edits: [
      edit(
        REPAIR,
        "for (const [path, writes] of homeWrites(found))\n        await writeDurably(found.access, path, writes);",
        "",
      ),
    ],
    campaign: "copies of frames",
    within: 15,
  },
  {
    name: "the tail is not cleared",
    edits: [edit(REPAIR, "await zero(found.access, found.tear.path, found.tear.clear);", ";")],
    campaign: "power cuts in groups of frames",
    within: 15,
  },
  {
    name: "the clearing of the tail is not synced",
    edits: [
      edit(
        REPAIR,
        'length }, offset });\n            }\n        }\n        await io.submit([...steps, { kind: "sync", file }]);',
        "length }, offset });\n            }\n        }\n        await io.submit(steps);",
      ),
    ],
    campaign: "power cuts in groups of frames",
    within: 100,
  },
  {
    name: "segments below the trim point are removed while one copy of the anchor is torn",
    edits: [
      edit(
        REPAIR,
        "const anchor = await mendAnchor(found);",
        "const anchor = found.anchorFile.anchor === undefined ? await mendAnchor(found) : lowered(found.anchorFile.anchor, found);",
      ),
    ],
    campaign: "power cuts while the anchor is written",
    within: 100,
  },
  {
    name: "what recovery removes is not removed durably",
    edits: [
      edit(
        REPAIR,
        "await unlinkIfThere(io, path);\n    await io.syncDirectory(directory);",
        "await unlinkIfThere(io, path);",
      ),
    ],
    campaign: "power cuts at rare steps",
    within: 40,
  },
  {
    name: "a missing newest segment is not missed",
    edits: [edit("recovery/walk", "newest < identity.newestSequence ?", "false ?")],
    campaign: "one damaged place",
    within: 100,
  },
  {
    name: "a sync that failed is tried again, on a file opened anew",
    edits: [
      edit(
        "writer/group-commit",
        "staged.settled(error instanceof Error ? error : new Error(String(error)));\n            throw error;",
        'yield { begin: async () => {\nconst again = await io.open(store.activeFile.path, { access: "write", direct: store.activeFile.direct });\nawait io.submit([{ kind: "sync", file: again }]);\nawait again.close();\n} };',
      ),
    ],
    campaign: "failures and kills",
    within: 15,
  },
  {
    name: "the poison is cleared: a failed chain is given up, and the log goes on behind it",
    edits: [
      edit(
        "writer/group-commit",
        "this.#options.onPoison(poison);",
        "this.#options.onPoison(poison);\nthis.#poison = undefined;\nfor (const { assembler } = this.#options; assembler.hasQueued; ) assembler.shift(1);",
      ),
    ],
    campaign: "failures and kills",
    within: 15,
  },
  {
    name: "commits that wait behind a failed one hear success from a later one",
    edits: [
      edit(
        "writer/group-commit",
        "this.#waiters.rejectAll(poison);",
        "this.#waiters.resolveThrough(Number.MAX_SAFE_INTEGER);",
      ),
    ],
    campaign: "failures and kills",
    within: 15,
  },
];
