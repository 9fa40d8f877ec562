import type { RecordInput } from "@stonewal/record";
import { CONTROL_BYTES, entryBytes, HEAD, RECORD_ENTRY_BYTES, TAIL, UNIT_BYTES, WRAP } from "./layout.js";
import type { LogLink } from "./link.js";

/** The owner's end of the ring. */
export class RequestReader {
  readonly #control: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #units: number;
  #head = 0;
  /** Where the request that `peek` showed ends. */
  #next = 0;
  /** Where the last request ends that is to be taken, once that is certain. */
  #end: number | undefined;

  constructor({ memory, ringBytes, pendingLimit }: Pick<LogLink, "memory" | "ringBytes" | "pendingLimit">) {
    const start = CONTROL_BYTES + pendingLimit * 8;
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.#bytes = new Uint8Array(memory, start, ringBytes);
    this.#view = new DataView(memory, start, ringBytes);
    this.#units = ringBytes / UNIT_BYTES;
  }

  get empty(): boolean {
    return (this.#end ?? Atomics.load(this.#control, TAIL)) === this.#head;
  }

  /** What is put into the ring from now on is not taken any more. */
  end(): void {
    this.#end ??= Atomics.load(this.#control, TAIL);
  }

  /** The records of the oldest request, their payloads still in the ring; `undefined` where there is none. */
  peek(): readonly RecordInput[] | undefined {
    if (this.empty) return undefined;
    let offset = this.#head * UNIT_BYTES;
    if (this.#view.getUint32(offset, true) === WRAP) offset = 0;
    const following = this.#view.getUint32(offset + 12, true);
    const records: RecordInput[] = [];
    for (let index = 0; index <= following; index += 1) {
      const payloadBytes = this.#view.getUint32(offset, true);
      records.push(this.#record(offset, payloadBytes));
      offset += entryBytes(payloadBytes);
    }
    this.#next = (offset / UNIT_BYTES) % this.#units;
    return records;
  }

  #record(offset: number, payloadBytes: number): RecordInput {
    const view = this.#view;
    return {
      payload: this.#bytes.subarray(offset + RECORD_ENTRY_BYTES, offset + RECORD_ENTRY_BYTES + payloadBytes),
      type: view.getUint32(offset + 4, true),
      shard: view.getUint32(offset + 8, true),
      tenant: view.getBigUint64(offset + 16, true),
      database: view.getBigUint64(offset + 24, true),
    };
  }

  /** The request that `peek` showed has been copied: its place is free. */
  shift(): void {
    this.#head = this.#next;
    Atomics.store(this.#control, HEAD, this.#head);
  }
}
