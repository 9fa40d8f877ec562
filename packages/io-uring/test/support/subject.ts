import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IoBackend } from "@stonewal/io";
import type { ConformanceFault, ConformanceSubject } from "@stonewal/io/conformance";
import { uring } from "../../src/index.js";
import { faultCounts, setFaults } from "./fault-addon.mjs";

/** Where the tests keep their files; set STONEWAL_TEST_DIR to try another file system. */
export const scratchRoot = process.env.STONEWAL_TEST_DIR ?? tmpdir();

const PUBLISHED = { specifier: import.meta.resolve("@stonewal/io-uring"), factory: uring.name };

/** A back end as the conformance kit sees it; `module` is what other threads and processes use. */
export async function subject(backend: () => IoBackend, module = PUBLISHED): Promise<ConformanceSubject> {
  const io = backend();
  const { direct } = await io.probe(scratchRoot);
  const checksum = io.checksum !== undefined;
  await io.close();
  return {
    direct: direct !== undefined,
    checksum,
    now: true,
    module,
    faults: {
      arm(faults) {
        setFaults(faults.map(ruleOf).join(";"));
        return {
          applied: () => faultCounts().applied,
          overlappedSyncs: () => faultCounts().overlappedSyncs,
          disarm: () => setFaults(""),
        };
      },
    },
    async setup() {
      const directory = await mkdtemp(join(scratchRoot, "stonewal-uring-"));
      return { directory, backend, teardown: () => rm(directory, { recursive: true, force: true }) };
    },
  };
}

function ruleOf({ call, path, nth, times = 1, effect }: ConformanceFault): string {
  const when = times === Number.POSITIVE_INFINITY ? `${nth}+` : `${nth}-${nth + times - 1}`;
  const what =
    effect.kind === "short"
      ? `short=${effect.bytes}`
      : effect.kind === "slow"
        ? `delay=${effect.ms}`
        : effect.kind;
  return `${call}:${path}:${when}:${what}`;
}
