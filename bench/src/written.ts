import { readFile } from "node:fs/promises";

/** Bytes that this process, its threads included, has given to disks; `undefined` where the system doesn't say. */
export async function writtenByProcess(): Promise<number | undefined> {
  try {
    const counters = await readFile("/proc/self/io", "utf8");
    const written = /^write_bytes: (\d+)$/m.exec(counters)?.[1];
    return written === undefined ? undefined : Number(written);
  } catch {
    return undefined;
  }
}
