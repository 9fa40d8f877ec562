// Builds fault-shim.cc, once per content, and makes the environment for a child whose system calls are to fail. Its
// first lines say what the rules look like. Linux only; plain JavaScript, so that children run by node can use it too.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("./fault-shim.cc", import.meta.url));
const CONTROL_BYTES = 8192;
const RULES_BYTES = 4088;

/** Path of the library for LD_PRELOAD. */
export function faultShim() {
  const source = readFileSync(SOURCE);
  const digest = createHash("sha256").update(source).update(process.arch).digest("hex").slice(0, 16);
  const library = join(tmpdir(), `stonewal-fault-shim-${process.getuid()}-${digest}.so`);
  if (existsSync(library)) return library;
  // Built under another name and renamed, because test files run side by side.
  const directory = mkdtempSync(join(tmpdir(), "stonewal-fault-shim-"));
  const unfinished = join(directory, "shim.so");
  const compiler = process.env.CXX || "c++";
  const flags = [
    "-std=c++17",
    "-O1",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-pthread",
    "-Wall",
    "-Wextra",
  ];
  const built = spawnSync(compiler, [...flags, "-o", unfinished, SOURCE, "-ldl"], { encoding: "utf8" });
  try {
    if (built.error) throw built.error;
    if (built.status !== 0) throw new Error(`${compiler} cannot build ${SOURCE}:\n${built.stderr}`);
    renameSync(unfinished, library);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return library;
}

/** Behind what is preloaded already: a sanitizer's runtime has to come first. */
function preloaded(env) {
  return [env.LD_PRELOAD, faultShim()].filter(Boolean).join(":");
}

/** Environment of a child with these rules in force from its start. */
export function faultEnvironment(rules, env = process.env) {
  return { ...env, LD_PRELOAD: preloaded(env), STONEWAL_FAULTS: rules };
}

/** Makes the control file through which a child started with `controlEnvironment(path)` can be given rules later. */
export function createFaultControl(path) {
  const fd = openSync(path, "wx");
  writeSync(fd, new Uint8Array(CONTROL_BYTES), 0, CONTROL_BYTES, 0);
  closeSync(fd);
}

export function controlEnvironment(path, env = process.env) {
  return { ...env, LD_PRELOAD: preloaded(env), STONEWAL_FAULTS_CONTROL: path };
}

/** Puts rules in force; all counts start again at the next intercepted call. */
export function armFaults(path, rules) {
  const text = Buffer.from(`${rules}\0`);
  if (text.length > RULES_BYTES) throw new RangeError(`fault rules of ${text.length} bytes`);
  const fd = openSync(path, "r+");
  try {
    writeSync(fd, text, 0, text.length, 8);
    // The counts as well, at once: until the next call they would be those of the rules before.
    writeSync(fd, new Uint8Array(24), 0, 24, 4096);
    const generation = new Uint32Array(1);
    readSync(fd, generation, 0, 4, 0);
    generation[0] += 1;
    writeSync(fd, generation, 0, 4, 0);
  } finally {
    closeSync(fd);
  }
}

/** What happened since `armFaults`. */
export function faultCounts(path) {
  const fd = openSync(path, "r");
  try {
    const counts = new BigUint64Array(3);
    readSync(fd, counts, 0, 24, 4096);
    const [applied, overlappedSyncs, calls] = Array.from(counts, Number);
    return { applied, overlappedSyncs, calls };
  } finally {
    closeSync(fd);
  }
}
