import type { InspectedFrame, InspectReport } from "@stonewal/recovery";
import { withBackend } from "../backends.js";
import { inspect as inspectLog } from "../reading.js";
import type { DwbPathOptions } from "./dwb-path.js";
import { type DwbSlots, dwbSlots } from "./dwb-slots.js";
import type { ExitCode } from "./exit-codes.js";
import { frameLine, framesHeading, overview, segmentLines, slotLines } from "./inspect-text.js";
import { verdict } from "./judgement.js";
import { encryptionOf, type KeyOptions } from "./keys.js";
import { jsonInteger } from "./numbers.js";
import { Output } from "./output.js";
import { type TipOptions, tipText } from "./tip.js";

export interface InspectOptions extends KeyOptions, TipOptions, DwbPathOptions {
  readonly json?: boolean;
}

/** Shows what a log is made of, changing nothing. Frames are printed as they are read: there may be millions. */
export async function inspect(dir: string, options: InspectOptions): Promise<ExitCode> {
  const { json, atLeast, dwbPath } = options;
  const encryption = await encryptionOf(options);
  return withBackend("auto", dir, (io) =>
    inspectLog({ dir, io, dwbPath, encryption, atLeast }, async (report) => {
      const slots = report.dwb.present ? await dwbSlots(io, report.dwb.path) : undefined;
      const output = new Output(process.stdout);
      // What comes before a frame that can't be read any more is shown all the same.
      await (json ? printJson : printText)(output, report, slots).finally(() => output.flush());
      return verdict(report);
    }),
  );
}

async function printText(output: Output, report: InspectReport, slots: DwbSlots | undefined): Promise<void> {
  await output.write(
    `${[...overview(report), "", ...segmentLines(report), "", ...framesHeading()].join("\n")}\n`,
  );
  await eachFrame(output, report, (frame) => output.write(`${frameLine(frame)}\n`));
  await output.write(`${["", ...slotLines(report, slots)].join("\n")}\n`);
}

/** One object, its frames one to a line. */
async function printJson(output: Output, report: InspectReport, slots: DwbSlots | undefined): Promise<void> {
  const { frameList: _, dwb, tip, ...rest } = report;
  const head = JSON.stringify({ ...rest, dwb: { ...dwb, ...slots }, tip: tip && tipText(tip) });
  await output.write(`${head.slice(0, -1)},"frameList":[`);
  let separator = "\n";
  await eachFrame(output, report, async (frame) => {
    await output.write(`${separator}${JSON.stringify(frame, integers)}`);
    separator = ",\n";
  });
  await output.write("]}\n");
}

const integers = (_key: string, value: unknown): unknown =>
  typeof value === "bigint" ? jsonInteger(value) : value;

async function eachFrame(
  output: Output,
  report: InspectReport,
  print: (frame: InspectedFrame) => Promise<void>,
): Promise<void> {
  for await (const frame of report.frameList()) {
    await print(frame);
    if (output.gone) return;
  }
}
