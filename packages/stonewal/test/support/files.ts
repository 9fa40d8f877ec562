import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

// Beside the tests and not in the system's temporary directory, which may be a tmpfs without O_DIRECT.
const parent = fileURLToPath(new URL("../../test-results/", import.meta.url));
const made: string[] = [];

afterAll(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A new directory on a real file system, removed when the test file ends. */
export function scratch(): string {
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, "scratch-"));
  made.push(directory);
  return directory;
}

/** Names, sizes, times and contents of everything in a directory: two that are equal mean that nothing was changed. */
export function snapshot(directory: string): unknown[] {
  return readdirSync(directory)
    .sort()
    .map((name) => {
      const path = join(directory, name);
      const { size, mtimeMs, ctimeMs, mode, ino } = statSync(path);
      return { name, size, mtimeMs, ctimeMs, mode, ino, hash: hash(readFileSync(path)) };
    })
    .concat({ name: ".", ...times(directory) } as never);
}

function times(path: string) {
  const { mtimeMs, ctimeMs } = statSync(path);
  return { mtimeMs, ctimeMs };
}

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Paths of the segments, oldest first. */
export function segments(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".wal"))
    .sort()
    .map((name) => join(directory, name));
}

/** Overwrites bytes in the middle of a file. Not synced: a read past the page cache brings what is in it to the disk first. */
export function overwrite(path: string, offset: number, bytes: Uint8Array): void {
  const file = openSync(path, "r+");
  try {
    writeSync(file, bytes, 0, bytes.length, offset);
  } finally {
    closeSync(file);
  }
}

export function bytesAt(path: string, offset: number, length: number): Buffer {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(length);
    readSync(file, buffer, 0, length, offset);
    return buffer;
  } finally {
    closeSync(file);
  }
}

/** Changes every bit of one byte, and answers how to change it back. */
export function flip(path: string, offset: number): () => void {
  const byte = bytesAt(path, offset, 1);
  overwrite(path, offset, new Uint8Array([(byte[0] as number) ^ 0xff]));
  return () => overwrite(path, offset, byte);
}
