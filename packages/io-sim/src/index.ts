export type { CrashChoice, CrashPolicy } from "./crash.js";
export type { Rot } from "./damage.js";
export { describeFault, type FaultEvent } from "./fault-log.js";
export type { Fault, FaultEffect, FaultOperation, FaultRule } from "./faults.js";
export type { SimBackend } from "./sim-backend.js";
export { type RotOptions, SimDisk, type SimDiskOptions } from "./sim-disk.js";
