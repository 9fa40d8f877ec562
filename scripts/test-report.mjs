// A vitest reporter for scripts/test.mjs: one JSON file per package. Vitest's own JSON report leaves out why a
// test was skipped, and errors that belong to no test (a crashed worker, an unhandled rejection).
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

export const reportFile = path.join("test-results", "report.json");

const firstLine = (error) => String(error?.message ?? error).split("\n")[0];

export default class TestReport {
  #root = process.cwd();

  onInit(vitest) {
    this.#root = vitest.config.root;
  }

  onTestRunEnd(testModules, unhandledErrors) {
    const report = { passed: 0, failed: [], skipped: [] };
    for (const testModule of testModules) {
      const file = path.relative(this.#root, testModule.moduleId);
      // A file that does not load, or a hook that throws, fails although none of its tests did.
      for (const error of testModule.errors()) {
        report.failed.push({ name: file, reason: firstLine(error) });
      }
      for (const suite of testModule.children.allSuites()) {
        for (const error of suite.errors()) {
          report.failed.push({ name: `${file} > ${suite.fullName}`, reason: firstLine(error) });
        }
      }
      for (const test of testModule.children.allTests()) {
        const name = `${file} > ${test.fullName}`;
        const result = test.result();
        if (result.state === "passed") report.passed += 1;
        else if (result.state === "skipped") {
          const reason = result.note ?? (test.options.mode === "todo" ? "not written yet" : undefined);
          report.skipped.push({ name, reason });
        } else report.failed.push({ name, reason: firstLine(result.errors?.[0] ?? "did not finish") });
      }
    }
    for (const error of unhandledErrors) {
      report.failed.push({ name: "outside of any test", reason: firstLine(error) });
    }
    const output = path.join(this.#root, reportFile);
    mkdirSync(path.dirname(output), { recursive: true });
    writeFileSync(output, `${JSON.stringify(report, null, 2)}\n`);
  }
}
