import { WalError } from "./errors.js";

/** A wrong argument as a message shows it: a bigint or a text is not to be taken for a number. */
export function shown(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  // String() takes an array apart, and may throw.
  return typeof value === "object" && value !== null ? Object.prototype.toString.call(value) : String(value);
}

/** Throws `WAL_ARGUMENT` for what can't be an LSN, nor the 0 that is before the first. */
export function checkLsn(lsn: unknown): void {
  if (Number.isSafeInteger(lsn) && (lsn as number) >= 0) return;
  throw new WalError("WAL_ARGUMENT", `an LSN must be an integer, of type number, not ${shown(lsn)}`);
}
