import { readDwb } from "@stonewal/dwb";
import type { IoBackend, Step } from "@stonewal/io";
import { SimDisk } from "@stonewal/io-sim";

/** What a frame had when its home write began: a whole copy on the disk, or none. */
export interface HomeWrites {
  copied: number;
  uncopied: number;
}

const isHome = (step: Step) => step.kind === "write" && step.file.path.endsWith(".wal");

/**
 * `io`, which stops each chain before its first write to a segment and looks whether the DWB holds, durably, every byte that is about
 * to be written there. It believes the disk alone, not what the log says about itself.
 */
export function watchHomeWrites(disk: SimDisk, io: IoBackend, counted: HomeWrites): IoBackend {
  return new Proxy(io, {
    get(target, property) {
      if (property === "submit") return submit;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });

  async function submit(chain: readonly Step[]): Promise<void> {
    const first = chain.findIndex(isHome);
    if (first < 0) return io.submit(chain);
    await io.submit(chain.slice(0, first));
    const images = await durableImages(disk);
    for (const step of chain.slice(first)) {
      if (step.kind !== "write") continue;
      const { arena, start, length } = step.region;
      const bytes = arena.bytes.subarray(start, start + length);
      const copied = images.some((image) => image.offset === step.offset && image.bytes.equals(bytes));
      counted[copied ? "copied" : "uncopied"] += 1;
    }
    return io.submit(chain.slice(first));
  }
}

/** What a power cut at this moment, which keeps nothing that is not synced, would leave in the DWB. */
async function durableImages(disk: SimDisk): Promise<{ offset: number; bytes: Buffer }[]> {
  const path = disk.paths().find((name) => name.endsWith("/dwb"));
  if (path === undefined) return [];
  const after = new SimDisk();
  after.plant(path, disk.fileBytes(path));
  const images = (await readDwb(after.mount(), path)) ?? [];
  return Array.from(images, (image) => ({ offset: image.offset, bytes: Buffer.from(image.bytes()) }));
}
