// Everything between a fresh clone and a built workspace, with nothing but Node.js, npm and a C++ compiler:
// the pinned pnpm, the dependencies as locked, the build. Says little, and nothing when all is up to date.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { findLiburing, installCommand, installLiburing } from "./liburing.mjs";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const rootPackage = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
const pnpmVersion = rootPackage.packageManager.replace(/^pnpm@/, "").replace(/\+.*$/, "");
const target = `${process.platform}-${process.arch}`;
const stampFile = path.join(root, "node_modules", ".cache", "stonewal", "setup.json");

/** An error whose message is the one line the user needs: what went wrong and what to do. */
export class SetupError extends Error {}

const say = (line) => console.log(`setup: ${line}`);

/** Environment of every child: no telemetry, no update notices. */
export const quietEnv = {
  ...process.env,
  TURBO_TELEMETRY_DISABLED: "1",
  TURBO_NO_UPDATE_NOTIFIER: "1",
  DO_NOT_TRACK: "1",
  // turbo and vitest colour their output for a pipe as well, unless told.
  ...(process.stdout.isTTY || process.env.FORCE_COLOR ? {} : { NO_COLOR: "1" }),
};

/**
 * Runs a command to its end. With `onLine` its output is captured, and each line is handed over as it comes;
 * without, the child writes to our own standard output and error.
 */
export function run(command, args, { cwd = root, env = quietEnv, onLine, shell = false, timeoutMs } = {}) {
  return new Promise((resolve) => {
    const stdio = onLine ? ["ignore", "pipe", "pipe"] : "inherit";
    const child = spawn(command, args, { cwd, env, timeout: timeoutMs, killSignal: "SIGKILL", stdio, shell });
    let output = "";
    let partial = "";
    const collect = (chunk) => {
      output += chunk;
      const lines = (partial + chunk).split("\n");
      partial = lines.pop();
      for (const line of lines) onLine(line);
    };
    child.stdout?.setEncoding("utf8").on("data", collect);
    child.stderr?.setEncoding("utf8").on("data", collect);
    // An interrupt reaches the whole foreground group: let the child end first and report how it ended.
    const ignoreInterrupt = () => {};
    process.on("SIGINT", ignoreInterrupt);
    const finish = (code, detail) => {
      process.off("SIGINT", ignoreInterrupt);
      resolve({ code, detail, output });
    };
    child.on("error", (error) => finish(127, error.message));
    child.on("close", (code, signal) => finish(code ?? 1, signal ? `killed by ${signal}` : `exit ${code}`));
  });
}

function checkNode() {
  const wanted = rootPackage.engines.node
    .match(/(\d+)\.(\d+)/)
    .slice(1)
    .map(Number);
  const actual = process.versions.node.split(".").map(Number);
  if (actual[0] < wanted[0] || (actual[0] === wanted[0] && actual[1] < wanted[1])) {
    throw new SetupError(
      `Node.js ${wanted.join(".")} or later is needed, this is ${process.version}: install a newer one from https://nodejs.org`,
    );
  }
}

/** Directories that hold a package.json of this workspace, the root first. */
export function workspaceDirs() {
  const packagesDir = path.join(root, "packages");
  const packages = readdirSync(packagesDir).map((name) => path.join(packagesDir, name));
  const others = ["demo", "bench", "campaign", "mutation", "packaging"].map((name) => path.join(root, name));
  return [root, ...packages, ...others].filter((dir) => existsSync(path.join(dir, "package.json")));
}

/** Changes when anything the installed node_modules depend on has changed. */
function installFingerprint() {
  const hash = createHash("sha256").update(`${target} ${process.versions.modules} ${pnpmVersion}`);
  const manifests = workspaceDirs().map((dir) => path.join(dir, "package.json"));
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", ...manifests]) {
    hash.update("\0").update(readFileSync(path.resolve(root, file)));
  }
  return hash.digest("hex");
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, "utf8"));
  } catch {
    return {};
  }
}

/** The folder with the pinned pnpm in npx's cache. Nothing is installed globally. */
async function fetchPnpm() {
  say(`fetching pnpm ${pnpmVersion}`);
  const printPath = 'console.log("\\nPATH=" + process.env.PATH)';
  const windows = process.platform === "win32";
  const script = windows ? `"${printPath.replaceAll('"', '\\"')}"` : printPath;
  const args = ["--yes", `--package=pnpm@${pnpmVersion}`, "--", "node", "-e", script];
  const result = await run("npx", args, { onLine: () => {}, shell: windows });
  const searchPath = result.output.match(/^PATH=(.*)$/m)?.[1] ?? "";
  const binDir = searchPath.split(path.delimiter).find((dir) => existsSync(path.join(dir, "pnpm")));
  if (result.code !== 0 || !binDir) {
    process.stderr.write(result.output.replace(/^PATH=.*$/m, ""));
    throw new SetupError(
      `pnpm ${pnpmVersion} could not be fetched through npx (${result.detail}): check the network and npm's registry setting`,
    );
  }
  return binDir;
}

