import type { IoBackend } from "@stonewal/io";
import type { UringOptions } from "../../src/index.js";

export function faultyUring(options?: UringOptions): IoBackend;
export function setFaults(rules: string): void;
export function faultCounts(): { applied: number; overlappedSyncs: number };
