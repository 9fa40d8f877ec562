// The architecture as a rule: who may import whom, and what reaches the disk, the clock and chance.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readSource, type Source, sourcesOf } from "./support/sources.js";
import { publicPackages, type WorkspacePackage } from "./support/workspace.js";

const BACK_END = { imports: ["@stonewal/io"] };

/** What each package may import of ours. A package that is not listed fails the test: decide its place first. */
const LAYERS: Readonly<Record<string, { readonly imports: readonly string[] }>> = {
  "@stonewal/io": { imports: [] },
  "@stonewal/record": { imports: [] },
  "@stonewal/io-pwrite": BACK_END,
  "@stonewal/io-sim": BACK_END,
  "@stonewal/io-uring": BACK_END,
  "@stonewal/dwb": { imports: ["@stonewal/io", "@stonewal/record"] },
  "@stonewal/recovery": { imports: ["@stonewal/dwb", "@stonewal/io", "@stonewal/record"] },
  "@stonewal/writer": {
    imports: ["@stonewal/dwb", "@stonewal/io", "@stonewal/record", "@stonewal/recovery"],
  },
  "@stonewal/threads": { imports: ["@stonewal/record", "@stonewal/writer"] },
  stonewal: {
    imports: [
      "@stonewal/dwb",
      "@stonewal/io",
      "@stonewal/io-pwrite",
      "@stonewal/io-uring",
      "@stonewal/record",
      "@stonewal/recovery",
      "@stonewal/threads",
      "@stonewal/writer",
    ],
  },
};

/** Only through the back end, so that a simulated disk sees everything. */
const PURE = ["@stonewal/record", "@stonewal/dwb", "@stonewal/recovery", "@stonewal/writer"];
const PURE_MODULES = ["node:crypto", "node:diagnostics_channel", "node:path", "node:perf_hooks", "node:zlib"];
const PURE_NAMES: Readonly<Record<string, readonly string[]>> = {
  "node:perf_hooks": ["createHistogram"],
  // Not the random numbers in it: those come from the back end.
  "node:crypto": ["createCipheriv", "createDecipheriv", "hkdfSync", "timingSafeEqual"],
};
const IMPURE_GLOBALS = new Set([
  "Date",
  "crypto",
  "fetch",
  "performance",
  "process",
  "require",
  "setImmediate",
  "setInterval",
  "setTimeout",
]);

/** `Date.now`, `process.hrtime`, …; when code runs in a turn of the event loop is no matter of the clock. */
const isImpureMember = (member: string) =>
  member === "Math.random" ||
  (member !== "process.nextTick" && IMPURE_GLOBALS.has(member.slice(0, member.indexOf("."))));

const packages = publicPackages();
const ours = new Set(packages.map(({ name }) => name));

const packageOf = (specifier: string) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

/** What in this source breaks the order of the layers. */
function wrongImports(source: Source, { name, dir, manifest }: WorkspacePackage): string[] {
  const allowed = LAYERS[name]?.imports ?? [];
  return source.imports.flatMap(({ specifier }) => {
    if (specifier.startsWith(".")) {
      const target = path.resolve(path.dirname(source.file), specifier);
      return target.startsWith(`${path.join(dir, "src")}${path.sep}`)
        ? []
        : [`${specifier} leaves the package`];
    }
    if (specifier.startsWith("node:")) return [];
    const imported = packageOf(specifier);
    if (specifier.includes("/src/") || specifier.includes("/dist/"))
      return [`${specifier} reaches inside ${imported}`];
    if (ours.has(imported) && !allowed.includes(imported)) return [`${name} must not import ${imported}`];
    if (manifest.dependencies?.[imported] === undefined) return [`${imported} is not among the dependencies`];
    return [];
  });
}

/** What in this source reaches the disk, the clock or chance past the back end. */
function impurities(source: Source): string[] {
  const modules = source.imports.flatMap(({ specifier, names, typeOnly }) => {
    if (typeOnly || !specifier.startsWith("node:")) return [];
    if (!PURE_MODULES.includes(specifier)) return [specifier];
    const allowed = PURE_NAMES[specifier];
    return allowed === undefined ? [] : names.filter((name) => !allowed.includes(name));
  });
  const globals = source.globals.filter((name) => IMPURE_GLOBALS.has(name));
  return [...modules, ...globals, ...source.members.filter(isImpureMember)];
}

