// `npm run prebuilds`: both addons for every platform that is published from a Linux machine, each checked for what it asks of the
// machine it will be loaded on, and tried with that platform's Node.js. Not named prebuild: npm runs that before every build.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { inspectAddon } from "./check-addon.mjs";
import { findLiburing, installCommand } from "./liburing.mjs";
import { findTarget, GLIBC_BASELINE, targetNames } from "./prebuild-targets.mjs";
import { exitWith, quietEnv, root, run, SetupError, setup } from "./setup.mjs";

/** For a Node.js in an emulator to start and to write a log; it takes minutes where the machine is slow. */
const timeoutMs = 180_000;

const say = (line) => console.log(`prebuilds: ${line}`);

const findProgram = (names) =>
  names
    .flatMap((name) => (process.env.PATH ?? "").split(path.delimiter).map((dir) => path.join(dir, name)))
    .find((file) => existsSync(file));

/** The packages with an addon of their own. */
function addonPackages() {
  return ["io-pwrite", "io-uring"].map((name) => ({ name, dir: path.join(root, "packages", name) }));
}

/** The commands that install what is missing for these targets. */
function missingTools(targets) {
  const packages = targets.flatMap((target) => [
    ...(findProgram([target.compiler]) ? [] : [target.debianCompiler]),
    ...(findProgram([target.objdump]) ? [] : [target.cross ? target.debianCompiler : "binutils"]),
    ...(target.emulators && !findProgram(target.emulators) ? ["qemu-user-static"] : []),
  ]);
  return [
    ...(packages.length > 0 ? [`apt-get install -y ${[...new Set(packages)].join(" ")}`] : []),
    // Without its compiler nothing can be said of a target's liburing: it is asked for as well.
    ...targets
      .filter((target) => findLiburing(target) === undefined)
      .map(
        (target) => installCommand(target) ?? `install the development files of liburing for ${target.name}`,
      ),
  ];
}

/** Node.js for the target, from npm, kept in this checkout's cache. */
async function fetchNode({ package: name, version }) {
  const directory = path.join(root, "node_modules", ".cache", "stonewal", `${name}-${version}`);
  const program = path.join(directory, "package", "bin", "node");
  if (existsSync(program)) return program;
  say(`fetching ${name} ${version}`);
  const unfinished = `${directory}.${process.pid}.tmp`;
  mkdirSync(unfinished, { recursive: true });
  try {
    let output = "";
    const onLine = (line) => {
      output += `${line}\n`;
    };
    const packed = await run("npm", ["pack", `${name}@${version}`, "--pack-destination", unfinished], {
      onLine,
    });
    const tarball = path.join(unfinished, `${name}-${version}.tgz`);
    const done =
      packed.code === 0 && (await run("tar", ["-xzf", tarball, "-C", unfinished], { onLine })).code === 0;
    if (!done) throw new SetupError(`${name} ${version} could not be fetched from npm\n${output}`);
    rmSync(tarball);
    renameSync(unfinished, directory);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return program;
}

async function build(target) {
  for (const { name, dir } of addonPackages()) {
    const script = path.join(root, "scripts", "build-addon.mjs");
    const { code, detail } = await run(process.execPath, [script, `--target=${target.name}`], { cwd: dir });
    if (code !== 0) throw new SetupError(`${name} for ${target.name} was not built (${detail})`);
  }
}

/** Whether the target's addons may be published. */
function check(target) {
  return addonPackages().map(({ name, dir }) => {
    const file = path.join(dir, "prebuilds", target.name, `${name}.node`);
    const { newest, libraries, problems } = inspectAddon(file, { program: target.objdump });
    say(
      `${target.name}/${name}.node needs glibc ${newest} (${GLIBC_BASELINE} is allowed), ${libraries.join(", ")}`,
    );
    for (const problem of problems) console.error(`prebuilds: ${target.name}/${name}.node: ${problem}`);
    const readMe = readFileSync(path.join(dir, "README.md"), "utf8").replace(/\s+/g, " ");
    const stated = readMe.includes(`glibc ${GLIBC_BASELINE} or later`);
    if (!stated)
      console.error(`prebuilds: the README of ${name} does not say "glibc ${GLIBC_BASELINE} or later"`);
    return stated && problems.length === 0;
  });
}

/** "works", "fails", or why it could not be tried here. */
async function smoke(target) {
  const script = path.join(root, "scripts", "prebuild-smoke.mjs");
  const outcome = ({ code }) => (code === 0 ? "works" : "fails");
  // Node.js reads these certificates as it starts: minutes, in an emulator.
  const { NODE_EXTRA_CA_CERTS: _, ...env } = quietEnv;
  if (!target.cross) return outcome(await run(process.execPath, [script], { timeoutMs }));
  if (target.node === undefined) return "nothing here runs its programs";
  const emulator = findProgram(target.emulators);
  // All of it from the cross compiler's sysroot: a libc from elsewhere (liburing-dev:arm64 brings one, which the loader's default
  // paths would find) under that loader makes the first thread's creation go on for ever.
  const libraries = ["-E", `LD_LIBRARY_PATH=${target.sysroot}/lib`];
  const node = ["-L", target.sysroot, ...libraries, await fetchNode(target.node)];
  // An emulator that can't run Node.js at all says nothing of the addons.
  const started = await run(emulator, [...node, "-e", "0"], { env, timeoutMs });
  if (started.code !== 0) {
    return `${path.basename(emulator)} does not run Node.js ${target.node.version} here (${started.detail}, within ${timeoutMs / 1000} s)`;
  }
  return outcome(await run(emulator, [...node, script, "--emulated"], { env, timeoutMs }));
}

await exitWith(async () => {
  if (process.platform !== "linux") throw new SetupError("the addons for Linux are built on Linux");
  const targets = targetNames.map(findTarget);
  const commands = missingTools(targets);
  if (commands.length > 0) {
    throw new SetupError(`tools are missing. To have them (Debian, as root): ${commands.join(" && ")}`);
  }
  await setup();
  for (const target of targets) await build(target);
  const allowed = targets.flatMap(check).every(Boolean);
  const outcomes = new Map();
  for (const target of targets) outcomes.set(target.name, await smoke(target));
  for (const [name, outcome] of outcomes) {
    if (outcome === "works") continue;
    console.error(
      outcome === "fails"
        ? `prebuilds: the addons for ${name} don't work`
        : `prebuilds: the addons for ${name} were built and checked, but NOT tried: ${outcome}`,
    );
  }
  return allowed && ![...outcomes.values()].includes("fails") ? 0 : 1;
});
