export type { CrashChoice, CrashPolicy } from "./crash.js";
export type { Fault, FaultOperation, FaultRule } from "./faults.js";
export type { SimBackend } from "./sim-backend.js";
export { SimDisk, type SimDiskOptions } from "./sim-disk.js";
