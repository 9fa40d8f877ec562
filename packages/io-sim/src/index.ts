export type { CrashChoice, CrashPolicy } from "./crash.js";
export { type CrashOutcomes, crashOutcomes } from "./crash-outcomes.js";
export type { Rot } from "./damage.js";
export { type Failure, failureReport } from "./failure-report.js";
export { describeFault, type FaultEvent } from "./fault-log.js";
export type { Fault, FaultEffect, FaultOperation, FaultRule } from "./faults.js";
export { type ShrinkOptions, type Shrunk, shrink } from "./shrink.js";
export type { SimBackend } from "./sim-backend.js";
export { type RotOptions, SimDisk, type SimDiskOptions } from "./sim-disk.js";
