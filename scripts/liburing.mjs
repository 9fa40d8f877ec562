// Where liburing is, for the compiler that builds the addons.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

function output(command, args, env = process.env) {
  const result = spawnSync(command, args, { encoding: "utf8", env });
  return result.error || result.status !== 0 ? undefined : result.stdout.trim();
}

const words = (text) => text?.split(/\s+/).filter(Boolean) ?? [];

/**
 * The flags that compile and link against liburing, and its version as far as it is known; `undefined` where its
 * headers are not installed. The static library where there is one: the addon then needs none where it runs. For another
 * machine (`cross`, as from `findTarget`) only the static library will do, as Debian's `liburing-dev:ARCH` has it.
 */
export function findLiburing({ compiler = process.env.CXX || "c++", cross = false, triple } = {}) {
  if (process.platform !== "linux") return undefined;
  const env = cross
    ? { ...process.env, PKG_CONFIG_LIBDIR: `/usr/lib/${triple}/pkgconfig:/usr/share/pkgconfig` }
    : process.env;
  const pkgConfig = (...args) => output("pkg-config", [...args, "liburing"], env);
  const cflags = words(pkgConfig("--cflags"));
  const preprocess = [...cflags, "-x", "c++", "-E", "-include", "liburing.h", "/dev/null"];
  if (output(compiler, preprocess) === undefined) return undefined;
  const libdir = pkgConfig("--variable=libdir");
  // Prints the bare name when the compiler knows of none.
  const found = output(compiler, ["-print-file-name=liburing.a"]);
  const archive = [libdir && path.join(libdir, "liburing.a"), found].find(
    (file) => file && path.isAbsolute(file) && existsSync(file),
  );
  // The headers found may be this machine's own.
  if (cross && archive === undefined) return undefined;
  const shared = words(pkgConfig("--libs"));
  return {
    cflags,
    ldflags: archive ? [archive] : shared.length > 0 ? shared : ["-luring"],
    version: pkgConfig("--modversion") ?? "unknown",
  };
}

const onPath = (program) =>
  (process.env.PATH ?? "").split(path.delimiter).some((dir) => existsSync(path.join(dir, program)));

const INSTALL = [
  ["apt-get", "apt-get install -y liburing-dev"],
  ["dnf", "dnf install -y liburing-devel"],
  ["zypper", "zypper install -y liburing-devel"],
  ["pacman", "pacman -S --noconfirm liburing"],
  ["apk", "apk add liburing-dev"],
];

/**
 * The command, for someone who may run it, that installs liburing's headers here, or those for another machine; `undefined` where
 * none is known.
 */
export function installCommand({ cross = false, debianArch } = {}) {
  if (cross) {
    return onPath("apt-get")
      ? `dpkg --add-architecture ${debianArch} && apt-get update && apt-get install -y liburing-dev:${debianArch}`
      : undefined;
  }
  const command = INSTALL.find(([program]) => onPath(program))?.[1];
  return command === undefined || process.getuid() === 0 ? command : `sudo ${command}`;
}

/** Installs it with `apt-get`, where that needs nobody's password: as root, or with sudo that asks for none. */
export function installLiburing() {
  if (!onPath("apt-get")) return false;
  const root = process.getuid() === 0;
  if (!root && output("sudo", ["-n", "true"]) === undefined) return false;
  const apt = (...args) => output(...(root ? ["apt-get", args] : ["sudo", ["-n", "apt-get", ...args]]));
  const install = ["install", "-y", "-qq", "--no-install-recommends", "liburing-dev"];
  // The lists of packages may be missing, or too old; fetching them takes longest.
  return (
    apt(...install) !== undefined || (apt("update", "-qq") !== undefined && apt(...install) !== undefined)
  );
}
