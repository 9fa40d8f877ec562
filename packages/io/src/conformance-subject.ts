import assert from "node:assert/strict";
import type { Arena, IoBackend, IoFile, Region } from "./backend.js";
import type { IoErrorCode } from "./errors.js";

/** One call to fail. Calls are counted from the moment it is armed. */
export interface ConformanceFault {
  /**
   * `sync`: what makes data durable, the sync of a durable write included (where that is one call with the write,
   * the call). `write`: what writes data, a durable write included.
   */
  readonly call: "read" | "write" | "sync";
  /** Part of the path of the file whose calls it is about. */
  readonly path: string;
  /** The first call to fail, counted from 1. */
  readonly nth: number;
  /** How many calls from there on; `Infinity`: all. Default 1. */
  readonly times?: number;
  /**
   * `EIO`, `ENOSPC`, `EINTR`: the call fails with it and does nothing. `short`: at most `bytes` bytes are transferred, and the call
   * returns that. `slow`: the call takes `ms` longer.
   */
  readonly effect:
    | { readonly kind: "EIO" | "ENOSPC" | "EINTR" }
    | { readonly kind: "short"; readonly bytes: number }
    | { readonly kind: "slow"; readonly ms: number };
}

export interface ArmedFault {
  /** How many calls have failed so far. A test of a fault that never happened would show nothing. */
  applied(): number;
  /** How many syncs of one file began while another of the same file was running. */
  overlappedSyncs(): number;
  /** No more failures from here on. */
  disarm(): void;
}

/** What one test is given: an empty directory, and back ends that all see the same disk. */
export interface ConformanceSetup {
  /** Absolute path of an existing, empty directory. */
  readonly directory: string;
  /** A new back end. The kit closes it. */
  backend(): IoBackend;
  /** Called when the test is over, however it went. */
  teardown?(): Promise<void>;
}

export interface ConformanceSubject {
  setup(): Promise<ConformanceSetup>;
  /** Direct I/O works in the directories of `setup`. */
  readonly direct: boolean;
  /** The back end offers `checksum` on this machine. */
  readonly checksum: boolean;
  /** The back end has `now`. Default false. */
  readonly now?: boolean;
  /**
   * How another thread or process makes a back end of its own: an absolute module specifier (a `file:` URL of
   * JavaScript that Node runs as it is) and the name of an exported function without required arguments.
   * Left out where the disk exists only inside this process, as a simulated one does.
   */
  readonly module?: { readonly specifier: string; readonly factory: string };
  /** Makes calls of the back ends of this process fail; replaces what was armed before. Left out where nothing can. */
  readonly faults?: { arm(faults: readonly ConformanceFault[]): ArmedFault };
}

export type ConformanceNeed = "direct" | "checksum" | "module" | "faults" | "now";

export interface ConformanceTest {
  readonly name: string;
  readonly needs: readonly ConformanceNeed[];
  /** Why this subject cannot run it, or `undefined`. */
  readonly skipped: string | undefined;
  /** Rejects when the back end breaks the promise. */
  run(): Promise<void>;
}

/** A test before it is tied to a subject. */
export interface Scenario {
  readonly name: string;
  readonly needs?: readonly ConformanceNeed[];
  run(bench: Bench): Promise<void>;
}

const WHY_SKIPPED: Readonly<Record<ConformanceNeed, string>> = {
  direct: "direct I/O does not work in the subject's directories",
  checksum: "the subject offers no checksum",
  module: "the subject names no module for other threads and processes",
  faults: "the subject cannot make its calls fail",
  now: "the subject's back end does not block",
};

export function scenarioTest(subject: ConformanceSubject, scenario: Scenario): ConformanceTest {
  const needs = scenario.needs ?? [];
  const missing = needs.filter((need) => !has(subject, need));
  const skipped = missing.length === 0 ? undefined : missing.map((need) => WHY_SKIPPED[need]).join("; ");
  return {
    name: scenario.name,
    needs,
    skipped,
    async run() {
      if (skipped !== undefined) throw new Error(`${scenario.name} cannot run: ${skipped}`);
      const bench = new Bench(subject, await subject.setup());
      try {
        await scenario.run(bench);
      } finally {
        await bench.end();
      }
    },
  };
}

