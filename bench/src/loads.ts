import { spawn } from "node:child_process";
import { once } from "node:events";
import { programPath } from "./native.js";

/** What arrives, whether whoever serves it keeps up or not. */
export interface Arrivals {
  readonly perSecond: number;
  readonly total: number;
}

/** A load that is ready to begin. */
export interface ReadyLoad {
  /** Calls `arrive` for each arrival, with the moment when it was due, by `performance.now()`. */
  begin(arrive: (due: number) => void, fail: (error: unknown) => void): void;
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
  prepare: async ({ perSecond, total }) => ({
    begin(arrive) {
      const betweenMs = 1000 / perSecond;
      const start = performance.now();
      let arrived = 0;
      const look = () => {
        const dueByNow = Math.min(total, Math.floor((performance.now() - start) / betweenMs) + 1);
        for (; arrived < dueByNow; arrived += 1) arrive(start + arrived * betweenMs);
        if (arrived < total) setImmediate(look);
      };
      look();
    },
    end: async () => undefined,
  }),
};

const TICK_MS = 0.1;
const START_BYTES = 8;

/**
 * Made by another process, which sleeps between: a byte through a pipe for each arrival. The thread that serves it sleeps, too, until
 * there is something to read, and finds what came meanwhile.
 */
export const requests: Load = {
  tickMs: TICK_MS,
  async prepare({ perSecond, total }, programs) {
    const args = [perSecond, total, TICK_MS * 1000].map(String);
    const child = spawn(programPath(programs, "arrivals"), args, { stdio: ["pipe", "pipe", "inherit"] });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await once(child, "spawn");
    return {
      begin(arrive, fail) {
        child.once("error", fail);
        child.once("exit", (code) => {
          if (code !== 0) fail(new Error(`arrivals ended with ${code}`));
        });
        // Both clocks are CLOCK_MONOTONIC, from another beginning.
        const offsetMs = performance.now() - Number(process.hrtime.bigint()) / 1e6;
        let start: number | undefined;
        let arrived = 0;
        child.stdout.on("data", (bytes: Buffer) => {
          let count = bytes.length;
          if (start === undefined) {
            // A write of so few bytes is never read in parts.
            start = Number(bytes.readBigInt64LE()) / 1e6 + offsetMs;
            count -= START_BYTES;
          }
          for (; count > 0; count -= 1) arrive(start + dueMs(arrived++, perSecond, TICK_MS));
        });
        child.stdin.write("!");
      },
      async end() {
        if (child.exitCode === null) child.kill();
        await ended;
      },
    };
  },
};

/** From the start. */
export function dueMs(arrival: number, perSecond: number, tickMs: number): number {
  const exactly = (arrival * 1000) / perSecond;
  return tickMs === 0 ? exactly : Math.ceil(exactly / tickMs - 1e-9) * tickMs;
}
