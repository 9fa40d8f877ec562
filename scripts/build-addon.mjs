// Builds the native addon of the package in the current directory, by calling the C++ compiler directly:
// node-gyp would want Python and make too. native/*.cc, with what @stonewal/io has for every addon, becomes
// prebuilds/<platform>-<arch>/<package>.node. With `--define=NAME` (repeatable) and `--output=FILE` it becomes a variant
// for tests. With `--target=linux-arm64` it is cross-compiled, with the target's own compiler.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { parseArgs } from "node:util";
import { findLiburing, installCommand } from "./liburing.mjs";
import { findTarget, targetNames } from "./prebuild-targets.mjs";

const { values: options } = parseArgs({
  options: {
    define: { type: "string", multiple: true, default: [] },
    output: { type: "string" },
    target: { type: "string" },
  },
});

const packageDir = process.cwd();
const name = path.basename(packageDir);
const nativeDir = path.join(packageDir, "native");
const target = options.target ?? `${process.platform}-${process.arch}`;
const platform = target.slice(0, target.indexOf("-"));
const toolchain = findTarget(target);
const output = path.resolve(options.output ?? path.join("prebuilds", target, `${name}.node`));
const outputDir = path.dirname(output);
const variant = options.output === undefined ? "" : `-${path.basename(output, ".node")}`;
const stampFile = path.join(packageDir, "build", `addon-${target}${variant}.json`);
// Says why there is no addon, for the loader.
const missingFile = path.join(outputDir, `${name}.missing.txt`);

function fail(message) {
  console.error(message);
  process.exit(1);
}

function listFiles(dir) {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

if (toolchain === undefined) fail(`no target ${target}: there are ${targetNames.join(", ")}`);
if (listFiles(nativeDir).length === 0) process.exit(0);
const packageRequire = createRequire(path.join(packageDir, "package.json"));
const packageJson = packageRequire("./package.json");
const sharedDir = path.join(path.dirname(packageRequire.resolve("@stonewal/io/package.json")), "native");
const nativeFiles = [...listFiles(nativeDir), ...listFiles(sharedDir)];
const sources = nativeFiles.filter((file) => /\.(cc|cpp|c\+\+)$/.test(file));

const { platforms, library } = { platforms: ["linux", "darwin"], ...packageJson.addon };
if (!platforms.includes(platform)) {
  // The loader gives a typed error that names the back ends which do work here; a build must not fail for it.
  console.log(`${name}: no native addon on ${platform}, skipped`);
  process.exit(0);
}

const liburing = library === "liburing" ? findLiburing(toolchain) : undefined;
// Whoever asks for another machine's addon wants to publish it.
if (library === "liburing" && liburing === undefined && toolchain.cross) {
  fail(`no liburing for ${target}: ${installCommand(toolchain) ?? "install its development files"}`);
}
if (library === "liburing" && liburing === undefined) {
  const reason =
    "it was not built here, because liburing is not installed (Debian, Ubuntu: apt-get install liburing-dev; " +
    "Fedora: dnf install liburing-devel; Alpine: apk add liburing-dev)";
  mkdirSync(outputDir, { recursive: true });
  // An addon of an earlier build would outlive its library.
  rmSync(output, { force: true });
  writeFileSync(missingFile, `${reason}\n`);
  console.log(`${name}: no native addon: ${reason}`);
  process.exit(0);
}
const addonApiDir = path.dirname(packageRequire.resolve("node-addon-api/package.json"));
const headersDir = path.join(
  path.dirname(packageRequire.resolve("node-api-headers/package.json")),
  "include",
);

const { compiler } = toolchain;
const flags = [
  "-std=c++17",
  "-O2",
  "-fPIC",
  "-shared",
  "-fvisibility=hidden",
  "-ffunction-sections",
  "-fdata-sections",
  "-Wall",
  "-Wextra",
  "-pthread",
  "-DNAPI_VERSION=8",
  "-DNODE_ADDON_API_DISABLE_DEPRECATED",
  "-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
  ...options.define.map((define) => `-D${define}`),
  "-I",
  sharedDir,
  // As system headers, so that -Wextra speaks of our code only.
  "-isystem",
  addonApiDir,
  "-isystem",
  headersDir,
  ...(platform === "darwin"
    ? ["-undefined", "dynamic_lookup"]
    : // The addon must load where the C++ runtime is older than the one it was built with; and what it does not use of that
      // runtime would need a glibc as new as the build's (arc4random, 2.36).
      ["-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections"]),
  ...(liburing?.cflags ?? []),
  ...(process.env.CXXFLAGS?.split(/\s+/).filter(Boolean) ?? []),
];

const sha256 = (...chunks) => {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk).update("\0");
  return hash.digest("hex");
};

// Compared by content, not by time: a checkout or a restored cache moves times both ways.
const inputs = sha256(
  compiler,
  ...flags,
  ...(liburing?.ldflags ?? []),
  liburing?.version ?? "",
  readFileSync(path.join(addonApiDir, "package.json")),
  readFileSync(path.join(headersDir, "..", "package.json")),
  ...nativeFiles.flatMap((file) => [path.relative(packageDir, file), readFileSync(file)]),
);
if (existsSync(output) && existsSync(stampFile)) {
  const stamp = JSON.parse(readFileSync(stampFile, "utf8"));
  if (stamp.inputs === inputs && stamp.output === sha256(readFileSync(output))) process.exit(0);
}

console.log(`${name}: building ${path.relative(packageDir, output)}`);
mkdirSync(outputDir, { recursive: true });
mkdirSync(path.dirname(stampFile), { recursive: true });
// Into a new file, then renamed over the old one: a process that has the old addon mapped must keep it whole.
const unfinished = `${output}.${process.pid}.tmp`;
rmSync(missingFile, { force: true });
const result = spawnSync(compiler, [...flags, "-o", unfinished, ...sources, ...(liburing?.ldflags ?? [])], {
  stdio: "inherit",
});
if (result.error?.code === "ENOENT") {
  if (toolchain.cross) {
    fail(`no C++ compiler for ${target}: apt-get install -y ${toolchain.debianCompiler} (Debian, Ubuntu)`);
  }
  fail(
    platform === "darwin"
      ? `no C++ compiler: ${compiler} is not on PATH; install the command line tools (xcode-select --install) or set CXX`
      : `no C++ compiler: ${compiler} is not on PATH; install g++ or clang++ (for example: apt-get install g++) or set CXX`,
  );
}
if (result.error || result.status !== 0) {
  rmSync(unfinished, { force: true });
  fail(
    `the addon does not compile (${compiler}: ${result.error?.message ?? `exit ${result.status ?? result.signal}`})`,
  );
}
renameSync(unfinished, output);
writeFileSync(stampFile, `${JSON.stringify({ inputs, output: sha256(readFileSync(output)) })}\n`);
