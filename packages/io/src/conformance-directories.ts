import assert from "node:assert/strict";
import type { IoBackend } from "./backend.js";
import {
  assertBytes,
  type Bench,
  pattern,
  patterned,
  readBytes,
  regionOf,
  rejection,
  type Scenario,
} from "./conformance-subject.js";

export function directoryTests(): Scenario[] {
  return [listing, renaming, replacing, unlinking, syncing];
}

async function makeFile(io: IoBackend, path: string, seed: number): Promise<void> {
  const file = await io.open(path, { access: "create" });
  await io.submit([{ kind: "write", file, region: regionOf(patterned(io, 100, seed)), offset: 0 }]);
  await file.close();
}

async function assertFile(io: IoBackend, path: string, seed: number): Promise<void> {
  const file = await io.open(path, { access: "read" });
  assertBytes(await readBytes(io, file, 0, 200), pattern(100, seed), path);
  await file.close();
}

const listing: Scenario = {
  name: "directory: a listing is complete and sorted, files and directories alike",
  async run(bench) {
    const io = bench.backend();
    const names = [
      "b",
      "a",
      "B",
      "10",
      "9",
      "00000000000000000002-1.wal",
      "00000000000000000001-1.wal",
      "ä",
      ".hidden",
    ];
    for (const name of names) await makeFile(io, bench.path(name), 1);
    await io.makeDirectory(bench.path("c"));
    assert.deepEqual(await io.list(bench.directory), [...names, "c"].sort());
    assert.deepEqual(await io.list(bench.path("c")), []);
    await rejection(io.makeDirectory(bench.path("c")), "IO_EXISTS");
    await rejection(io.makeDirectory(bench.path("a")), "IO_EXISTS");
    await rejection(io.makeDirectory(bench.path("none/d")), "IO_NOT_FOUND");
    await rejection(io.list(bench.path("none")), "IO_NOT_FOUND");
  },
};

const renaming: Scenario = {
  name: "directory: a rename moves the file whole, an open one too, and a directory",
  async run(bench) {
    const io = bench.backend();
    await makeFile(io, bench.path("a"), 1);
    await io.makeDirectory(bench.path("d"));
    await io.rename(bench.path("a"), bench.path("d/b"));
    assert.deepEqual(await io.list(bench.directory), ["d"]);
    await assertFile(io, bench.path("d/b"), 1);
    const open = await io.open(bench.path("d/b"), { access: "write" });
    await io.rename(bench.path("d/b"), bench.path("c"));
    assertBytes(await readBytes(io, open, 0, 200), pattern(100, 1), "through a file opened before");
    await io.rename(bench.path("d"), bench.path("e"));
    assert.deepEqual(await io.list(bench.directory), ["c", "e"]);
    await rejection(io.rename(bench.path("none"), bench.path("f")), "IO_NOT_FOUND");
    await rejection(io.rename(bench.path("c"), bench.path("none/f")), "IO_NOT_FOUND");
    assert.deepEqual(await io.list(bench.directory), ["c", "e"]);
  },
};

const replacing: Scenario = {
  name: "directory: a rename never replaces, a file or a directory, not even by itself",
  async run(bench) {
    const io = bench.backend();
    await makeFile(io, bench.path("a"), 1);
    await makeFile(io, bench.path("b"), 2);
    await io.makeDirectory(bench.path("d"));
    for (const to of ["b", "d", "a"])
      await rejection(io.rename(bench.path("a"), bench.path(to)), "IO_EXISTS");
    await makeEmpty(bench, io);
    assert.deepEqual(await io.list(bench.directory), ["a", "b", "d", "empty"]);
    await assertFile(io, bench.path("a"), 1);
    await assertFile(io, bench.path("b"), 2);
  },
};

/** A replacement that is harmless is one all the same. */
async function makeEmpty(bench: Bench, io: IoBackend): Promise<void> {
  await (await io.open(bench.path("empty"), { access: "create" })).close();
  await rejection(io.rename(bench.path("a"), bench.path("empty")), "IO_EXISTS");
}

const unlinking: Scenario = {
  name: "directory: an unlinked file is gone by name, and stays readable where it is open",
  async run(bench) {
    const io = bench.backend();
    await makeFile(io, bench.path("a"), 1);
    await makeFile(io, bench.path("b"), 2);
    const open = await io.open(bench.path("a"), { access: "read" });
    await io.unlink(bench.path("a"));
    assert.deepEqual(await io.list(bench.directory), ["b"]);
    assertBytes(await readBytes(io, open, 0, 200), pattern(100, 1), "the open file");
    await rejection(io.unlink(bench.path("a")), "IO_NOT_FOUND");
    await rejection(io.open(bench.path("a"), { access: "read" }), "IO_NOT_FOUND");
    await makeFile(io, bench.path("a"), 3);
    await assertFile(io, bench.path("a"), 3);
  },
};

const syncing: Scenario = {
  name: "directory: one can be synced, a missing one is IO_NOT_FOUND",
  async run(bench) {
    const io = bench.backend();
    await makeFile(io, bench.path("a"), 1);
    await io.syncDirectory(bench.directory);
    await io.makeDirectory(bench.path("d"));
    await io.syncDirectory(bench.path("d"));
    await rejection(io.syncDirectory(bench.path("none")), "IO_NOT_FOUND");
    await rejection(io.syncDirectory(bench.path("a")), "IO_NOT_FOUND");
  },
};
