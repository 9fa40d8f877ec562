import type { VerifyReport } from "@stonewal/recovery";
import { verify as verifyLog } from "../reading.js";
import { colorsFor } from "./colors.js";
import type { DwbPathOptions } from "./dwb-path.js";
import { EXIT, type ExitCode } from "./exit-codes.js";
import { damageOf, verdict } from "./judgement.js";
import { encryptionOf, type KeyOptions } from "./keys.js";
import { Output } from "./output.js";
import { type TipOptions, tipText } from "./tip.js";
import { corruptionLine, count, encryptionLine, framePlace, recordsHeld, tailLine } from "./wording.js";

export interface VerifyOptions extends KeyOptions, TipOptions, DwbPathOptions {
  readonly json?: boolean;
}

/** Reads everything, changes nothing, and says what is damaged. */
export async function verify(dir: string, options: VerifyOptions): Promise<ExitCode> {
  const { json, atLeast, dwbPath } = options;
  const report = await verifyLog({ dir, dwbPath, encryption: await encryptionOf(options), atLeast });
  const output = new Output(process.stdout);
  await output.write(json ? `${JSON.stringify(inOrder(report))}\n` : readable(report));
  await output.flush();
  return verdict(report);
}

/** What a script looks for first. */
function inOrder(report: VerifyReport): object {
  const { records, firstLsn, lastLsn, segments, bytes, tornTail, corruption, dwb, tip, ...more } = report;
  const remember = tip && tipText(tip);
  return { records, firstLsn, lastLsn, segments, bytes, tornTail, corruption, dwb, ...more, tip: remember };
}

function readable(report: VerifyReport): string {
  const { green, red, yellow } = colorsFor(process.stdout);
  const damage = damageOf(report);
  const lines = [
    `${recordsHeld(report)}, in ${count(report.segments, "segment")}, ${count(report.bytes, "byte")}`,
    `ended by a clean close: ${report.closedCleanly ? "yes" : "no"}`,
  ];
  if (report.encryption !== undefined) lines.push(encryptionLine(report.encryption));
  if (report.tail !== undefined)
    lines.push(`${yellow("torn tail:")} ${tailLine(report.tail)}; nobody was told it had succeeded`);
  else if (report.tornTail)
    lines.push(`${yellow("torn tail:")} an interrupted write; nobody was told it had succeeded`);
  lines.push(`double-write buffer: ${dwbLine(report)}`);
  for (const frame of report.dwb.restores) {
    lines.push(
      `${yellow("restored by the double-write buffer:")} ${framePlace(frame)}; the next open for writing puts it back`,
    );
  }
  for (const corruption of damage) {
    const remedy = corruption.repairable ? "; `stonewal repair` puts it right, no record is lost" : "";
    lines.push(`${red("damaged:")} ${corruptionLine(corruption)}${remedy}`);
  }
  const unchecked = (report.encryption?.unchecked.length ?? 0) > 0;
  const fine = unchecked
    ? "the structure is sound; records can be read with the keys"
    : "every acknowledged record is readable";
  const code = verdict(report);
  if (code === EXIT.damaged) lines.push(red("the log is damaged"));
  else lines.push(code === EXIT.fine ? green(fine) : yellow(`${fine}, but opening for writing is refused`));
  return `${lines.join("\n")}\n`;
}

function dwbLine({ dwb }: VerifyReport): string {
  if (!dwb.present) return "none";
  const bad = [
    dwb.damaged > 0 ? `, ${dwb.damaged} torn or damaged` : "",
    dwb.unreadable > 0 ? `, ${dwb.unreadable} unreadable` : "",
  ];
  return `${count(dwb.slots, "slot")}, ${count(dwb.images, "image")}${bad.join("")}`;
}
