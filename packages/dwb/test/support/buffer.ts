import type { IoBackend } from "@stonewal/io";
import { SimDisk, type SimDiskOptions } from "@stonewal/io-sim";
import {
  type Dwb,
  type DwbImages,
  type DwbInput,
  type DwbOptions,
  openDwb,
  readDwb,
} from "../../src/index.js";

/** A small buffer on a simulated disk: four slots of 1 KiB, one right behind the other, in blocks of 512 bytes. */

export const PATH = "/dwb";
const SMALL = { slots: 4, slotBytes: 1024, blockBytes: 512, slotAlignment: 512 } as const;
export const SLOTS_AT = 65536;
/** 128 + 1024, rounded up to blocks. */
export const STRIDE = 1536;

export function newDisk(options: SimDiskOptions = {}): SimDisk {
  return new SimDisk({ directAlignment: 512, ...options });
}

export function open(io: IoBackend, options: Partial<DwbOptions> = {}): Promise<Dwb> {
  return openDwb({ io, path: PATH, mode: "buffered", ...SMALL, ...options });
}

export async function read(io: IoBackend): Promise<DwbImages> {
  const images = await readDwb(io, PATH);
  if (images === undefined) throw new Error("no buffer");
  return images;
}

/** Bytes that tell which image they belong to. */
export function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed * 31 + i * 7 + (i >>> 8)) & 0xff);
}

export function image(key: number, version = 1, length = 100, more: Partial<DwbInput> = {}): DwbInput {
  return {
    key,
    target: 1,
    offset: key * 4096,
    version,
    bytes: pattern(length, key * 100 + version),
    ...more,
  };
}

/** What a buffer holds, newest first, as `key@version`. */
export function listed(images: Iterable<{ key: bigint; version: bigint }>): string[] {
  return [...images].map(({ key, version }) => `${key}@${version}`);
}

/** What is left of the buffer when the power fails now and all that is not synced is lost. */
export function afterLosingAll(disk: SimDisk): Promise<DwbImages> {
  const copy = disk.clone();
  copy.crash("none");
  return read(copy.mount());
}

export function codeOf(act: () => unknown): string {
  try {
    act();
    return "returned";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

export function rejectionOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "resolved",
    (error: { code: string }) => error.code,
  );
}
