import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Bench, type Experiment, runCase } from "../experiment.js";
import { FLOOR } from "../floor.js";
import type { CaseResult } from "../results.js";
import type { Side } from "../round.js";
import { segmentFiles } from "../segment-files.js";
import { STONEWAL } from "../stores/stonewal.js";

const MIB = 1024 * 1024;

/** What the writer says once the log is as long as asked for, and it goes on committing. */
export interface Filled {
  readonly logBytes: number;
  readonly direct: boolean;
}

/** What the opener says. */
export interface Opened {
  readonly milliseconds: number;
  readonly maxRssMiB: number;
}

/** Opening a log whose writer was killed, each time in a process of its own, as a program that starts again does. */
export const opening: Experiment = {
  name: "opening",
  title: "opening a log whose writer was killed, by its size",
  async *run(bench) {
    const directory = path.join(bench.directory, "opened");
    await mkdir(directory);
    try {
      for (const part of [16, 4, 1]) {
        const wanted = Math.round(bench.plan.openBytes / part / MIB) * MIB;
        yield await openCase(bench, directory, Math.max(MIB, wanted));
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

async function openCase(bench: Bench, directory: string, logBytes: number): Promise<CaseResult> {
  let filled: Filled | undefined;
  const sides: Side[] = [
    {
      name: STONEWAL,
      round: async () => {
        filled = await writeAndKill(directory, logBytes, bench.plan.segmentBytes);
        const { milliseconds, maxRssMiB } = await runToEnd<Opened>("opener", [directory]);
        return { figures: { milliseconds, bytesPerSecond: (logBytes / milliseconds) * 1000, maxRssMiB } };
      },
    },
    {
      name: FLOOR,
      round: async () => {
        const direct = filled?.direct ?? false;
        const milliseconds = await bench.floor.readOnce(await segmentFiles(directory), logBytes, direct);
        return { figures: { milliseconds, bytesPerSecond: (logBytes / milliseconds) * 1000 } };
      },
    },
  ];
  const name = `${(logBytes / MIB).toLocaleString("en-US")} MiB`;
  return runCase(bench, { experiment: "opening", name, parameters: { logBytes } }, sides);
}

/** Appends up to `logBytes`, goes on committing, and is killed in the middle of that. */
async function writeAndKill(directory: string, logBytes: number, segmentBytes: number): Promise<Filled> {
  const writer = start("killed-writer", [directory, String(logBytes), String(segmentBytes)]);
  try {
    return await message<Filled>(writer);
  } finally {
    writer.kill("SIGKILL");
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, "exit");
  }
}

async function runToEnd<T>(program: string, args: readonly string[]): Promise<T> {
  const child = start(program, args);
  const ended = once(child, "exit");
  const answer = await message<T>(child);
  await ended;
  return answer;
}

function start(program: string, args: readonly string[]): ChildProcess {
  // From where it was built: a process of its own runs no TypeScript.
  return fork(fileURLToPath(new URL(`../../dist/${program}.js`, import.meta.url)), args);
}

/** The first one; rejects where the process ends without. */
async function message<T>(child: ChildProcess): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    child.once("message", (said) => resolve(said as T));
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      reject(new Error(`${child.spawnargs[1]} ended with ${code ?? signal}`)),
    );
  });
}
