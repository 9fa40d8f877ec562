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
