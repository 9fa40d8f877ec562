import type { EncryptionOptions } from "@stonewal/recovery";
import { type SalvagedRange, type SalvageLogReport, salvageLog } from "../salvage-log.js";
import { colorsFor } from "./colors.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { Output } from "./output.js";
import { corruptionLine, count, lsnRange } from "./wording.js";

/** Copies every intact record into a new log and reports what is missing. */
export async function runSalvage(
  dir: string,
  to: string,
  {
    dryRun,
    json,
    dwbPath,
    encryption,
  }: {
    readonly dryRun?: boolean;
    readonly json?: boolean;
    readonly dwbPath?: string;
    readonly encryption?: EncryptionOptions | undefined;
  },
): Promise<ExitCode> {
  const report = await salvageLog({ dir, to: dryRun ? undefined : to, dwbPath, encryption });
  const output = new Output(process.stdout);
  await output.write(
    json
      ? `${JSON.stringify({ dryRun: dryRun === true, to, ...report })}\n`
      : readable(report, to, dryRun === true),
  );
  await output.flush();
  return report.missing.length === 0 ? EXIT.fine : EXIT.damaged;
}

function readable(report: SalvageLogReport, to: string, dryRun: boolean): string {
  const { red, green } = colorsFor(process.stdout);
  const lines = report.corruption.map((corruption) => `${red("damaged:")} ${corruptionLine(corruption)}`);
  for (const { firstLsn, lastLsn } of report.missing) {
    lines.push(`${red("missing:")} ${lsnRange(firstLsn, lastLsn)}`);
  }
  const verb = dryRun ? "would copy" : "copied";
  for (const range of report.ranges) lines.push(`${verb}: ${rangeLine(range)}`);
  lines.push(`${verb} ${count(report.records, "record")} to ${to}`);
  lines.push(
    report.missing.length === 0 ? green("no record is missing") : red("acknowledged records are missing"),
  );
  return `${lines.join("\n")}\n`;
}

function rangeLine({ records, originalFirstLsn, firstLsn }: SalvagedRange): string {
  const now = lsnRange(firstLsn, firstLsn + records - 1);
  const before = lsnRange(originalFirstLsn, originalFirstLsn + records - 1);
  return originalFirstLsn === firstLsn ? before : `${before}, now ${now}`;
}
