import { mkdtempSync, writeFileSync } from "node:fs";
import path from "node:path";
import { inject } from "vitest";
import { mustRun } from "./command.js";

export const projectDir: string = inject("projectDir");

/** A new directory from which the installed packages resolve. */
export function scratchDir(): string {
  return mkdtempSync(path.join(projectDir, "scratch-"));
}

/** Runs a program's text as a file of that name in the project. Resolves to what it printed. */
export async function runProgram(name: string, text: string, cwd = scratchDir()): Promise<string> {
  writeFileSync(path.join(cwd, name), text);
  return mustRun(process.execPath, [name], { cwd });
}
