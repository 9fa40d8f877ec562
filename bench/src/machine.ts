import { cpus, loadavg, release } from "node:os";
import type { Capabilities } from "stonewal";

/** What the figures depend on. Nothing that names the machine or whose it is. */
export interface Machine {
  readonly platform: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cores: number;
  readonly fileSystem: string;
  readonly physicalBlockBytes: number;
  readonly node: string;
  /** Of the minute before the run: what else went on. */
  readonly loadAverage: number;
}

export function machine({ fileSystem, physicalBlockBytes }: Capabilities): Machine {
  const processors = cpus();
  return {
    platform: `${process.platform}-${process.arch}`,
    kernel: release(),
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    fileSystem,
    physicalBlockBytes,
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
  };
}
