// `node scripts/check-addon.mjs [--target=NAME] [--glibc=VERSION] FILE...`: what each addon asks of the machine it is loaded on, and
// whether that is more than the published ones may ask. Needs binutils' objdump.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findTarget, GLIBC_BASELINE, LIBRARIES } from "./prebuild-targets.mjs";

function objdump(program, option, file) {
  const result = spawnSync(program, [option, file], { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  if (result.error) throw new Error(`${program} could not be started: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`${program} ${option} ${file}: ${result.stderr.trim()}`);
  return result.stdout;
}

function isNewer(version, than) {
  const [a, b] = [version, than].map((text) => text.split(".").map(Number));
  const at = [0, 1, 2].find((index) => (a[index] ?? 0) !== (b[index] ?? 0));
  return at !== undefined && (a[at] ?? 0) > (b[at] ?? 0);
}

/** The newest glibc version an addon needs, and every reason for which it must not be published. */
export function inspectAddon(file, { program = "objdump", baseline = GLIBC_BASELINE } = {}) {
  const libraries = [...objdump(program, "-p", file).matchAll(/^\s*NEEDED\s+(\S+)$/gm)].map(
    ([, name]) => name,
  );
  const undefinedSymbols = objdump(program, "-T", file)
    .split("\n")
    .filter((line) => line.includes("*UND*"))
    .map((line) => {
      const [, version, symbol] = line.trim().match(/(?:\(?([A-Z][A-Za-z]*_[\d.A-Z_a-z]+)\)?\s+)?(\S+)$/);
      return { version, symbol, weak: /^\S+\s+w\s/.test(line) };
    });
  const versions = undefinedSymbols.flatMap(({ version, symbol }) => {
    const glibc = version?.match(/^GLIBC_([\d.]+)$/)?.[1];
    return glibc === undefined ? [] : [{ symbol, version: glibc }];
  });
  // A file whose symbols could not be read must not pass for one that needs nothing.
  if (versions.length === 0) throw new Error(`${program} -T ${file} lists no symbol of glibc`);
  const newest = versions.reduce((max, { version }) => (isNewer(version, max) ? version : max), "0");
  const problems = [
    ...libraries.filter((name) => !LIBRARIES.test(name)).map((name) => `it needs the library ${name}`),
    ...versions
      .filter(({ version }) => isNewer(version, baseline))
      .map(({ symbol, version }) => `${symbol} needs glibc ${version}, newer than ${baseline}`),
    ...undefinedSymbols
      .filter(({ version }) => version !== undefined && !version.startsWith("GLIBC_"))
      .map(({ version, symbol }) => `${symbol} needs ${version}`),
    // Calls are bound when they are made: one that nobody has would not be missed at loading.
    ...undefinedSymbols
      .filter(({ version, symbol, weak }) => version === undefined && !weak && !/^(napi|uv)_/.test(symbol))
      .map(({ symbol }) => `${symbol} is neither glibc's nor Node.js's`),
  ];
  return { libraries, newest, problems };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { target: { type: "string" }, glibc: { type: "string" } },
  });
  const program = findTarget(values.target ?? `${process.platform}-${process.arch}`)?.objdump ?? "objdump";
  for (const file of positionals) {
    const { libraries, newest, problems } = inspectAddon(file, { program, baseline: values.glibc });
    const shown = path.relative(process.cwd(), file);
    console.log(`${shown}: glibc ${newest}; ${libraries.join(", ")}`);
    for (const problem of problems) console.error(`${shown}: ${problem}`);
    if (problems.length > 0) process.exitCode = 1;
  }
}
