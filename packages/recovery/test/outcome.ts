import { createHash } from "node:crypto";
import type { IoBackend } from "@stonewal/io";
import type { SimDisk } from "@stonewal/io-sim";
import type { LogRecord } from "@stonewal/record";
import { openReader, RecoveryError, recoverLog, verifyLog } from "../src/index.js";
import { DIRECTORY } from "./log-builder.js";

/** What opening a log gives its user: the records, or a typed refusal. */

export function text(record: Pick<LogRecord, "payload">): string {
  return new TextDecoder().decode(record.payload);
}

export async function collect<T, U>(source: AsyncIterable<T>, map: (item: T) => U): Promise<U[]> {
  const items: U[] = [];
  for await (const item of source) items.push(map(item));
  return items;
}

/** All records, by a reader. Rejects as `openReader` does. */
export async function recordsOf(io: IoBackend, directory = DIRECTORY): Promise<string[]> {
  const reader = await openReader({ io, directory });
  try {
    return await collect(reader.replay(), text);
  } finally {
    await reader.close();
  }
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    if (error instanceof RecoveryError) return error.code;
    throw error;
  }
}

export async function errorOf(promise: Promise<unknown>): Promise<RecoveryError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RecoveryError) return error;
    throw error;
  }
  throw new Error("it did not reject");
}

/** Everything recovery offers, asked of the same disk: all have to come to the same verdict. */
export async function verdicts(disk: SimDisk): Promise<{ code: string; records: string[]; exit: 0 | 1 }> {
  const io = disk.mount();
  const verified = await verifyLog({ io, directory: DIRECTORY });
  const reader = await openReader({ io, directory: DIRECTORY, damaged: "prefix" });
  const records: string[] = [];
  let code = "resolved";
  try {
    for await (const record of reader.replay()) records.push(text(record));
  } catch (error) {
    if (!(error instanceof RecoveryError)) throw error;
    code = error.code;
  }
  await reader.close();
  const opened = await codeOf(recoverLog({ io, directory: DIRECTORY }));
  if ((opened === "resolved") !== (code === "resolved"))
    throw new Error(`reading: ${code}, opening: ${opened}`);
  const fatal = verified.corruption.some((entry) => !entry.repairable);
  if (fatal !== (opened !== "resolved")) throw new Error(`verify and opening disagree: ${opened}`);
  if (verified.records !== records.length)
    throw new Error(`verify counts ${verified.records}, read ${records.length}`);
  await io.close();
  return { code: opened, records, exit: verified.corruption.length > 0 ? 1 : 0 };
}

/** Lets simulated time pass while something waits for it. */
export async function ticking<T>(disk: SimDisk, work: Promise<T>): Promise<T> {
  const ticker = setInterval(() => disk.advance(10), 1);
  try {
    return await work;
  } finally {
    clearInterval(ticker);
  }
}

export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A digest of every file of the log, for "nothing has changed". */
export function snapshot(disk: SimDisk): Map<string, string> {
  return new Map([...disk.files()].map(([path, bytes]) => [path, digest(bytes)]));
}

export function sequence(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => `r${first + i}`);
}
