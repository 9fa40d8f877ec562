import type { RecordInput } from "@stonewal/record";
import { CONTROL_BYTES, entryBytes, HEAD, RECORD_ENTRY_BYTES, TAIL, UNIT_BYTES, WRAP } from "./layout.js";
import type { LogLink } from "./link.js";

/** The worker's end of the ring. */
export class RequestWriter {
  readonly #control: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #units: number;
  #tail = 0;

  constructor({ memory, ringBytes, pendingLimit }: Pick<LogLink, "memory" | "ringBytes" | "pendingLimit">) {
    const start = CONTROL_BYTES + pendingLimit * 8;
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.#bytes = new Uint8Array(memory, start, ringBytes);
    this.#view = new DataView(memory, start, ringBytes);
    this.#units = ringBytes / UNIT_BYTES;
  }

  /** Puts records in that are to be appended together; false where there is no room for all of them now. */
  put(records: readonly RecordInput[]): boolean {
    let length = 0;
    for (const { payload } of records) length += entryBytes(payload.byteLength);
    const at = this.#place(length / UNIT_BYTES);
    if (at === undefined) return false;
    let offset = at * UNIT_BYTES;
    let following = records.length;
    for (const record of records) {
      following -= 1;
      offset = this.#write(offset, record, following);
    }
    this.#tail = (offset / UNIT_BYTES) % this.#units;
    // Behind every byte of the request: whoever sees this store sees them.
    Atomics.store(this.#control, TAIL, this.#tail);
    return true;
  }

  /** Where `length` units in a row are free. One unit stays free always: a full ring must not look like an empty one. */
  #place(length: number): number | undefined {
    const head = Atomics.load(this.#control, HEAD);
    const tail = this.#tail;
    if (tail < head) return length < head - tail ? tail : undefined;
    if (length < this.#units - tail || (length === this.#units - tail && head > 0)) return tail;
    if (length >= head) return undefined;
    this.#view.setUint32(tail * UNIT_BYTES, WRAP, true);
    return 0;
  }

  #write(offset: number, record: RecordInput, following: number): number {
    const { payload, type = 0, shard = 0, tenant = 0, database = 0 } = record;
    const view = this.#view;
    view.setUint32(offset, payload.byteLength, true);
    view.setUint32(offset + 4, type, true);
    view.setUint32(offset + 8, shard, true);
    view.setUint32(offset + 12, following, true);
    view.setBigUint64(offset + 16, BigInt(tenant), true);
    view.setBigUint64(offset + 24, BigInt(database), true);
    this.#bytes.set(payload, offset + RECORD_ENTRY_BYTES);
    return offset + entryBytes(payload.byteLength);
  }
}
