import type { InspectedFrame, InspectReport } from "@stonewal/recovery";
import { colorsFor } from "./colors.js";
import type { DwbSlots } from "./dwb-slots.js";
import { type Column, heading, row } from "./table.js";
import { tipText } from "./tip.js";
import { corruptionLine, count, encryptionLine, framePlace, recordsHeld, tailLine, time } from "./wording.js";

const SEGMENTS: readonly Column[] = [
  { heading: "sequence", width: 8 },
  { heading: "LSNs", width: 17, align: "left" },
  { heading: "records", width: 9 },
  { heading: "frames", width: 7 },
  { heading: "bytes", width: 10 },
  { heading: "padding", width: 9 },
  { heading: "used to", width: 10 },
  { heading: "size", width: 10 },
  { heading: "created", width: 24, align: "left" },
];

const FRAMES: readonly Column[] = [
  { heading: "frame", width: 7 },
  { heading: "kind", width: 5, align: "left" },
  { heading: "segment", width: 7 },
  { heading: "offset", width: 10 },
  { heading: "LSNs", width: 17, align: "left" },
  { heading: "records", width: 7 },
  { heading: "bytes", width: 8 },
  { heading: "padding", width: 7 },
  { heading: "watermark", width: 9 },
  { heading: "sealed", width: 24, align: "left" },
  { heading: "writer", width: 8, align: "left" },
];

const SLOTS: readonly Column[] = [
  { heading: "slot", width: 5 },
  { heading: "slots", width: 5 },
  { heading: "ring", width: 8 },
  { heading: "frame", width: 7 },
  { heading: "segment", width: 7 },
  { heading: "offset", width: 10 },
  { heading: "bytes", width: 8 },
];

/** The log as a whole. */
export function overview(report: InspectReport): string[] {
  const { bold, red, yellow } = colorsFor(process.stdout);
  const { anchor } = report;
  const lines = [
    `${bold("log")} ${report.logId}`,
    `  ${recordsHeld(report)}`,
    `  ${count(report.frames, "frame")} in ${count(report.segments, "segment")}, ${count(report.bytes, "byte")}`,
    `  trim point: LSN ${report.trimLsn}`,
    anchor === undefined
      ? "  anchor: none"
      : `  anchor: generation ${anchor.generation}, watermark ${anchor.watermark}, durable LSN ${anchor.lastLsn}, written ${time(anchor.time)}`,
    ...(report.encryption === undefined ? [] : [`  ${encryptionLine(report.encryption)}`]),
    `  ended by a clean close: ${report.closedCleanly ? "yes" : "no"}`,
    `  spare segments: ${report.spares.length}`,
    ...(report.tip === undefined ? [] : [`  tip ${tipText(report.tip)}`]),
  ];
  for (const name of report.voidSegments) lines.push(`  no part of the log any more: ${name}`);
  if (report.tail !== undefined) lines.push(`  ${yellow("torn tail:")} ${tailLine(report.tail)}`);
  for (const corruption of report.corruption) {
    lines.push(`  ${red("damaged:")} ${corruptionLine(corruption)}`);
  }
  return lines;
}

export function segmentLines(report: InspectReport): string[] {
  const { bold, dim } = colorsFor(process.stdout);
  return [
    bold("segments"),
    dim(heading(SEGMENTS)),
    ...report.segmentList.map((segment) =>
      row(SEGMENTS, [
        segment.sequence,
        lsns(segment.firstLsn, segment.lastLsn),
        segment.records,
        segment.frames,
        segment.frameBytes,
        segment.paddingBytes,
        segment.end,
        segment.bytes,
        time(segment.created),
      ]),
    ),
  ];
}

export function framesHeading(): string[] {
  const { bold, dim } = colorsFor(process.stdout);
  return [bold("frames"), dim(heading(FRAMES))];
}

export function frameLine(frame: InspectedFrame): string {
  return row(FRAMES, [
    frame.frameNumber,
    frame.kind,
    frame.sequence,
    frame.offset,
    lsns(frame.firstLsn, frame.lastLsn),
    frame.records,
    frame.bytes,
    frame.paddingBytes,
    frame.watermark,
    time(frame.time),
    frame.incarnation.slice(0, 8),
  ]);
}

export function slotLines({ dwb }: InspectReport, found: DwbSlots | undefined): string[] {
  const { bold, dim, yellow } = colorsFor(process.stdout);
  if (!dwb.present) return [bold("double-write buffer"), "  none"];
  const lines = [`${bold("double-write buffer")} ${dwb.id ?? ""} ${dwb.path}`];
  for (const frame of dwb.restores) {
    lines.push(`  ${yellow("missing in the log, and here:")} ${framePlace(frame)}`);
  }
  if (found === undefined) return [...lines, "  nothing in it can be recognised"];
  lines.push(
    `  ${count(dwb.slots, "slot")} of ${found.slotBytes} bytes, ${found.slotStride} apart; ${count(found.images.length, "image")}`,
  );
  if (found.damagedSlots.length > 0) lines.push(`  torn or damaged slots: ${found.damagedSlots.join(", ")}`);
  if (found.unreadableSlots.length > 0) lines.push(`  unreadable slots: ${found.unreadableSlots.join(", ")}`);
  lines.push(dim(heading(SLOTS)));
  for (const image of found.images) {
    const { slot, slots, ringSequence, frameNumber, sequence, offset, bytes } = image;
    lines.push(row(SLOTS, [slot, slots, ringSequence, frameNumber, sequence, offset, bytes]));
  }
  return lines;
}

function lsns(firstLsn: number, lastLsn: number): string {
  return lastLsn < firstLsn ? "-" : `${firstLsn}-${lastLsn}`;
}
