import type { CaseResult, Measured, Results } from "../src/results.js";
import { spread } from "../src/summary.js";

export const measured = (...rounds: number[]): Measured => ({ ...spread(rounds), rounds });

export function results(...cases: Omit<CaseResult, "parameters">[]): Results {
  return {
    date: "2026-01-01",
    machine: {
      platform: "linux-x64",
      kernel: "6.0",
      cpu: "a processor",
      cores: 2,
      fileSystem: "ext4",
      physicalBlockBytes: 4096,
      node: "v20.0.0",
      loadAverage: 0,
    },
    plan: { rounds: 2, roundMs: 1, arrivalMs: 1, segmentBytes: 1, appends: 1, openBytes: 1, replayBytes: 1 },
    leftOut: [],
    cases: cases.map((each) => ({ ...each, parameters: {} })),
  };
}
