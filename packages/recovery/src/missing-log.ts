import { RecoveryError } from "./errors.js";
import type { Tip } from "./model.js";

/** That there is no log in `directory`, or, where somebody remembers one, that it is gone. */
export function missingLog(directory: string, atLeast?: Tip): RecoveryError {
  const message = `there is no log in ${directory}`;
  const details = { file: directory };
  if (atLeast === undefined) return new RecoveryError("WAL_NOT_FOUND", message, details);
  return new RecoveryError("WAL_ROLLED_BACK", `${message}, and it once held LSN ${atLeast.lsn}`, details);
}