function has(subject: ConformanceSubject, need: ConformanceNeed): boolean {
  if (need === "direct" || need === "checksum") return subject[need];
  if (need === "now") return subject.now === true;
  return subject[need] !== undefined;
}

/** What a scenario works with. */
export class Bench {
  readonly directory: string;
  readonly #subject: ConformanceSubject;
  readonly #setup: ConformanceSetup;
  readonly #backends: IoBackend[] = [];
  #armed: ArmedFault | undefined;

  constructor(subject: ConformanceSubject, setup: ConformanceSetup) {
    this.#subject = subject;
    this.#setup = setup;
    this.directory = setup.directory;
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  backend(): IoBackend {
    const io = this.#setup.backend();
    this.#backends.push(io);
    return io;
  }

  /** What the subject says of `now`. */
  get blocks(): boolean {
    return this.#subject.now === true;
  }

  get module(): { readonly specifier: string; readonly factory: string } {
    assert(this.#subject.module);
    return this.#subject.module;
  }

  arm(...faults: ConformanceFault[]): ArmedFault {
    assert(this.#subject.faults);
    this.#armed = this.#subject.faults.arm(faults);
    return this.#armed;
  }

  async end(): Promise<void> {
    this.#armed?.disarm();
    await Promise.all(this.#backends.map((io) => io.close()));
    await this.#setup.teardown?.();
  }
}

/** The unit of the scenarios: a multiple of the alignment of any file. */
export const BLOCK_BYTES = 4096;

/** A region of a new arena of its own. */
export function regionOf(arena: Arena, start = 0, length = arena.bytes.length - start): Region {
  return { arena, start, length };
}

/** Bytes that say where they belong: a misplaced or stale block never looks right. */
export function fillPattern(bytes: Uint8Array, seed: number): void {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0;
  for (let index = 0; index < bytes.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
}

export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  fillPattern(bytes, seed);
  return bytes;
}

/** A new arena that holds the pattern. */
export function patterned(io: IoBackend, length: number, seed: number): Arena {
  const arena = io.arena(length);
  fillPattern(arena.bytes, seed);
  return arena;
}

export async function readBytes(
  io: IoBackend,
  file: IoFile,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const arena = io.arena(Math.max(length, 1));
  const got = await file.read(regionOf(arena, 0, length), offset);
  return arena.bytes.slice(0, got);
}

/** Compares without printing thousands of bytes. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  assert.equal(at, -1, `${what}: byte ${at} is ${actual[at]} and should be ${expected[at]}`);
}

export interface ReportedError {
  readonly name: string;
  readonly message: string;
  readonly code: IoErrorCode;
  readonly errno: string | undefined;
  readonly step: number | undefined;
}

/** As `rejection`, of a call that blocks. */
export function refusal(call: () => void, ...codes: IoErrorCode[]): Promise<ReportedError> {
  return rejection(new Promise<void>((resolve) => resolve(call())), ...codes);
}

/** The error that the call ends with, which must be an `IoError` of one of these codes. */
export async function rejection(call: Promise<unknown>, ...codes: IoErrorCode[]): Promise<ReportedError> {
  const outcome: unknown = await call.then(
    () => new Error(`resolved, where ${codes.join(" or ")} was expected`),
    (error: unknown) => error,
  );
  // By name: a back end may carry a copy of the class of its own.
  assert(outcome instanceof Error && outcome.name === "IoError", outcome as Error);
  const error = outcome as unknown as ReportedError;
  assert(
    codes.includes(error.code),
    `${codes.join(" or ")} was expected, not ${error.code}: ${error.message}`,
  );
  return error;
}
