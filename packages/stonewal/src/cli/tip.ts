import { MAX_LSN, TAG_BYTES } from "@stonewal/record";
import type { Tip } from "@stonewal/recovery";
import { InvalidArgumentError, Option } from "commander";

/** What to remember of a log, as one word: `LSN:TAG`, the tag in hexadecimal, or `LSN` alone of a log that isn't encrypted. */
export function tipText({ lsn, tag }: Tip): string {
  return tag === undefined ? String(lsn) : `${lsn}:${Buffer.from(tag).toString("hex")}`;
}

function tip(text: string): Tip {
  const [, digits = "", hex] = /^(\d+)(?::([\da-f]+))?$/i.exec(text) ?? [];
  const lsn = digits === "" ? Number.NaN : Number(digits);
  if (!Number.isSafeInteger(lsn) || lsn > MAX_LSN || (hex !== undefined && hex.length !== 2 * TAG_BYTES)) {
    throw new InvalidArgumentError(
      `It must be LSN or LSN:TAG, with ${2 * TAG_BYTES} hexadecimal digits, as inspect and append --tip print it.`,
    );
  }
  return hex === undefined ? { lsn } : { lsn, tag: Uint8Array.from(Buffer.from(hex, "hex")) };
}

export interface TipOptions {
  readonly atLeast?: Tip;
}

export const atLeastOption = (): Option =>
  new Option(
    "--at-least <LSN[:TAG]>",
    "refuse an older copy of the log, and one with another history: what the log held once, as inspect and append --tip print it",
  ).argParser(tip);
