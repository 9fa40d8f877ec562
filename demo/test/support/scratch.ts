import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";

/** A directory that is removed when the test ends. */
export function scratchDir(): string {
  const dir = mkdtempSync(path.join(tmpdir(), "stonewal-demo-test-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function writeFile(dir: string, content: string | Uint8Array): string {
  const file = path.join(dir, "file");
  writeFileSync(file, content);
  return file;
}

/** A file's text, every line another one. */
export function numberedLines(count: number): string {
  return Array.from({ length: count }, (_, index) => `line ${index + 1} of ${count}\n`).join("");
}
