import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Step } from "@stonewal/io";
import { expect, test } from "vitest";
import { uring } from "../src/index.js";
import { scratchRoot } from "./support/subject.js";

const SOURCE = fileURLToPath(new URL("support/dirty-pages.c", import.meta.url));

/** Runs `use` with a function that counts the pages of a file that the disk has not got; or says why it can't. */
async function withDirtyPages(
  use: (directory: string, dirtyPages: (path: string) => number) => Promise<void>,
): Promise<string | undefined> {
  const directory = await mkdtemp(join(scratchRoot, "stonewal-uring-"));
  try {
    const program = join(directory, "dirty-pages");
    const built = spawnSync("cc", ["-O1", "-Wall", "-Wextra", "-o", program, SOURCE], { encoding: "utf8" });
    if (built.status !== 0)
      throw new Error(`cc cannot build ${SOURCE}:\n${built.error?.message ?? built.stderr}`);
    const asked = spawnSync(program, [program], { encoding: "utf8" });
    if (asked.status === 95) return asked.stderr.trim();
    await use(directory, (path) => {
      const { status, stdout, stderr } = spawnSync(program, [path], { encoding: "utf8" });
      if (status !== 0) throw new Error(`dirty-pages ended with ${status}: ${stderr}`);
      return Number(stdout);
    });
    return undefined;
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("after a sync, a durable write, or zeros, the disk has what was written; after a plain write it has not", async ({
  skip,
}) => {
  const unknown = await withDirtyPages(async (directory, dirtyPages) => {
    const io = uring();
    const file = await io.open(join(directory, "a"), { access: "create" });
    const { path } = file;
    const length = 64 * 1024;
    const arena = io.arena(length);
    const write = (durable: boolean): Step => ({
      kind: "write",
      file,
      region: { arena, start: 0, length },
      offset: 0,
      durable,
    });

    await file.writeZeros(0, 2 * length);
    expect(dirtyPages(path), "zeros").toBe(0);
    for (let round = 0; round < 3; round++) {
      // The measure itself: it must be able to see what is missing.
      await io.submit([write(false)]);
      expect(dirtyPages(path), "a plain write").toBeGreaterThan(0);
      await io.submit([{ kind: "sync", file }]);
      expect(dirtyPages(path), "a sync").toBe(0);
      await io.submit([write(true)]);
      expect(dirtyPages(path), "a durable write").toBe(0);
      await io.submit([write(false), write(true)]);
      expect(dirtyPages(path), "a durable write behind a plain one of the same range").toBe(0);
      await io.submit([write(false)]);
      await file.sync();
      expect(dirtyPages(path), "IoFile.sync").toBe(0);
    }
    await io.close();
  });
  if (unknown !== undefined) skip(unknown);
});
