import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { programPath } from "./native.js";

/** What arrives, whether whoever serves it keeps up or not. */
export interface Arrivals {
  readonly perSecond: number;
  readonly total: number;
}

/** What a load arrives at. */
export interface Server {
  /** `due`: the moment when it was, by `performance.now()`. */
  arrive(due: number): void;
  fail(error: unknown): void;
}

/** A load that is ready to begin. */
export interface ReadyLoad {
  begin(server: Server): void;
  end(): Promise<void>;
}

export interface Load {
  /** Arrivals are due at the ends of intervals of so many milliseconds; 0: each at its own moment. */
  readonly tickMs: number;
  /** `programs` is where the native programs are. */
  prepare(arrivals: Arrivals, programs: string): Promise<ReadyLoad>;
}

/**
 * Made by the thread that serves it, which looks at the clock at every turn of the event loop: a timer's millisecond would be too
 * coarse. The thread never sleeps.
 */
export const busyThread: Load = {
  tickMs: 0,
  prepare: async (arrivals) => new BusyThread(arrivals),
};

// Methods, and not functions that each round makes for itself: those would be compiled anew in each round, for tens of milliseconds, on
// the processors that the stores are measured on.
class BusyThread implements ReadyLoad {
  readonly #total: number;
  readonly #betweenMs: number;
  #arrived = 0;
  #start = 0;

  constructor({ perSecond, total }: Arrivals) {
    this.#total = total;
    this.#betweenMs = 1000 / perSecond;
  }

  begin(server: Server): void {
    this.#start = performance.now();
    BusyThread.#turn(this, server);
  }

  async end(): Promise<void> {}

  static #turn(load: BusyThread, server: Server): void {
    const since = performance.now() - load.#start;
    const dueByNow = Math.min(load.#total, Math.floor(since / load.#betweenMs) + 1);
    for (; load.#arrived < dueByNow; load.#arrived += 1) {
      server.arrive(load.#start + load.#arrived * load.#betweenMs);
    }
    if (load.#arrived < load.#total) setImmediate(BusyThread.#turn, load, server);
  }
}

const TICK_MS = 0.1;
const START_BYTES = 8;

/**
 * Made by another process, which sleeps between: a byte through a pipe for each arrival. The thread that serves it sleeps, too, until
 * there is something to read, and finds what came meanwhile.
 */
export const requests: Load = {
  tickMs: TICK_MS,
  async prepare(arrivals, programs) {
    const args = [arrivals.perSecond, arrivals.total, TICK_MS * 1000].map(String);
    const child = spawn(programPath(programs, "arrivals"), args, { stdio: ["pipe", "pipe", "inherit"] });
    const requests = new Requests(child, arrivals.perSecond);
    await once(child, "spawn");
    return requests;
  },
};

type Child = ChildProcessByStdio<Writable, Readable, null>;

class Requests implements ReadyLoad {
  readonly #child: Child;
  readonly #ended: Promise<unknown>;
  readonly #perSecond: number;
  // Both clocks are CLOCK_MONOTONIC, from another beginning.
  readonly #offsetMs = performance.now() - Number(process.hrtime.bigint()) / 1e6;
  #start: number | undefined;
  #arrived = 0;

  constructor(child: Child, perSecond: number) {
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once("exit", resolve));
    this.#perSecond = perSecond;
  }

  begin(server: Server): void {
    this.#child.once("error", (error) => server.fail(error));
    this.#child.once("exit", (code) => {
      if (code !== 0) server.fail(new Error(`arrivals ended with ${code}`));
    });
    this.#child.stdout.on("data", (bytes: Buffer) => this.#read(bytes, server));
    this.#child.stdin.write("!");
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill();
    await this.#ended;
  }

  #read(bytes: Buffer, server: Server): void {
    let count = bytes.length;
    if (this.#start === undefined) {
      // A write of so few bytes is never read in parts.
      this.#start = Number(bytes.readBigInt64LE()) / 1e6 + this.#offsetMs;
      count -= START_BYTES;
    }
    for (; count > 0; count -= 1) {
      server.arrive(this.#start + dueMs(this.#arrived++, this.#perSecond, TICK_MS));
    }
  }
}

/** From the start. */
export function dueMs(arrival: number, perSecond: number, tickMs: number): number {
  const exactly = (arrival * 1000) / perSecond;
  return tickMs === 0 ? exactly : Math.ceil(exactly / tickMs - 1e-9) * tickMs;
}
