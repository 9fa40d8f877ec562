import { arenaTests } from "./conformance-arenas.js";
import { chainTests } from "./conformance-chains.js";
import { checksumTests } from "./conformance-checksum.js";
import { directoryTests } from "./conformance-directories.js";
import { faultTests } from "./conformance-faults.js";
import { fileTests } from "./conformance-files.js";
import { lifecycleTests } from "./conformance-lifecycle.js";
import { lockTests } from "./conformance-locks.js";
import { nowTests } from "./conformance-now.js";
import { processTests } from "./conformance-processes.js";
import { type ConformanceSubject, type ConformanceTest, scenarioTest } from "./conformance-subject.js";
import { untornTests } from "./conformance-untorn.js";

export type {
  ArmedFault,
  ConformanceFault,
  ConformanceNeed,
  ConformanceSetup,
  ConformanceSubject,
  ConformanceTest,
} from "./conformance-subject.js";

/**
 * Every promise of `IoBackend`, as tests for any runner:
 *
 *     for (const t of conformanceTests(subject)) {
 *       test(t.name, (context) => (t.skipped === undefined ? t.run() : context.skip(t.skipped)));
 *     }
 *
 * They are independent of each other and may run side by side, except that a subject's `faults` may not allow it. A
 * test that the subject cannot run has a reason in `skipped`. The longest take some seconds; give each 60.
 */
export function conformanceTests(subject: ConformanceSubject): ConformanceTest[] {
  return [
    ...chainTests(),
    ...untornTests(),
    ...fileTests(),
    ...lifecycleTests(),
    ...arenaTests(),
    ...directoryTests(),
    ...lockTests(),
    ...checksumTests(),
    ...faultTests(),
    ...nowTests(),
    ...processTests(),
  ].map((scenario) => scenarioTest(subject, scenario));
}
