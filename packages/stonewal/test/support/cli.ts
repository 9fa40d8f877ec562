import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
}

/** A command that is running. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  const { FORCE_COLOR: _, NO_COLOR: __, ...rest } = process.env;
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...rest, ...env } });
  // A child that ends before it has read everything breaks the pipe; its exit code tells.
  child.stdin.on("error", () => undefined);
  return child;
}

/** What a command that is running comes to. */
export async function outcome(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}

/** Runs a command to its end. */
export function run(args: readonly string[], { input, env }: RunOptions = {}): Promise<Outcome> {
  const child = start(args, env);
  child.stdin.end(input ?? "");
  return outcome(child);
}

/** Runs a command that must end with 0; resolves to its standard output. */
export async function ok(args: readonly string[], options?: RunOptions): Promise<Buffer> {
  const { code, stdout, stderr } = await run(args, options);
  if (code !== 0) throw new Error(`stonewal ${args.join(" ")} ended with ${code}: ${stderr}`);
  return stdout;
}

/** The LSNs that `append` has printed as durable, partial last line left out. */
export function durableLsns(stdout: Buffer): number[] {
  return [...stdout.toString().matchAll(/^durable (\d+)\n/gm)].map((match) => Number(match[1]));
}

export function lastDurable(stdout: Buffer): number {
  return durableLsns(stdout).at(-1) ?? 0;
}
