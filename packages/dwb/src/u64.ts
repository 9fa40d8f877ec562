import { DwbError } from "./errors.js";

/** Checks a caller's number for a u64 field. */
export function toU64(value: number | bigint, name: string): bigint {
  if (typeof value === "number" && !Number.isSafeInteger(value))
    throw new DwbError("DWB_ARGUMENT", `${name} must be a safe integer or a bigint, not ${value}`);
  const big = BigInt(value);
  if (big < 0n || big > 0xffff_ffff_ffff_ffffn)
    throw new DwbError("DWB_ARGUMENT", `${name} must fit a u64, not ${value}`);
  return big;
}
