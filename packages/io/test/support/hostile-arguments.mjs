import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fuzzing } from "../../../../fuzzing.mjs";

const PROGRAM = fileURLToPath(new URL("./hostile-program.mjs", import.meta.url));
/** What a call with a large number may write, in blocks of 512 bytes. */
const FILE_LIMIT = 4096;

function addonOf(name) {
  const target = `${process.platform}-${process.arch}`;
  return fileURLToPath(new URL(`../../../${name}/prebuilds/${target}/${name}.node`, import.meta.url));
}

/**
 * Calls an addon with `runs` hostile lists of arguments, handles of the `other` addon among them, in a process of its own. Rejects if that
 * crashes, or if a call is anything but an error that did nothing, or an answer.
 */
export async function callWithHostileArguments(name, other, runs) {
  const directory = await mkdtemp(join(tmpdir(), "stonewal-hostile-"));
  const { seed, numRuns } = fuzzing(runs);
  const node = [process.execPath, PROGRAM, addonOf(name), addonOf(other), String(seed), String(numRuns)];
  const limited = ["-c", `ulimit -f ${FILE_LIMIT}; exec "$@"`, "sh", ...node];
  try {
    await promisify(execFile)("/bin/sh", limited, { cwd: directory, maxBuffer: 2 ** 30 });
  } catch (error) {
    const { code, signal, stdout, stderr } = error;
    const last = stdout.trimEnd().split("\n").slice(-3).join("\n");
    throw new Error(`STONEWAL_SEED=${seed}: the calls ended with ${code ?? signal}:\n${stderr}\n${last}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
