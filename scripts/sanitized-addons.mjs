// Preloaded (NODE_OPTIONS=--import=...) into every process of a sanitized run: where an addon is loaded, its sanitized build is.
import { existsSync } from "node:fs";
import path from "node:path";

const packages = path.join(import.meta.dirname, "..", "packages");
const target = `${process.platform}-${process.arch}`;

/** `build/sanitized/NAME.node` for a package's own addon, `build/sanitized/VARIANT-NAME.node` for a variant of its tests. */
function sanitized(file) {
  const [name, folder, variant, base, ...rest] = path.relative(packages, file).split(path.sep);
  if (base !== `${name}.node` || rest.length > 0) return file;
  const build =
    folder === "prebuilds" && variant === target
      ? base
      : folder === "build" && variant !== "sanitized"
        ? `${variant}-${base}`
        : undefined;
  const instead = path.join(packages, name, "build", "sanitized", build ?? "");
  return build !== undefined && existsSync(instead) ? instead : file;
}

const { dlopen } = process;
process.dlopen = (module, file, ...flags) => dlopen.call(process, module, sanitized(file), ...flags);
