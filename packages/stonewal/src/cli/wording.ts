import { basename } from "node:path";
import type { Corruption, EncryptionReport, FramePlace, TornTail } from "@stonewal/recovery";

/** `LSN 1 to 10`, `LSN 7`, or `no records`. */
export function lsnRange(firstLsn: number | undefined, lastLsn: number | undefined): string {
  if (firstLsn === undefined) return lastLsn === undefined ? "no records" : `LSN ${lastLsn}`;
  if (lastLsn === undefined) return `LSN ${firstLsn} and on`;
  if (lastLsn < firstLsn) return "no records";
  return firstLsn === lastLsn ? `LSN ${firstLsn}` : `LSN ${firstLsn} to ${lastLsn}`;
}

/** `1 record`, `2 records`. */
export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}

/** `3 records, LSN 1 to 3`, or `0 records`. */
export function recordsHeld(held: { records: number; firstLsn: number; lastLsn: number }): string {
  const { records, firstLsn, lastLsn } = held;
  return records === 0 ? "0 records" : `${count(records, "record")}, ${lsnRange(firstLsn, lastLsn)}`;
}

/** Where a frame lies: `frame 12 in 0…1-0…1.wal at 135168, LSN 4 to 9`. */
export function framePlace(frame: FramePlace): string {
  return `frame ${frame.frameNumber} in ${basename(frame.file)} at ${frame.offset}, ${lsnRange(frame.firstLsn, frame.lastLsn)}`;
}

/** The way on where a double-write buffer is missing. */
export const DWB_ELSEWHERE = "--dwb-path PATH says where";

/** Code, message and place, each said once. */
export function corruptionLine({ code, message, file, offset, firstLsn, lastLsn }: Corruption): string {
  const place: string[] = [];
  if (file !== undefined && !message.includes(basename(file))) place.push(basename(file));
  if (offset !== undefined && !message.includes(String(offset))) place.push(`offset ${offset}`);
  if (firstLsn !== undefined && !message.includes(String(firstLsn))) place.push(lsnRange(firstLsn, lastLsn));
  const remedy = code === "WAL_DWB_MISSING" ? `; ${DWB_ELSEWHERE}` : "";
  return `${code}: ${message}${place.length === 0 ? "" : ` (${place.join(", ")})`}${remedy}`;
}

export function tailLine(tail: TornTail): string {
  const intact = tail.frames.length === 0 ? "" : `, ${count(tail.frames.length, "intact frame")} among them`;
  return `an interrupted write in ${basename(tail.file)} from ${tail.offset}, ${count(tail.bytes, "byte")}${intact}`;
}

export function encryptionLine({ keyIds, unchecked, unencryptedSegments }: EncryptionReport): string {
  const keys = `${keyIds.length === 1 ? "key" : "keys"} ${keyIds.join(", ")}`;
  const missing = unchecked.length === 0 ? "" : `; not given, so not checked: ${unchecked.join(", ")}`;
  const clear =
    unencryptedSegments === 0 ? "" : `; ${count(unencryptedSegments, "segment")} from before are not`;
  return `encrypted with ${keys}${missing}${clear}`;
}

export function time(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? `${milliseconds} ms` : date.toISOString();
}
