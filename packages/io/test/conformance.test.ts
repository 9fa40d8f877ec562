import assert from "node:assert/strict";
import { describe, expect, test } from "vitest";
import { type ConformanceSubject, conformanceTests } from "../src/conformance.js";
import { type Defect, MemoryBackend } from "./support/memory-backend.js";
import { MemoryDisk } from "./support/memory-disk.js";

/** A new disk for each test, and faults for the one that was set up last: the tests here run one after the other. */
function memory(defect?: Defect): ConformanceSubject {
  let disk: MemoryDisk | undefined;
  return {
    direct: true,
    checksum: true,
    faults: {
      arm(faults) {
        assert(disk !== undefined);
        return disk.arm(faults);
      },
    },
    async setup() {
      const directory = "/memory";
      const made = new MemoryDisk(directory);
      disk = made;
      return { directory, backend: () => new MemoryBackend(made, defect) };
    },
  };
}

describe("the kit passes a back end that keeps every promise", () => {
  const tests = conformanceTests(memory());
  for (const one of tests.filter(({ skipped }) => skipped === undefined)) {
    test(one.name, { timeout: 60_000 }, () => one.run());
  }

  // They run in the packages of back ends whose disk is outside the process, or that block.
  test("all of it but what needs other threads and processes, or to block", () => {
    const skipped = tests.filter((one) => one.skipped !== undefined);
    const kinds = skipped.filter(({ needs }) => !needs.includes("now")).map((one) => one.name.split(":")[0]);
    expect(skipped.every(({ needs }) => needs.includes("module") || needs.includes("now"))).toBe(true);
    expect(kinds).toEqual([
      ...["workers", "workers", "workers"],
      ...["process", "process", "process", "process"],
    ]);
  });
});

/** Which test has to notice which broken promise. */
const NOTICED_BY: Readonly<Record<Defect, string>> = {
  "untorn-silently-dropped": "untorn: a buffered file offers none",
  "arena-not-zeroed": "arena: zero-filled and of the size asked for",
  "arena-of-the-wrong-size-accepted": "arena: zero-filled and of the size asked for",
  "chain-names-the-wrong-step": "fault: EIO in step 1",
  "chain-runs-on-after-a-failure": "fault: EIO in step 1",
  "chain-starts-before-it-is-checked": "chain: what is wrong in itself is refused whole",
  "chain-steps-overlap": "chain: a later write of the same place wins",
  "chain-swallows-a-failing-step": "fault: EIO in step 1",
  "checksum-of-the-whole-buffer": "checksum: equal to a bitwise reference",
  "checksum-without-bounds": "checksum: a range outside the bytes",
  "clock-fires-cancelled-timers": "clock: time does not go back",
  "closed-file-still-works": "close: a closed file refuses everything",
  "closing-does-not-wait": "close: a file with chains in flight waits",
  "directory-sync-of-nothing-succeeds": "directory: one can be synced",
  "file-created-over-another": "file: open tells a missing file",
  "interrupted-call-fails": "fault: an interrupted call is made again",
  "listing-unsorted": "directory: a listing is complete and sorted",
  "lock-question-creates-the-file": "lock: asking whether it is held",
  "lock-shared-in-process": "lock: excludes every other holder",
  "misalignment-accepted": "chain: a misaligned step is refused",
  "offset-cut-to-32-bits": "chain: offsets above 4 GiB",
  "poison-forgotten": "fault: a failed sync is IO_SYNC_FAILED",
  "poison-missing-after-durable-write": "fault: a durable write whose sync fails",
  "probe-claims-another-alignment": "probe: what it says of a directory",
  "random-repeats": "random: as many bytes as asked for",
  "read-error-is-end-of-file": "fault: a read error is IO_READ_FAILED",
  "read-not-completed": "fault: a read error is IO_READ_FAILED",
  "read-only-file-written": "chain: a write to a file opened for reading",
  "rename-replaces": "directory: a rename never replaces",
  "short-write-is-success": "fault: a short write is completed",
  "stalled-write-succeeds": "fault: writes that make no progress",
  "syncs-overlap": "fault: syncs of one open file never overlap",
  "truncate-keeps-old-bytes": "file: truncate shortens and lengthens",
  "unlink-of-nothing-succeeds": "directory: an unlinked file is gone",
  "zeros-beyond-the-range": "file: writeZeros extends",
};

describe("the kit fails a back end that breaks one promise", () => {
  for (const [defect, name] of Object.entries(NOTICED_BY)) {
    test(defect, { timeout: 60_000 }, async () => {
      const tests = conformanceTests(memory(defect as Defect)).filter((one) => one.name.startsWith(name));
      expect(tests.length).toBeGreaterThan(0);
      // Every variant of it: a test that notices in one mode only leaves the other unguarded.
      for (const one of tests) {
        await expect(one.run(), one.name).rejects.toThrow();
      }
    });
  }
});

test("a test that the subject cannot run says why, and refuses to run all the same", async () => {
  const { setup } = memory();
  const tests = conformanceTests({ setup, direct: false, checksum: false });
  for (const one of tests) {
    expect(one.skipped === undefined).toBe(one.needs.length === 0);
    if (one.skipped !== undefined) await expect(one.run()).rejects.toThrow(one.skipped);
  }
  expect(new Set(tests.map((one) => one.name)).size).toBe(tests.length);
  expect(tests.filter((one) => one.skipped === undefined).length).toBeGreaterThan(20);
});
