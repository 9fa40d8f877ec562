// Builds the native addon of the package in the current directory, by calling the C++ compiler directly:
// node-gyp would want Python and make too. native/*.cc becomes prebuilds/<platform>-<arch>/<package>.node.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const packageDir = process.cwd();
const name = path.basename(packageDir);
const nativeDir = path.join(packageDir, "native");
const outputDir = path.join(packageDir, "prebuilds", `${process.platform}-${process.arch}`);
const output = path.join(outputDir, `${name}.node`);
const stampFile = path.join(packageDir, "build", `addon-${process.platform}-${process.arch}.json`);

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

const nativeFiles = listFiles(nativeDir);
const sources = nativeFiles.filter((file) => /\.(cc|cpp|c\+\+)$/.test(file));
if (sources.length === 0) process.exit(0);

if (process.platform !== "linux" && process.platform !== "darwin") {
  // The loader gives a typed error that names the back ends which do work here; a build must not fail for it.
  console.log(`${name}: no native addon on ${process.platform}, skipped`);
  process.exit(0);
}

const packageRequire = createRequire(path.join(packageDir, "package.json"));
const addonApiDir = path.dirname(packageRequire.resolve("node-addon-api/package.json"));
const headersDir = path.join(
  path.dirname(packageRequire.resolve("node-api-headers/package.json")),
  "include",
);

const compiler = process.env.CXX || "c++";
const flags = [
  "-std=c++17",
  "-O2",
  "-fPIC",
  "-shared",
  "-fvisibility=hidden",
  "-Wall",
  "-Wextra",
  "-pthread",
  "-DNAPI_VERSION=8",
  "-DNODE_ADDON_API_DISABLE_DEPRECATED",
  "-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
  // As system headers, so that -Wextra speaks of our code only.
  "-isystem",
  addonApiDir,
  "-isystem",
  headersDir,
  ...(process.platform === "darwin"
    ? ["-undefined", "dynamic_lookup"]
    : // The addon must load where the C++ runtime is older than the one it was built with.
      ["-static-libstdc++", "-static-libgcc"]),
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
  readFileSync(path.join(addonApiDir, "package.json")),
  readFileSync(path.join(headersDir, "..", "package.json")),
  ...nativeFiles.flatMap((file) => [path.relative(packageDir, file), readFileSync(file)]),
);
if (existsSync(output) && existsSync(stampFile)) {
  const stamp = JSON.parse(readFileSync(stampFile, "utf8"));
  if (stamp.inputs === inputs && stamp.output === sha256(readFileSync(output))) process.exit(0);
}

mkdirSync(outputDir, { recursive: true });
mkdirSync(path.dirname(stampFile), { recursive: true });
// Into a new file, then renamed over the old one: a process that has the old addon mapped must keep it whole.
const unfinished = `${output}.${process.pid}.tmp`;
const result = spawnSync(compiler, [...flags, "-o", unfinished, ...sources], { stdio: "inherit" });
if (result.error?.code === "ENOENT") {
  fail(
    process.platform === "darwin"
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
console.log(`${name}: built ${path.relative(packageDir, output)}`);
