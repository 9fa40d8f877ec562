// The pwrite back end as the conformance kit sees it. Plain JavaScript, so that children run by node can use it too.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pwrite } from "@stonewal/io-pwrite";
import { armFaults, faultCounts } from "./fault-shim.mjs";

/** Where the tests keep their files; set STONEWAL_TEST_DIR to try another file system. */
export const scratchRoot = process.env.STONEWAL_TEST_DIR ?? tmpdir();

async function directWorks() {
  const io = pwrite();
  try {
    return (await io.probe(scratchRoot)).direct !== undefined;
  } finally {
    await io.close();
  }
}

/** Faults are for a child that was started with the shim: `control` is its control file. */
export async function subject(control) {
  return {
    direct: await directWorks(),
    checksum: pwrite().checksum !== undefined,
    now: true,
    module: { specifier: import.meta.resolve("@stonewal/io-pwrite"), factory: "pwrite" },
    faults: { arm: (faults) => arm(control, faults) },
    async setup() {
      const directory = await mkdtemp(join(scratchRoot, "stonewal-pwrite-"));
      return {
        directory,
        backend: () => pwrite(),
        teardown: () => rm(directory, { recursive: true, force: true }),
      };
    },
  };
}

function arm(control, faults) {
  if (control === undefined) throw new Error("fault tests run in a child with the shim");
  armFaults(control, faults.map(ruleOf).join(";"));
  return {
    applied: () => faultCounts(control).applied,
    overlappedSyncs: () => faultCounts(control).overlappedSyncs,
    disarm: () => armFaults(control, ""),
  };
}

function ruleOf({ call, path, nth, times = 1, effect }) {
  const when = times === Number.POSITIVE_INFINITY ? `${nth}+` : `${nth}-${nth + times - 1}`;
  const what =
    effect.kind === "short"
      ? `short=${effect.bytes}`
      : effect.kind === "slow"
        ? `delay=${effect.ms}`
        : effect.kind;
  return `${call}:${path}:${when}:${what}`;
}
