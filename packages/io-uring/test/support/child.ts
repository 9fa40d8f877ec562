import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scratchRoot } from "./subject.js";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));

const PRELUDE = `
  const { uring } = await import("@stonewal/io-uring");
  const { readFile } = await import("node:fs/promises");
  const directory = process.env.SCRATCH;
  const report = (value) => process.stdout.write(JSON.stringify(value));
  const outcome = (call) => Promise.resolve(call).then(
    () => "resolved",
    ({ code, errno, syscall, step, message }) => ({ code, errno, syscall, step, message }),
  );
  const BLOCK = 4096;
`;

export interface ChildOptions {
  /** A command in front of node, which runs it as it is told. */
  readonly through?: readonly string[];
  /** An empty directory of its own, made and removed, when left out. */
  readonly directory?: string;
  readonly flags?: readonly string[];
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs a program of ES module code in a process of its own, with `uring`, `directory`, `outcome` and `report(value)`. */
export async function childEnd(body: string, options: ChildOptions = {}): Promise<Ended> {
  const { through = [], flags = [] } = options;
  const directory = options.directory ?? (await mkdtemp(join(scratchRoot, "stonewal-uring-")));
  try {
    const node = [process.execPath, ...flags, "--input-type=module", "--eval", PRELUDE + body];
    const [command = "", ...rest] = [...through, ...node];
    const env = { ...process.env, SCRATCH: directory };
    const child = spawn(command, rest, { cwd: PACKAGE, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (errors += chunk));
    const [code, signal] = await once(child, "close");
    return { code, signal, output, errors };
  } finally {
    if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
  }
}

/** As `childEnd`, of a program that ends well; resolves to the value that it reported. */
export async function runChild<T>(body: string, options: ChildOptions = {}): Promise<T> {
  const { code, signal, output, errors } = await childEnd(body, options);
  if (code !== 0) throw new Error(`the child ended with ${code ?? signal}:\n${output}${errors}`);
  return JSON.parse(output) as T;
}

/** In front of node: with that RLIMIT_FSIZE, a multiple of 512 bytes. POSIX counts in blocks of 512. */
export function fileSizeLimit(bytes: number): string[] {
  return ["/bin/sh", "-c", `ulimit -f ${bytes / 512}; exec "$@"`, "sh"];
}
