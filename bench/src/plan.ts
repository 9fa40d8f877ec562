import type { Plan } from "./results.js";

const MIB = 1024 * 1024;

export const PLAN: Plan = {
  rounds: 7,
  roundMs: 200,
  arrivalMs: 400,
  segmentBytes: 128 * MIB,
  appends: 400_000,
  openBytes: 1024 * MIB,
  replayBytes: 64 * MIB,
};

export const QUICK_PLAN: Plan = {
  rounds: 3,
  roundMs: 60,
  arrivalMs: 150,
  segmentBytes: 128 * MIB,
  appends: 100_000,
  openBytes: 128 * MIB,
  replayBytes: 16 * MIB,
};
