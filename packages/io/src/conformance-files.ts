import assert from "node:assert/strict";
import {
  assertBytes,
  BLOCK_BYTES,
  pattern,
  patterned,
  readBytes,
  regionOf,
  rejection,
  type Scenario,
} from "./conformance-subject.js";

export function fileTests(): Scenario[] {
  return [opening, readingOnly, bothModes, probing, ...inMode(false), ...inMode(true)];
}

const opening: Scenario = {
  name: "file: open tells a missing file from an existing one, and creating never replaces",
  async run(bench) {
    const io = bench.backend();
    await rejection(io.open(bench.path("a"), { access: "read" }), "IO_NOT_FOUND");
    await rejection(io.open(bench.path("a"), { access: "write" }), "IO_NOT_FOUND");
    await rejection(io.open(bench.path("none/a"), { access: "create" }), "IO_NOT_FOUND");
    assert.deepEqual(await io.list(bench.directory), []);
    const file = await io.open(bench.path("a"), { access: "create" });
    assert.equal(file.path, bench.path("a"));
    assert.equal(file.direct, false);
    assert.equal(file.alignment, 1);
    await io.submit([{ kind: "write", file, region: regionOf(patterned(io, 100, 1)), offset: 0 }]);
    await rejection(io.open(bench.path("a"), { access: "create" }), "IO_EXISTS");
    assertBytes(await readBytes(io, file, 0, 200), pattern(100, 1), "after a refused creation");
    await io.makeDirectory(bench.path("d"));
    const failed = await io.open(bench.path("d"), { access: "read" }).then(
      () => undefined,
      (error: Error) => error.name,
    );
    assert.equal(failed, "IoError", "a directory is no file");
    for (const path of ["", "a\0b"]) await rejection(io.open(path, { access: "read" }), "IO_ARGUMENT");
  },
};

const readingOnly: Scenario = {
  name: "file: one opened for reading changes nothing",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    await io.submit([{ kind: "write", file, region: regionOf(patterned(io, 100, 1)), offset: 0 }]);
    const reader = await io.open(bench.path("a"), { access: "read" });
    await rejection(reader.writeZeros(0, 10), "IO_ARGUMENT");
    await rejection(reader.truncate(0), "IO_ARGUMENT");
    await reader.sync();
    await reader.dropCache();
    assertBytes(await readBytes(io, reader, 0, 200), pattern(100, 1), "the contents");
  },
};

const bothModes: Scenario = {
  name: "file: what was written buffered and synced is read direct, and the other way round",
  needs: ["direct"],
  async run(bench) {
    const io = bench.backend();
    const buffered = await io.open(bench.path("a"), { access: "create" });
    const direct = await io.open(bench.path("a"), { access: "write", direct: true });
    const length = 16 * BLOCK_BYTES;
    for (let round = 0; round < 10; round++) {
      const [from, to] = round % 2 === 0 ? [buffered, direct] : [direct, buffered];
      const region = regionOf(patterned(io, length, round));
      await io.submit([
        { kind: "write", file: from, region, offset: 0 },
        { kind: "sync", file: from },
      ]);
      assertBytes(await readBytes(io, to, 0, length), pattern(length, round), `round ${round}`);
    }
  },
};

const probing: Scenario = {
  name: "probe: what it says of a directory is what opening a file there finds",
  async run(bench) {
    const io = bench.backend();
    const facts = await io.probe(bench.directory);
    assert.deepEqual(await io.list(bench.directory), [], "probing leaves nothing behind");
    const powerOfTwo = (value: number) =>
      Number.isSafeInteger(value) && value > 0 && Number.isInteger(Math.log2(value));
    assert(powerOfTwo(facts.physicalBlockBytes) && facts.physicalBlockBytes >= 512, "physicalBlockBytes");
    assert(facts.atomicWriteBytes === 0 || powerOfTwo(facts.atomicWriteBytes), "atomicWriteBytes");
    assert.notEqual(facts.fileSystem, "");
    assert.notEqual(facts.durableWrite, "");
    assert.equal(typeof facts.remote, "boolean");
    if (facts.direct === undefined) {
      assert.match(facts.directUnavailable ?? "", /\S/, "a reason");
      await rejection(io.open(bench.path("a"), { access: "create", direct: true }), "IO_UNSUPPORTED");
    } else {
      assert.equal(facts.directUnavailable, undefined);
      assert(powerOfTwo(facts.direct.alignment), "alignment");
      const file = await io.open(bench.path("a"), { access: "create", direct: true });
      assert.equal(file.direct, true);
      assert.equal(file.alignment, facts.direct.alignment);
    }
    await rejection(io.probe(bench.path("none")), "IO_NOT_FOUND");
  },
};

