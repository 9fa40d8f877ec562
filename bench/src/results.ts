import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Machine } from "./machine.js";
import type { Figure } from "./round.js";

/** A figure over the rounds, with the confidence interval of the median. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** A figure with what it was in each round, in the order of the rounds: sides are compared round by round. */
export interface Measured extends Spread {
  readonly rounds: readonly number[];
}

export interface SideResult {
  readonly figures: Partial<Record<Figure, Measured>>;
  /** Of all rounds together: a round alone may be too short to have one. */
  readonly p99Us?: number;
}

/** What is done, as far as it is a number; the axes of the charts. */
export interface Parameters {
  readonly committers?: number;
  readonly payloadBytes?: number;
  readonly records?: number;
  readonly perSecond?: number;
  readonly logBytes?: number;
}

/** The same work by several sides, in turns. */
export interface CaseResult {
  readonly experiment: string;
  readonly name: string;
  readonly parameters: Parameters;
  readonly sides: Readonly<Record<string, SideResult>>;
}

/** How long it is measured. */
export interface Plan {
  readonly rounds: number;
  /** Of one side's round. Short, so that what else the machine does hits all of them alike. */
  readonly roundMs: number;
  /** Of a round with a fixed arrival rate. */
  readonly arrivalMs: number;
  /** Of stonewal's logs. */
  readonly segmentBytes: number;
  /** How many records are appended into memory. */
  readonly appends: number;
  /** The largest log that is opened; a fourth and a sixteenth of it are, too. */
  readonly openBytes: number;
  /** Payload in each log that is replayed. */
  readonly replayBytes: number;
}

/** What is written beside the table. */
export interface Results {
  readonly date: string;
  readonly machine: Machine;
  readonly plan: Plan;
  /** What could not be measured here, and why. */
  readonly leftOut: readonly string[];
  readonly cases: readonly CaseResult[];
}

export async function writeResults(file: string, results: Results): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  // A line per side and figure: short enough to read, and to compare with the run before.
  const text = JSON.stringify(results, null, 1).replace(/\{\s*"median"[^}]*\}/g, (figure) =>
    figure.replace(/\s+/g, " "),
  );
  await writeFile(file, `${text}\n`);
}

export async function readResults(file: string): Promise<Results> {
  return JSON.parse(await readFile(file, "utf8")) as Results;
}
