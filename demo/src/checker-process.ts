import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { CheckRequest, Finding } from "./check.js";

const CHECKER = fileURLToPath(new URL("../dist/checker.js", import.meta.url));

/** Runs the checker. Its exit code decides; a check that could not be made counts as a broken promise. */
export function runChecker(request: CheckRequest): Promise<Finding> {
  return new Promise((resolve) => {
    execFile(process.execPath, [CHECKER, JSON.stringify(request)], (error, stdout, stderr) => {
      const finding = parseFinding(stdout);
      // Node.js itself ends with 1 when the program doesn't even load.
      if (finding === undefined || (error !== null && error.code !== 1)) {
        const reason = stderr.trim() || error?.message;
        resolve({ recovered: 0, recoveredBytes: 0, broken: `the check could not be made: ${reason}` });
        return;
      }
      resolve(
        error === null ? finding : { ...finding, broken: finding.broken ?? "the checker ended with 1" },
      );
    });
  });
}

function parseFinding(output: string): Finding | undefined {
  try {
    return JSON.parse(output) as Finding;
  } catch {
    return undefined;
  }
}
