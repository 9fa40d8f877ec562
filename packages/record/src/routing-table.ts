import { viewOf } from "./binary.js";
import { isUnmasked } from "./boundary-mask.js";
import { FRAME_HEADER_BYTES, ROUTING_BYTES } from "./constants.js";
import { RecordError } from "./errors.js";
import type { FrameHeader } from "./frame-header.js";

/** The fields of a record that say where it belongs, without its payload. */
export interface RecordRouting {
  readonly lsn: number;
  readonly type: number;
  readonly shard: number;
  readonly tenant: bigint;
  readonly database: bigint;
}

/** The routing fields of the records that lie in `bytes[at, end)`: 24 bytes each, as they stand in their headers. */
export function routingTable(bytes: Uint8Array, recordStarts: Iterable<number>, count: number): Uint8Array {
  const table = new Uint8Array(count * ROUTING_BYTES);
  let to = 0;
  for (const record of recordStarts) {
    table.set(bytes.subarray(record + 8, record + 8 + ROUTING_BYTES), to);
    to += ROUTING_BYTES;
  }
  return table;
}

/**
 * The routing fields of the records of a verified frame that is encrypted with a readable routing table: no key is needed. `undefined`
 * for any other frame. Only a frame's unpacking shows that they are authentic.
 *
 * @throws RecordError `RECORD_ARGUMENT` when the frame isn't wholly inside the bytes or has not been verified.
 */
export function frameRouting(
  bytes: Uint8Array,
  at: number,
  header: FrameHeader,
): RecordRouting[] | undefined {
  if (header.packed?.routing !== true) return undefined;
  if (!(at >= 0 && at + header.length <= bytes.length)) {
    throw new RecordError("RECORD_ARGUMENT", `the frame at ${at} is not wholly inside ${bytes.length} bytes`);
  }
  if (!isUnmasked(header)) throw new RecordError("RECORD_ARGUMENT", "the frame has not been verified");
  const view = viewOf(bytes);
  return Array.from({ length: header.recordCount }, (_, i) => {
    const entry = at + FRAME_HEADER_BYTES + i * ROUTING_BYTES;
    return {
      lsn: header.firstLsn + i,
      type: view.getUint32(entry, true),
      shard: view.getUint32(entry + 4, true),
      tenant: view.getBigUint64(entry + 8, true),
      database: view.getBigUint64(entry + 16, true),
    };
  });
}
