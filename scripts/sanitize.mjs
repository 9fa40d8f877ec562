// `npm run test:sanitize`: the tests of the addons, conformance kit, lifetimes, interrupted system calls and hostile arguments, with the
// addons' own code under AddressSanitizer and UndefinedBehaviorSanitizer. Linux, GCC or Clang as $CXX. STONEWAL_FUZZ=n: n times as many
// hostile calls. Arguments go to vitest: `npm run test:sanitize -- lifetime`.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { exitWith, root, setup } from "./setup.mjs";

const CHECKS = "address,undefined,float-cast-overflow,float-divide-by-zero";
const FLAGS = `-fsanitize=${CHECKS} -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1`;
const BUILDS = [
  { name: "io-pwrite", output: "io-pwrite.node" },
  { name: "io-uring", output: "io-uring.node" },
  { name: "io-uring", output: "faults-io-uring.node", define: "STONEWAL_FAULTS" },
];

function succeeds(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", ...options });
  if (error) console.error(error.message);
  return status === 0;
}

function libraryOf(compiler, name) {
  const { stdout } = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: "utf8" });
  const file = stdout?.trim() ?? "";
  if (!path.isAbsolute(file))
    throw new Error(`${compiler} has no ${name}: AddressSanitizer is not installed`);
  return file;
}

await exitWith(async () => {
  if (process.platform !== "linux") {
    console.error("a sanitized addon is loaded with LD_PRELOAD, on Linux only");
    return 2;
  }
  await setup();
  const compiler = process.env.CXX || "c++";
  const script = path.join(root, "scripts", "build-addon.mjs");
  for (const { name, output, define } of BUILDS) {
    const args = [script, `--output=build/sanitized/${output}`];
    if (define !== undefined) args.push(`--define=${define}`);
    const cwd = path.join(root, "packages", name);
    if (!succeeds(process.execPath, args, { cwd, env: { ...process.env, CXXFLAGS: FLAGS } })) return 1;
  }
  const env = {
    ...process.env,
    LD_PRELOAD: libraryOf(compiler, "libasan.so"),
    NODE_OPTIONS: `--import=${path.join(root, "scripts", "sanitized-addons.mjs")}`,
    // Node.js itself leaks at its end what the system takes back anyway.
    ASAN_OPTIONS: "detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=1",
    UBSAN_OPTIONS: "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
  };
  const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
  let passed = true;
  for (const name of new Set(BUILDS.map((build) => build.name))) {
    const cwd = path.join(root, "packages", name);
    const args = [vitest, "run", "--passWithNoTests", ...process.argv.slice(2)];
    passed = succeeds(process.execPath, args, { cwd, env }) && passed;
  }
  return passed ? 0 : 1;
});
