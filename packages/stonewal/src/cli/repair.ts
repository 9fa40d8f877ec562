import { basename } from "node:path";
import { missingLog, RecoveryError, type RecoveryReport } from "@stonewal/recovery";
import { planRepair, type RememberedLog } from "../reading.js";
import { repair as repairLog } from "../repair.js";
import type { DwbPathOptions } from "./dwb-path.js";
import { EXIT, type ExitCode, exitCodeOf } from "./exit-codes.js";
import { Hinted } from "./failure.js";
import { encryptionOf, type KeyOptions } from "./keys.js";
import { Output } from "./output.js";
import { runSalvage } from "./salvage.js";
import type { TipOptions } from "./tip.js";
import { corruptionLine, DWB_ELSEWHERE, framePlace, recordsHeld, tailLine } from "./wording.js";

export interface RepairOptions extends KeyOptions, TipOptions, DwbPathOptions {
  readonly dryRun?: boolean;
  readonly salvage?: string;
  readonly json?: boolean;
}

/** What opening for writing would do, done now or only told. */
export async function repair(dir: string, options: RepairOptions): Promise<ExitCode> {
  const encryption = await encryptionOf(options);
  if (options.salvage !== undefined) return runSalvage(dir, options.salvage, { ...options, encryption });
  const dryRun = options.dryRun === true;
  const { atLeast, dwbPath } = options;
  const log = { dir, dwbPath, encryption, atLeast };
  const report = await (dryRun ? plan(log) : repairLog(log)).catch((error: unknown) => {
    // Of another log than the one that is meant nothing is to be saved.
    const other = error instanceof RecoveryError && error.code === "WAL_ROLLED_BACK";
    if (other || exitCodeOf(error) !== EXIT.damaged) throw error;
    const missing = error instanceof RecoveryError && error.code === "WAL_DWB_MISSING";
    const first = missing ? `${DWB_ELSEWHERE}; only if it is lost: ` : "";
    throw new Hinted(
      error,
      `nothing was changed; ${first}\`stonewal repair DIR --salvage TO\` copies every intact record into a new log`,
    );
  });
  const output = new Output(process.stdout);
  await output.write(options.json ? `${JSON.stringify({ dryRun, ...report })}\n` : readable(report, dryRun));
  await output.flush();
  return EXIT.fine;
}

async function plan(log: RememberedLog): Promise<RecoveryReport> {
  const report = await planRepair(log);
  const { dir } = log;
  if (report === undefined) throw missingLog(dir);
  return report;
}

function readable(report: RecoveryReport, dryRun: boolean): string {
  const would = (done: string, planned: string) => (dryRun ? `would ${planned}` : done);
  const lines: string[] = [];
  for (const frame of report.restored) {
    lines.push(`${would("restored", "restore")} from the double-write buffer: ${framePlace(frame)}`);
  }
  for (const corruption of report.repaired) {
    lines.push(`${would("put right", "put right")}: ${corruptionLine(corruption)}`);
  }
  for (const frame of report.aside) {
    const where = frame.savedAs === undefined ? "" : ` as ${basename(frame.savedAs)}`;
    const reason = frame.reason === undefined ? "" : ` (${frame.reason})`;
    lines.push(`${would("saved", "save")} aside${where}: ${framePlace(frame)}${reason}`);
  }
  if (report.tornTail !== undefined) lines.push(`${would("cleared", "clear")} ${tailLine(report.tornTail)}`);
  for (const name of report.removed)
    lines.push(`${would("removed", "remove")} ${name}, no part of the log any more`);
  if (lines.length === 0) lines.push("nothing to repair");
  lines.push(`${recordsHeld(report)}: all that was acknowledged`);
  return `${lines.join("\n")}\n`;
}