function envWithPnpm(binDir) {
  return { ...quietEnv, PATH: `${binDir}${path.delimiter}${process.env.PATH ?? ""}` };
}

async function install(env) {
  say("installing dependencies");
  const reporter = process.stdout.isTTY ? "default" : "append-only";
  const args = ["install", "--frozen-lockfile", `--reporter=${reporter}`];
  const result = await run("pnpm", args, {
    env,
    shell: process.platform === "win32",
    ...(process.stdout.isTTY ? {} : { onLine: () => {} }),
  });
  if (result.code !== 0) {
    process.stderr.write(result.output);
    throw new SetupError(
      `pnpm install failed (${result.detail}): check the network; if package.json was edited, run npx pnpm@${pnpmVersion} install`,
    );
  }
}

/** Runs turbo with the pinned pnpm on its PATH. `options` as for `run`. */
export async function turbo(args, options = {}) {
  const binDir = readStamp().pnpmBinDir;
  const program = path.join(root, "node_modules", "turbo", "bin", "turbo");
  return run(process.execPath, [program, "run", ...args], { env: envWithPnpm(binDir), ...options });
}

async function build() {
  const result = await turbo(["build", "--output-logs=new-only", "--log-order=stream"], {
    onLine: (line) => {
      const package_ = line.match(/^(\S+):build: cache (?:miss|bypass)/);
      if (package_) say(`building ${package_[1]}`);
      // Run each time: scripts/build-addon.mjs knows itself when there is nothing to do.
      const addon = line.match(/^(\S+):build:native: \S+: building /);
      if (addon) say(`building ${addon[1]} (native addon)`);
    },
  });
  if (result.code === 0) return;
  const messages = taskMessages(result.output);
  const missing = messages.find((line) => line.includes("no C++ compiler"));
  if (missing) throw new SetupError(missing);
  process.stderr.write(messages.length > 0 ? `${messages.join("\n")}\n` : result.output);
  throw new SetupError(`the build failed (${result.detail}): the compiler's own message is above`);
}

/** What the tasks themselves printed, each line behind its package, without how turbo and pnpm ran them. */
function taskMessages(output) {
  return output
    .split("\n")
    .map((line) => line.match(/^(\S+):build(?::native)?: (.*)$/))
    .filter((match) => match && !/^(cache |\$ |\[ELIFECYCLE\]|\s*$)/.test(match[2]))
    .map((match) => `${match[1]}: ${match[2]}`);
}

/**
 * What the io_uring back end is built with: installed where that needs nobody's password, once; otherwise that back end is left
 * out, and said so; once it is installed, the next build makes it.
 */
function prepareLiburing(alreadyTried) {
  if (process.platform !== "linux") return;
  let liburing = findLiburing();
  if (liburing === undefined && !alreadyTried) {
    say("installing liburing-dev, for the io_uring back end");
    if (installLiburing()) liburing = findLiburing();
  }
  if (liburing !== undefined) return;
  const command = installCommand() ?? "install the development files of liburing";
  say(`going on without the io_uring back end: liburing is missing. To have it: ${command}`);
}

/** Makes the workspace ready to run: dependencies as locked, everything built. Throws SetupError. */
export async function setup() {
  checkNode();
  const fingerprint = installFingerprint();
  const stamp = readStamp();
  const havePnpm = stamp.pnpmVersion === pnpmVersion && existsSync(path.join(stamp.pnpmBinDir ?? "", "pnpm"));
  const pnpmBinDir = havePnpm ? stamp.pnpmBinDir : await fetchPnpm();
  const installed =
    stamp.fingerprint === fingerprint &&
    workspaceDirs().every((dir) => existsSync(path.join(dir, "node_modules", ".bin")));
  if (!installed) await install(envWithPnpm(pnpmBinDir));
  prepareLiburing(stamp.liburingTried === true);
  if (!installed || !havePnpm || !stamp.liburingTried) {
    mkdirSync(path.dirname(stampFile), { recursive: true });
    const done = { fingerprint, pnpmVersion, pnpmBinDir, liburingTried: true };
    writeFileSync(stampFile, `${JSON.stringify(done)}\n`);
  }
  await build();
}

/** Runs `main`, turns a SetupError into its one line, and sets the exit code to what `main` returns. */
export async function exitWith(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`setup: ${error.message}`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await exitWith(async () => {
    await setup();
    return 0;
  });
}
