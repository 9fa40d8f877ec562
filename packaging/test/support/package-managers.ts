import { mustRun, run } from "./command.js";
import { readManifest, root } from "./workspace.js";

export type PackageManager = (args: readonly string[], cwd: string) => Promise<string>;

export const npm: PackageManager = (args, cwd) => mustRun("npm", args, { cwd });

/** The pinned pnpm: on PATH where `npm test` runs the tests. */
export const pnpm: PackageManager = async (args, cwd) => {
  const pinned = readManifest(root).packageManager as string;
  const onPath = await run("pnpm", ["--version"], { cwd });
  if (onPath.code === 0 && pinned === `pnpm@${onPath.stdout.trim()}`) return mustRun("pnpm", args, { cwd });
  return mustRun("npx", ["--yes", pinned, ...args], { cwd });
};
