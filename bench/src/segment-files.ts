import { readdir } from "node:fs/promises";
import path from "node:path";

/** Of a log, the oldest first. */
export async function segmentFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names
    .filter((name) => /^\d+-\d+\.wal$/.test(name))
    .sort()
    .map((name) => path.join(directory, name));
}
