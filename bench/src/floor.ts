import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { type Rate, serveInGroups } from "./group-service.js";
import { Latencies } from "./latencies.js";
import { type NativeProgram, programPath } from "./native.js";
import type { Round, RoundLimits, Side } from "./round.js";
import type { StonewalStore } from "./stores/stonewal.js";

const BLOCK_BYTES = 4096;

const start = promisify(execFile);

export const FLOOR = "floor";
/** As a log with a double-write buffer writes. */
export const FLOOR_WITH_DWB = "floor, DWB on";
/** Not alone, but under the load that the stores have. */
export const FLOOR_UNDER_ARRIVALS = "floor, same arrivals";
export const FLOOR_WITH_DWB_UNDER_ARRIVALS = "floor, DWB on, same arrivals";

/** C++ loops that make the system calls and do nothing else. */
export class Floor {
  readonly #directory: string;

  /** The programs are in `directory`, and there the files they write will be too. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Writes what one chain of `log` wrote in its last round, over and over. Comes after it among the sides of a case. */
  commits(log: StonewalStore, { records, payloadBytes, name = FLOOR }: FloorWork): Side {
    return {
      name,
      round: async (limits) => commitRound(await this.#trips(log, limits), records, payloadBytes),
    };
  }

  /** The same trips, shared by commits that arrive at a fixed rate. */
  arrivals(log: StonewalStore, { name, ...rate }: Rate & { readonly name: string }): Side {
    return { name, round: async (limits) => arrivalRound(await this.#trips(log, limits), rate) };
  }

  /** Reads the files from end to end, and no more than `bytes`. Resolves to milliseconds. */
  async readOnce(files: readonly string[], bytes: number, direct: boolean): Promise<number> {
    const [nanoseconds] = await this.#run("read-once", [direct ? 1 : 0, bytes, ...files]);
    return Number(nanoseconds) / 1e6;
  }

  /** What each took. */
  async #trips(log: StonewalStore, limits: RoundLimits): Promise<Latencies> {
    const { logBytes, dwbBytes } = log.shape;
    const blocks = (bytes: number) => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
    const file = (which: string) =>
      path.join(this.#directory, `floor-${which}${log.wal.direct ? "-direct" : ""}`);
    const direct = log.wal.direct ? 1 : 0;
    const args = [
      file("log"),
      blocks(logBytes),
      file("dwb"),
      blocks(dwbBytes),
      direct,
      limits.milliseconds,
      limits.bytes,
    ];
    const trips = new Latencies();
    for (const nanoseconds of await this.#run("floor", args)) trips.add(Number(nanoseconds) / 1e6);
    return trips;
  }

  async #run(program: NativeProgram, args: readonly (string | number)[]): Promise<string[]> {
    const { stdout } = await start(programPath(this.#directory, program), args.map(String), {
      maxBuffer: 2 ** 28,
    });
    return stdout.trimEnd().split("\n");
  }
}

interface FloorWork {
  /** That share a chain. */
  readonly records: number;
  readonly payloadBytes: number;
  readonly name?: string;
}

function commitRound(latencies: Latencies, records: number, payloadBytes: number): Round {
  let total = 0;
  for (const milliseconds of latencies.milliseconds()) total += milliseconds;
  const perSecond = ((latencies.count * records) / total) * 1000;
  const p50Us = latencies.quantileUs(0.5) as number;
  return {
    figures: { perSecond, bytesPerSecond: perSecond * payloadBytes, p50Us, chainP50Us: p50Us },
    latencies,
  };
}

function arrivalRound(trips: Latencies, rate: Rate): Round {
  const { latencies, milliseconds } = serveInGroups(trips.milliseconds(), rate);
  return {
    figures: {
      perSecond: (latencies.count / milliseconds) * 1000,
      p50Us: latencies.quantileUs(0.5) as number,
      p99Us: latencies.quantileUs(0.99) as number,
      chainP50Us: trips.quantileUs(0.5) as number,
      recordsPerChain: latencies.count / trips.count,
    },
    latencies,
  };
}
