import { mkdtemp, rm, stat } from "node:fs/promises";
import path from "node:path";
import { performance } from "node:perf_hooks";
import pc from "picocolors";
import { backendsHere } from "./backends-here.js";
import type { CommandLine } from "./command-line.js";
import { planKills } from "./kills.js";
import { showProgress } from "./progress.js";
import { type FileSize, measure } from "./records.js";
import { type RunResult, run } from "./run.js";
import type { AppenderSettings } from "./settings.js";
import { summaryTable } from "./summary-table.js";

export interface DemonstrateOptions {
  readonly commandLine: CommandLine;
  /** Ends it early: what runs is killed, what was written is removed. */
  readonly signal: AbortSignal;
  /** The appending child's program. Default: the one that keeps its word. */
  readonly program?: string;
}

/**
 * The whole of `npm start`. Resolves to the exit code: 0 if no acknowledged record was ever missing and the file is in the log,
 * 1 if not, 2 if it could not be tried, 130 if it was interrupted.
 */
export async function demonstrate(options: DemonstrateOptions): Promise<number> {
  const { commandLine, signal } = options;
  const { file, seed } = commandLine;
  let size: FileSize;
  let directory: string;
  try {
    size = await measureFile(file);
    directory = await mkdtemp(path.join(commandLine.parent, "stonewal-"));
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  console.log(
    `${file}: ${size.records.toLocaleString("en-US")} records, ${size.bytes.toLocaleString("en-US")} bytes`,
  );
  console.log(`seed ${seed} (to plan the same kills again: npm start -- --seed ${seed})`);

  const start = performance.now();
  const results: RunResult[] = [];
  try {
    const backends = commandLine.io ?? (await backendsHere(directory));
    for (const [index, io] of backends.entries()) {
      results.push(await runWith(io, options, size, path.join(directory, `${index}-${io}`)));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    await rm(directory, { recursive: true, force: true });
    console.error("interrupted");
    return 130;
  }
  console.log(summaryTable(results));
  const broken = results.filter((result) => result.broken !== undefined);
  for (const { totals, broken: reason } of broken) {
    console.error(pc.red(`${totals.opened?.io ?? "no log was opened"}: ${reason}`));
  }
  if (broken.length === 0) {
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(
      `The file is in the log, byte for byte; no acknowledged record was ever missing. ${seconds} s`,
    );
  }
  if (broken.length > 0 || commandLine.keep) console.log(`kept: ${directory}`);
  else await rm(directory, { recursive: true, force: true });
  return broken.length === 0 ? 0 : 1;
}

async function measureFile(file: string): Promise<FileSize> {
  if (!(await stat(file)).isFile()) throw new Error(`${file} is not a file`);
  const size = await measure(file);
  if (size.records === 0) throw new Error(`${file} is empty`);
  return size;
}

const MAX_COMMITTERS = 64;

/** Enough flushes between two kills for them to be at different places, even in a small file. */
function committersFor(size: FileSize, kills: number): number {
  const perKill = size.records / Math.max(1, kills);
  return Math.max(1, Math.min(MAX_COMMITTERS, Math.floor(perKill / 10)));
}

async function runWith(
  io: AppenderSettings["io"],
  { commandLine, signal, program }: DemonstrateOptions,
  size: FileSize,
  dir: string,
): Promise<RunResult> {
  const { file, committers, segmentBytes, direct, dwb, seed, kills } = commandLine;
  const progress = showProgress(io, size.records);
  try {
    return await run({
      settings: {
        file,
        dir,
        io,
        committers: committers ?? committersFor(size, kills),
        segmentBytes,
        ...(direct === undefined ? {} : { direct }),
        ...(dwb === undefined ? {} : { dwb }),
      },
      size,
      kills: planKills(seed, kills, size.records),
      signal,
      onAcknowledged: progress.acknowledged,
      onChecked: progress.checked,
      ...(program === undefined ? {} : { program }),
    });
  } finally {
    progress.done();
  }
}
