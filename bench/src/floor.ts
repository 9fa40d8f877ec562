import { execFile } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { LogSettings } from "./cases.js";
import { type ChainShape, durations, type Round, type RoundLimits } from "./round.js";

const SOURCE = fileURLToPath(new URL("../native/floor.cc", import.meta.url));
const BLOCK_BYTES = 4096;

const start = promisify(execFile);

/** The C++ loop that makes a commit's system calls and does nothing else. */
export class Floor {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Compiles it into `directory`, where its files will be too. */
  static async build(directory: string): Promise<Floor> {
    const program = path.join(directory, "floor");
    await start(process.env.CXX || "c++", ["-std=c++17", "-O2", "-o", program, SOURCE]);
    return new Floor(directory);
  }

  /** Writes what one chain of `shape` writes, over and over. */
  async round({ direct }: LogSettings, shape: ChainShape, limits: RoundLimits): Promise<Round> {
    const blocks = (bytes: number) => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
    const file = (name: string) => path.join(this.#directory, `floor-${name}${direct ? "-direct" : ""}`);
    const { stdout } = await start(
      path.join(this.#directory, "floor"),
      [
        file("log"),
        blocks(shape.logBytes),
        file("dwb"),
        blocks(shape.dwbBytes),
        direct ? 1 : 0,
        limits.milliseconds,
        limits.bytes,
      ].map(String),
      { maxBuffer: 2 ** 28 },
    );
    const { histogram, add } = durations();
    let [chains, milliseconds] = [0, 0];
    for (const line of stdout.trimEnd().split("\n")) {
      const each = Number(line) / 1e6;
      add(each);
      milliseconds += each;
      chains += 1;
    }
    return {
      records: chains * Math.round(shape.records),
      milliseconds,
      latency: histogram,
      chain: histogram,
    };
  }
}
