import type { IoBackend } from "@stonewal/io";
import type { UringOptions } from "../../src/index.js";
import type { UringAddon } from "../../src/native.js";

export const faultAddon: UringAddon;
export function faultyUring(options?: UringOptions): IoBackend;
export function setFaults(rules: string): void;
export function setLanes(always: boolean): void;
export function faultCounts(): { applied: number; overlappedSyncs: number; inLanes: number };
