/**
 * Stable codes of everything the double-write buffer itself reports. What the disk reports while a buffer is opened
 * or read stays an `IoError` of `@stonewal/io`.
 *
 * - `DWB_OFF`: a buffer was asked for with mode `off`.
 * - `DWB_ARGUMENT`: a call that is wrong in itself (a geometry out of bounds, a ticket of another buffer).
 * - `DWB_FULL`: no free slots now; there will be once earlier tickets are released. Nothing was staged.
 * - `DWB_TOO_LARGE`: larger than the whole ring. Will never fit: write it unprotected, and count it so.
 * - `DWB_UNRECOVERED`: the file holds images of an earlier life, and `releaseRecovered()` has not been called:
 *   overwriting them could destroy the only intact copy of a torn page.
 * - `DWB_DAMAGED`: the file is not a double-write buffer, or nothing in it can be recognised as one.
 * - `DWB_UNSUPPORTED`: intact, but of a version, kind or geometry that this code does not know.
 * - `DWB_CLOSED`: the buffer is closed.
 * - `DWB_FAILED`: a flush failed, so nothing staged since can be believed to be on disk. `cause` is that failure.
 *   Final for this object.
 */
export type DwbErrorCode =
  | "DWB_OFF"
  | "DWB_ARGUMENT"
  | "DWB_FULL"
  | "DWB_TOO_LARGE"
  | "DWB_UNRECOVERED"
  | "DWB_DAMAGED"
  | "DWB_UNSUPPORTED"
  | "DWB_CLOSED"
  | "DWB_FAILED";

export class DwbError extends Error {
  override readonly name = "DwbError";
  readonly code: DwbErrorCode;

  constructor(code: DwbErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
