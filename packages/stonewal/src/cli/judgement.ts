import type { Corruption, VerifyReport } from "@stonewal/recovery";
import { EXIT, type ExitCode, exitCodeOfProblem } from "./exit-codes.js";

/**
 * Damage that the double-write buffer makes good by itself: the record is read from there, and opening for writing puts it back. All other
 * damage counts, what can be put right from a second copy in the log included: it is the first of two copies to go.
 */
function restoredByDwb(report: VerifyReport, { repairable, file, offset }: Corruption): boolean {
  return repairable && report.dwb.restores.some((frame) => frame.file === file && frame.offset === offset);
}

/** What is damaged and not made good by the double-write buffer. */
export function damageOf(report: VerifyReport): readonly Corruption[] {
  return report.corruption.filter((corruption) => !restoredByDwb(report, corruption));
}

export function verdict(report: VerifyReport): ExitCode {
  const codes = damageOf(report).map(({ code }) => exitCodeOfProblem(code));
  return codes.find((code) => code === EXIT.damaged) ?? codes[0] ?? EXIT.fine;
}
