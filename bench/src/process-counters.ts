import { readFile } from "node:fs/promises";
import type { Figures } from "./round.js";

/** What this process, its threads included, has used of the machine. */
export interface ProcessCounters {
  readonly cpuUs: number;
  /** Bytes given to disks; `undefined` where the system doesn't say. */
  readonly written: number | undefined;
}

export async function processCounters(): Promise<ProcessCounters> {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, written: await writtenByProcess() };
}

/** What became of it for each of `records`, of `payloadBytes` each. */
export function usedSince(
  before: ProcessCounters,
  after: ProcessCounters,
  records: number,
  payloadBytes: number,
): Pick<Figures, "writtenPerByte"> & Required<Pick<Figures, "cpuUsPerRecord">> {
  const cpuUsPerRecord = (after.cpuUs - before.cpuUs) / records;
  if (before.written === undefined || after.written === undefined) return { cpuUsPerRecord };
  return { cpuUsPerRecord, writtenPerByte: (after.written - before.written) / (records * payloadBytes) };
}

async function writtenByProcess(): Promise<number | undefined> {
  try {
    const counters = await readFile("/proc/self/io", "utf8");
    const written = /^write_bytes: (\d+)$/m.exec(counters)?.[1];
    return written === undefined ? undefined : Number(written);
  } catch {
    return undefined;
  }
}
