import { edit, type Mutant } from "../mutant.js";

const OPERATION = "io-sim/write-operation";

/** A back end, the simulated disk, that breaks a promise of the interface: the conformance kit has to notice. */
export const backEndMutants: readonly Mutant[] = [
  {
    name: "syncs of one file overlap, and one swallows the other's error",
    edits: [edit(OPERATION, "if (contents.syncing)", "if (false)")],
    campaign: "promises of a back end",
    within: 200,
  },
  {
    name: "after a failed sync the next one succeeds",
    edits: [edit(OPERATION, "open.poison ??= error;", ";")],
    campaign: "promises of a back end",
    within: 200,
  },
  {
    name: "a short write counts as whole",
    edits: [edit(OPERATION, "done += count;", "done = write.length;")],
    campaign: "promises of a back end",
    within: 150,
  },
  {
    name: "a chain goes on behind a step that failed",
    edits: [
      edit("io-sim/sim-backend", "throw error instanceof IoError ? atStep(error, index) : error;", ";"),
    ],
    campaign: "promises of a back end",
    within: 150,
  },
];
