import type { MessagePort } from "node:worker_threads";
import { WalError } from "@stonewal/writer";
import { CONTROL_BYTES, RECORD_ENTRY_BYTES, UNIT_BYTES } from "./layout.js";

const MIB = 1024 * 1024;

export interface LinkOptions {
  /**
   * Shared memory for records on their way to the log, in bytes: 64 KiB to 1 GiB, default 8 MiB. A record, or an atomic batch, may
   * take half of it.
   */
  readonly ringBytes?: number;
  /** Commits that may be on their way at once, 1 to 1,048,576; more wait their turn in the worker. Default 65,536. */
  readonly pendingLimit?: number;
}

/**
 * What a worker needs to attach to the log: a plain object to be sent to it, by `workerData` or `postMessage`, with `port` in the
 * transfer list. One link is for one worker.
 */
export interface LogLink {
  readonly memory: SharedArrayBuffer;
  readonly port: MessagePort;
  readonly ringBytes: number;
  readonly pendingLimit: number;
  /** The largest payload the log takes, in bytes. */
  readonly maxPayloadBytes: number;
}

/** The same link, in the thread that owns the log: with the other end of the port. */
export function makeMemory(options: LinkOptions): Pick<LogLink, "memory" | "ringBytes" | "pendingLimit"> {
  const ringBytes = integer("ringBytes", options.ringBytes, 8 * MIB, 64 * 1024, 1024 * MIB);
  const pendingLimit = integer("pendingLimit", options.pendingLimit, 65_536, 1, 1_048_576);
  const whole = Math.ceil(ringBytes / UNIT_BYTES) * UNIT_BYTES;
  const memory = new SharedArrayBuffer(CONTROL_BYTES + pendingLimit * 8 + whole);
  return { memory, ringBytes: whole, pendingLimit };
}

/** Bytes of the ring that one request may take: with half of it, there is always a place once the ring is empty. */
export function requestLimit(ringBytes: number): number {
  return Math.floor(ringBytes / 2 / UNIT_BYTES) * UNIT_BYTES - UNIT_BYTES;
}

export function maxPayload(link: Pick<LogLink, "ringBytes" | "maxPayloadBytes">): number {
  return Math.min(link.maxPayloadBytes, requestLimit(link.ringBytes) - RECORD_ENTRY_BYTES);
}

function integer(
  name: string,
  value: number | undefined,
  fallback: number,
  min: number,
  max: number,
): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new WalError(
    "WAL_ARGUMENT",
    `${name} must be an integer from ${min} to ${max}, not ${String(value)}`,
  );
}

/** Says only "look at the memory": the port carries no data, except why a request was refused. */
export const RING = null;

/** What of an error crosses to another thread. */
export interface ErrorParts {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly cause?: ErrorParts;
}

export interface Refusal {
  /** Which request, counted from 0 in the order they were put into the ring. */
  readonly request: number;
  readonly error: ErrorParts;
}
