// Where liburing is, for the compiler that builds the addons.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

function output(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8" });
  return result.error || result.status !== 0 ? undefined : result.stdout.trim();
}

const words = (text) => text?.split(/\s+/).filter(Boolean) ?? [];

/**
 * The flags that compile and link against liburing, and its version as far as it is known; `undefined` where its
 * headers are not installed. The static library where there is one: the addon then needs none where it runs.
 */
export function findLiburing(compiler = process.env.CXX || "c++") {
  if (process.platform !== "linux") return undefined;
  const cflags = words(output("pkg-config", ["--cflags", "liburing"]));
  const preprocess = [...cflags, "-x", "c++", "-E", "-include", "liburing.h", "/dev/null"];
  if (output(compiler, preprocess) === undefined) return undefined;
  const libdir = output("pkg-config", ["--variable=libdir", "liburing"]);
  // Prints the bare name when the compiler knows of none.
  const found = output(compiler, ["-print-file-name=liburing.a"]);
  const archive = [libdir && path.join(libdir, "liburing.a"), found].find(
    (file) => file && path.isAbsolute(file) && existsSync(file),
  );
  const shared = words(output("pkg-config", ["--libs", "liburing"]));
  return {
    cflags,
    ldflags: archive ? [archive] : shared.length > 0 ? shared : ["-luring"],
    version: output("pkg-config", ["--modversion", "liburing"]) ?? "unknown",
  };
}