describe("layers", () => {
  it.each(packages)("$name has a place, and depends only on what lies below it", ({ name, manifest }) => {
    expect(Object.keys(LAYERS)).toContain(name);
    const dependencies = Object.keys(manifest.dependencies ?? {}).filter((dependency) =>
      ours.has(dependency),
    );
    expect(LAYERS[name]?.imports).toEqual(expect.arrayContaining(dependencies));
  });

  it.each(packages)(
    "$name imports only what lies below it, by its public entry points",
    (workspacePackage) => {
      const sources = sourcesOf(workspacePackage.dir);
      expect(sources.length).toBeGreaterThan(0);
      const wrong = sources.flatMap((source) =>
        wrongImports(source, workspacePackage).map((reason) => `${source.file}: ${reason}`),
      );
      expect(wrong).toEqual([]);
    },
  );

  it("dwb takes nothing but checksums from record", () => {
    const dwb = packages.find(({ name }) => name === "@stonewal/dwb") as WorkspacePackage;
    const names = sourcesOf(dwb.dir).flatMap(({ imports }) =>
      imports.flatMap(({ specifier, names }) => (specifier === "@stonewal/record" ? names : [])),
    );
    for (const name of names) expect(name).toMatch(/crc|checksum/i);
  });

  it.each(packages.filter(({ name }) => PURE.includes(name)))(
    "$name reaches disk, clock and chance through the back end alone",
    ({ dir }) => {
      const found = sourcesOf(dir).flatMap((source) =>
        impurities(source).map((reason) => `${source.file}: ${reason}`),
      );
      expect(found).toEqual([]);
    },
  );
});

describe("these rules can fail", () => {
  const writer = packages.find(({ name }) => name === "@stonewal/writer") as WorkspacePackage;
  const source = (text: string) => readSource(path.join(writer.dir, "src", "example.ts"), text);

  it.each([
    ['import { pwrite } from "@stonewal/io-pwrite";', "@stonewal/writer must not import @stonewal/io-pwrite"],
    ['export * from "stonewal";', "@stonewal/writer must not import stonewal"],
    ['const a = await import("@stonewal/io-sim");', "@stonewal/writer must not import @stonewal/io-sim"],
    ['import { a } from "../../record/src/frame.js";', "../../record/src/frame.js leaves the package"],
    ['import type { A } from "@stonewal/io/src/a.js";', "@stonewal/io/src/a.js reaches inside @stonewal/io"],
    ['import leftPad from "left-pad";', "left-pad is not among the dependencies"],
  ])("%s", (text, reason) => {
    expect(wrongImports(source(text), writer)).toEqual([reason]);
  });

  it.each([
    ['import { readFileSync } from "node:fs";', "node:fs"],
    ['import { setTimeout as sleep } from "node:timers/promises";', "node:timers/promises"],
    ['import { createHistogram, performance as clock } from "node:perf_hooks";', "performance"],
    ["export const now = () => Date.now();", "Date.now"],
    ["export const now = () => new Date();", "Date"],
    ["export const now = () => process.hrtime();", "process.hrtime"],
    ["export const dice = () => Math.random();", "Math.random"],
    ["export const dice = () => globalThis.Math.random();", "Math.random"],
    ["export const later = (f: () => void) => setTimeout(f, 1);", "setTimeout"],
    ["export const id = () => globalThis.crypto.randomUUID();", "crypto.randomUUID"],
  ])("%s", (text, reason) => {
    expect(impurities(source(text))).toEqual([reason]);
  });

  it("and speak only of code", () => {
    const text = `// Date.now() and Math.random() are not for us.
      import type { Stats } from "node:fs";
      export const said = (stats: Stats, record: { Date: number }) => {
        process.nextTick(() => stats);
        return ["Date.now()", record.Date];
      };`;
    expect(impurities(source(text))).toEqual([]);
  });
});
