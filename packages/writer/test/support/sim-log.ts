import { SimDisk, type SimDiskOptions } from "@stonewal/io-sim";
import { openLog, type Wal, type WalOptions } from "../../src/index.js";

export const DIRECTORY = "/log";

/** Small, so that segments roll and buffers fill in a test. */
export const SMALL: Omit<WalOptions, "io" | "directory"> = {
  segmentBytes: 262_144,
  frameBytes: 65_536,
  bufferBytes: 262_144,
  idleMs: 0,
};

export function makeDisk(options: SimDiskOptions = {}): SimDisk {
  return new SimDisk({ seed: 7, ...options });
}

export function openOn(disk: SimDisk, options: Partial<WalOptions> = {}): Promise<Wal> {
  return openLog({ io: disk.mount(), directory: DIRECTORY, ...SMALL, ...options });
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export async function textsOf(wal: Wal, options?: Parameters<Wal["read"]>[0]): Promise<string[]> {
  const texts: string[] = [];
  for await (const record of wal.read(options))
    texts.push(`${record.lsn}:${new TextDecoder().decode(record.payload)}`);
  return texts;
}

/** Appends until there is no room, and answers what was thrown. */
export function fill(wal: Wal, payloadBytes: number): { code?: string; appended: number } {
  const payload = new Uint8Array(payloadBytes);
  for (let appended = 0; ; appended += 1) {
    try {
      wal.append({ payload });
    } catch (error) {
      return { code: (error as { code: string }).code, appended };
    }
  }
}

/** Lets everything that needs no simulated time go on. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function lastSegment(disk: SimDisk): string {
  return disk.paths().findLast((path) => path.endsWith(".wal")) as string;
}

/** Offset of the last block of a file that isn't zero. */
export function lastUsedBlock(disk: SimDisk, path: string): number {
  const content = disk.fileBytes(path);
  let at = content.length - 4096;
  while (content.subarray(at, at + 4096).every((byte) => byte === 0)) at -= 4096;
  return at;
}
