import { copyBytes, firstNonZero, viewOf } from "./binary.js";
import { FRAME_HEADER_BYTES, ID_BYTES, OPEN_BODY_BYTES } from "./constants.js";
import { RecordError } from "./errors.js";
import type { FrameHeader } from "./frame-header.js";

/** What an open frame says about how the log is being written. */
export interface OpenBody {
  /** Id of the double-write buffer in use, 16 bytes; all zero: none. */
  readonly dwbId: Uint8Array;
  /** What acknowledges a commit: the log's own sync, or that of the double-write buffer. */
  readonly ack: "wal" | "dwb";
}

const ACKS = ["wal", "dwb"] as const;

export function writeOpenBody(bytes: Uint8Array, view: DataView, at: number, body: OpenBody): void {
  bytes.fill(0, at, at + OPEN_BODY_BYTES);
  bytes.set(body.dwbId, at);
  view.setUint32(at + ID_BYTES, ACKS.indexOf(body.ack), true);
}

/**
 * The body of a verified open frame whose header is at `at`; `dwbId` is a copy.
 *
 * @throws RecordError `RECORD_ARGUMENT` when it isn't an open frame or not wholly inside the bytes;
 * `UNSUPPORTED_FORMAT` for an acknowledgement this version doesn't know, or reserved bytes that aren't zero.
 */
export function readOpenBody(bytes: Uint8Array, at: number, header: FrameHeader): OpenBody {
  if (header.kind !== "open")
    throw new RecordError("RECORD_ARGUMENT", `a frame of kind ${header.kind} has no open body`);
  const body = at + FRAME_HEADER_BYTES;
  if (!(at >= 0 && body + OPEN_BODY_BYTES <= bytes.length)) {
    throw new RecordError("RECORD_ARGUMENT", "the open frame is not wholly inside the bytes");
  }
  const ack = ACKS[viewOf(bytes).getUint32(body + ID_BYTES, true)];
  if (ack === undefined || firstNonZero(bytes, body + ID_BYTES + 4, body + OPEN_BODY_BYTES) !== -1) {
    throw new RecordError(
      "UNSUPPORTED_FORMAT",
      "an open frame says something that is unknown to this version",
    );
  }
  return { dwbId: copyBytes(bytes, body, body + ID_BYTES), ack };
}
