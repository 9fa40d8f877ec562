// Packs what is published as it would be published, and installs it with npm into an empty project, no scripts allowed.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { npm, type PackageManager, pnpm } from "./package-managers.js";
import { publicPackages, readManifest, root, type WorkspacePackage } from "./workspace.js";

declare module "vitest" {
  interface ProvidedContext {
    /** The project into which everything is installed. */
    readonly projectDir: string;
    /** Name of each published package, where it lies in the workspace, and its tarball. */
    readonly tarballs: readonly { readonly name: string; readonly dir: string; readonly file: string }[];
    /** Tarball by name of everything a program needs, ours and theirs. */
    readonly dependencies: Readonly<Record<string, string>>;
  }
}

export default async function installPacked(project: TestProject): Promise<() => void> {
  const scratch = realpathSync(mkdtempSync(path.join(tmpdir(), "stonewal-packaging-")));
  const removeScratch = () => rmSync(scratch, { recursive: true, force: true });
  try {
    const tarballDir = path.join(scratch, "tarballs");
    mkdirSync(tarballDir);
    const packages = publicPackages();
    const ours = [];
    for (const { name, dir } of packages) ours.push({ name, dir, file: await pack(pnpm, dir, tarballDir) });
    // What they depend on, and what a TypeScript program needs, comes from the workspace: the tests need no network.
    const theirs = [];
    for (const { name, dir } of [...thirdParty(packages), ...typesForNode()]) {
      theirs.push({ name, file: await pack(npm, dir, tarballDir) });
    }
    const projectDir = path.join(scratch, "project");
    const dependencies = Object.fromEntries(
      [...ours, ...theirs].map(({ name, file }) => [name, `file:${file}`]),
    );
    await install(projectDir, dependencies);
    project.provide("projectDir", projectDir);
    project.provide("tarballs", ours);
    project.provide("dependencies", dependencies);
  } catch (error) {
    removeScratch();
    throw error;
  }
  return removeScratch;
}

/** Path of the package's new tarball. */
async function pack(packer: PackageManager, dir: string, destination: string): Promise<string> {
  const before = new Set(readdirSync(destination));
  await packer(["pack", "--pack-destination", destination], dir);
  const [created] = readdirSync(destination).filter((name) => !before.has(name));
  if (created === undefined) throw new Error(`packing ${dir} left no tarball in ${destination}`);
  return path.join(destination, created);
}

interface Installed {
  readonly name: string;
  readonly dir: string;
}

/** Everything that is not ours and that the packages bring along, as the workspace has it installed. */
function thirdParty(packages: readonly WorkspacePackage[]): Installed[] {
  const ours = new Set(packages.map(({ name }) => name));
  const found = new Map<string, Installed>();
  const visit = (dir: string): void => {
    for (const name of Object.keys(readManifest(dir).dependencies ?? {})) {
      if (ours.has(name) || found.has(name)) continue;
      const dependency = installedDir(name, dir);
      found.set(name, { name, dir: dependency });
      visit(dependency);
    }
  };
  for (const { dir } of packages) visit(dir);
  return [...found.values()];
}

function typesForNode(): Installed[] {
  const types = installedDir("@types/node", path.join(root, "packaging"));
  return [
    { name: "@types/node", dir: types },
    { name: "undici-types", dir: installedDir("undici-types", types) },
  ];
}

/** Where `name` is found from a package; by looking, because not every package exports its package.json. */
function installedDir(name: string, from: string): string {
  const require = createRequire(path.join(realpathSync(from), "package.json"));
  const places = (require.resolve.paths(name) ?? []).map((place) => path.join(place, name));
  const place = places.find((dir) => existsSync(path.join(dir, "package.json")));
  if (place === undefined) throw new Error(`${name} is not installed where ${from} would find it`);
  return realpathSync(place);
}

async function install(projectDir: string, dependencies: Readonly<Record<string, string>>): Promise<void> {
  mkdirSync(projectDir);
  writeFileSync(
    path.join(projectDir, "package.json"),
    `${JSON.stringify({ name: "consumer", version: "1.0.0", private: true, dependencies }, null, 2)}\n`,
  );
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  await npm(["install", "--offline", "--ignore-scripts", ...quiet], projectDir);
}
