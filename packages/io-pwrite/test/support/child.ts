import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scratchRoot } from "./subject.mjs";

const PACKAGE = fileURLToPath(new URL("../..", import.meta.url));

const PRELUDE = `
  const { pwrite } = await import("@stonewal/io-pwrite");
  const { readFile } = await import("node:fs/promises");
  const io = pwrite();
  const directory = process.env.SCRATCH;
  const report = (value) => process.stdout.write(JSON.stringify(value));
  const outcome = (call) => call.then(() => "resolved", ({ code, errno, step, message }) => ({ code, errno, step, message }));
`;

/**
 * Runs a program of ES module code in a process of its own, with `io`, `directory` (empty), `outcome` and
 * `report(value)`; resolves to the value that it reported. `limit`: its RLIMIT_FSIZE, a multiple of 512 bytes.
 */
export async function runChild<T>(
  body: string,
  options: { env?: NodeJS.ProcessEnv; limit?: number } = {},
): Promise<T> {
  const directory = await mkdtemp(join(scratchRoot, "stonewal-pwrite-"));
  try {
    const node = [process.execPath, "--input-type=module", "--eval", PRELUDE + body];
    // POSIX counts in blocks of 512 bytes.
    const limited = ["/bin/sh", "-c", `ulimit -f ${(options.limit ?? 0) / 512}; exec "$@"`, "sh", ...node];
    const [command = "", ...flags] = options.limit === undefined ? node : limited;
    const env = { ...(options.env ?? process.env), SCRATCH: directory };
    const child = spawn(command, flags, { cwd: PACKAGE, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (errors += chunk));
    const [code, signal] = await once(child, "close");
    if (code !== 0) throw new Error(`the child ended with ${code ?? signal}:\n${output}${errors}`);
    return JSON.parse(output) as T;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