function inMode(direct: boolean): Scenario[] {
  const mode = direct ? "direct" : "buffered";
  const needs = direct ? (["direct"] as const) : [];
  return [
    {
      name: `file: a read is short only at the end of the file, and touches only its region (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path("a"), { access: "create", direct });
        const written = patterned(io, 4 * BLOCK_BYTES, 1);
        await io.submit([{ kind: "write", file, region: regionOf(written), offset: 0 }]);
        // An end in the middle of a block, which a direct read can't ask for.
        await file.truncate(3 * BLOCK_BYTES + 1000);
        const arena = io.arena(8 * BLOCK_BYTES);
        const cases: [offset: number, length: number, expected: number][] = [
          [0, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES],
          [BLOCK_BYTES, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES],
          [0, 4 * BLOCK_BYTES, 3 * BLOCK_BYTES + 1000],
          [0, 6 * BLOCK_BYTES, 3 * BLOCK_BYTES + 1000],
          [3 * BLOCK_BYTES, 2 * BLOCK_BYTES, 1000],
          [4 * BLOCK_BYTES, BLOCK_BYTES, 0],
          [2 ** 40, BLOCK_BYTES, 0],
          [0, 0, 0],
        ];
        for (const [offset, length, expected] of cases) {
          arena.bytes.fill(0xee);
          const got = await file.read(regionOf(arena, BLOCK_BYTES, length), offset);
          assert.equal(got, expected, `${length} bytes at ${offset}`);
          const place = arena.bytes.subarray(BLOCK_BYTES, BLOCK_BYTES + got);
          assertBytes(place, written.bytes.subarray(offset, offset + got), `${length} bytes at ${offset}`);
          const before = arena.bytes.subarray(0, BLOCK_BYTES);
          const behind = arena.bytes.subarray(BLOCK_BYTES + length);
          assert(
            before.every((byte) => byte === 0xee),
            "bytes before the region",
          );
          assert(
            behind.every((byte) => byte === 0xee),
            "bytes behind the region",
          );
        }
      },
    },
    {
      name: `file: a read that is wrong in itself is refused (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path("a"), { access: "create", direct });
        const arena = io.arena(2 * BLOCK_BYTES);
        await rejection(file.read({ arena, start: BLOCK_BYTES, length: 2 * BLOCK_BYTES }, 0), "IO_ARGUMENT");
        await rejection(file.read({ arena, start: -BLOCK_BYTES, length: BLOCK_BYTES }, 0), "IO_ARGUMENT");
        await rejection(file.read({ arena, start: 0, length: Number.NaN }, 0), "IO_ARGUMENT");
        await rejection(file.read({ arena, start: 0, length: BLOCK_BYTES }, -BLOCK_BYTES), "IO_ARGUMENT");
        await rejection(file.read({ arena, start: 0, length: BLOCK_BYTES }, 2 ** 53), "IO_ARGUMENT");
        const foreign = { bytes: new Uint8Array(BLOCK_BYTES) };
        await rejection(file.read({ arena: foreign, start: 0, length: BLOCK_BYTES }, 0), "IO_ARGUMENT");
      },
    },
    {
      name: `file: writeZeros extends, overwrites its range and nothing else (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path("a"), { access: "create", direct });
        const large = 3 * 2 ** 20 + 5 * BLOCK_BYTES;
        await file.writeZeros(0, large);
        assert.equal(await file.size(), large);
        assertBytes(await readBytes(io, file, 0, large + BLOCK_BYTES), new Uint8Array(large), "new zeros");
        const arena = patterned(io, 8 * BLOCK_BYTES, 1);
        await io.submit([{ kind: "write", file, region: regionOf(arena), offset: 0 }]);
        await file.writeZeros(2 * BLOCK_BYTES, 3 * BLOCK_BYTES);
        assert.equal(await file.size(), large, "zeros inside the file leave its length");
        const expected = arena.bytes.slice();
        expected.fill(0, 2 * BLOCK_BYTES, 5 * BLOCK_BYTES);
        assertBytes(await readBytes(io, file, 0, 8 * BLOCK_BYTES), expected, "zeros over data");
        await file.writeZeros(0, 0);
        for (const [offset, length] of [
          [-BLOCK_BYTES, BLOCK_BYTES],
          [0, -BLOCK_BYTES],
          [0, Number.NaN],
          [2 ** 53, BLOCK_BYTES],
          [2 ** 53 - BLOCK_BYTES, BLOCK_BYTES],
        ] as const) {
          await rejection(file.writeZeros(offset, length), "IO_ARGUMENT");
        }
        assertBytes(await readBytes(io, file, 0, 8 * BLOCK_BYTES), expected, "after refused calls");
      },
    },
    {
      name: `file: truncate shortens and lengthens with zeros (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path("a"), { access: "create", direct });
        await io.submit([
          { kind: "write", file, region: regionOf(patterned(io, 4 * BLOCK_BYTES, 1)), offset: 0 },
        ]);
        await file.truncate(BLOCK_BYTES);
        assert.equal(await file.size(), BLOCK_BYTES);
        await file.truncate(4 * BLOCK_BYTES);
        assert.equal(await file.size(), 4 * BLOCK_BYTES);
        const expected = new Uint8Array(4 * BLOCK_BYTES);
        expected.set(pattern(4 * BLOCK_BYTES, 1).subarray(0, BLOCK_BYTES));
        assertBytes(await readBytes(io, file, 0, 4 * BLOCK_BYTES), expected, "cut bytes do not come back");
        for (const length of [-1, 0.5, 2 ** 53, Number.NaN])
          await rejection(file.truncate(length), "IO_ARGUMENT");
      },
    },
    {
      name: `file: what was synced is still there when the cache is dropped (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path("a"), { access: "create", direct });
        const length = 64 * BLOCK_BYTES;
        await io.submit([
          { kind: "write", file, region: regionOf(patterned(io, length, 1)), offset: 0 },
          { kind: "sync", file },
        ]);
        await file.dropCache();
        assertBytes(await readBytes(io, file, 0, length), pattern(length, 1), "from the device");
        await file.sync();
        await file.dropCache();
        const again = await io.open(bench.path("a"), { access: "read", direct });
        assertBytes(await readBytes(io, again, 0, length), pattern(length, 1), "through another open file");
      },
    },
  ];
}
