import { inspect } from "node:util";
import { describeFault } from "./fault-log.js";
import type { SimDisk } from "./sim-disk.js";

export interface Failure {
  /** Runs it again. */
  readonly seed: number;
  /** How to run it again, as a command. */
  readonly again?: string;
  readonly error: unknown;
  /** The disk it failed on. */
  readonly disk: SimDisk;
  /** The case, in its shortest form if it has been shrunk. */
  readonly steps?: readonly unknown[];
  /** How many lines of the fault log and of the trace, the last ones. Default 40 each. */
  readonly lines?: number;
}

/** What somebody who has to find the bug wants to read: error, seed, steps, what was done to the disk, and what the program did last. */
export function failureReport({ seed, again, error, disk, steps, lines = 40 }: Failure): string {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : inspect(error);
  const { forgotten } = disk;
  return [
    message,
    `seed ${seed}${again === undefined ? "" : `, again with: ${again}`}`,
    ...(steps === undefined
      ? []
      : ["", `steps (${steps.length}):`, ...steps.map((step) => `  ${oneLine(step)}`)]),
    "",
    ...section("fault log", disk.faultLog.map(describeFault), forgotten.faultLog, lines),
    "",
    ...section("trace", disk.trace, forgotten.trace, lines),
  ].join("\n");
}

function section(name: string, all: readonly string[], forgotten: number, lines: number): string[] {
  const shown = all.slice(-lines);
  const left = all.length - shown.length + forgotten;
  const heading = left === 0 ? `${name}:` : `${name} (${left} earlier lines left out):`;
  return [heading, ...(shown.length === 0 ? ["  nothing"] : shown.map((line) => `  ${line}`))];
}

function oneLine(step: unknown): string {
  if (typeof step === "string") return step;
  return inspect(step, {
    breakLength: Number.POSITIVE_INFINITY,
    depth: 4,
    maxArrayLength: 8,
    maxStringLength: 60,
  });
}
