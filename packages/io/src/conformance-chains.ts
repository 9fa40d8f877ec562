import assert from "node:assert/strict";
import type { IoBackend, IoFile, Region, Step } from "./backend.js";
import {
  assertBytes,
  type Bench,
  BLOCK_BYTES,
  pattern,
  patterned,
  readBytes,
  regionOf,
  rejection,
  type Scenario,
} from "./conformance-subject.js";
import type { IoErrorCode } from "./errors.js";

export function chainTests(): Scenario[] {
  return [...inMode(false), ...inMode(true), emptyChain, foreignFile, readOnlyFile, misaligned];
}

const emptyChain: Scenario = {
  name: "chain: an empty chain resolves",
  run: async (bench) => bench.backend().submit([]),
};

const foreignFile: Scenario = {
  name: "chain: a file of another back end is refused",
  async run(bench) {
    const io = bench.backend();
    const other = await bench.backend().open(bench.path("a"), { access: "create" });
    const error = await rejection(io.submit([{ kind: "sync", file: other }]), "IO_ARGUMENT");
    assert.equal(error.step, 0);
  },
};

const readOnlyFile: Scenario = {
  name: "chain: a write to a file opened for reading is refused whole, a sync of it is not",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    const reader = await io.open(bench.path("a"), { access: "read" });
    const region = regionOf(patterned(io, BLOCK_BYTES, 1));
    const error = await rejection(
      io.submit([
        { kind: "write", file, region, offset: 0 },
        { kind: "write", file: reader, region, offset: 0 },
      ]),
      "IO_ARGUMENT",
    );
    assert.equal(error.step, 1);
    assert.equal(await file.size(), 0, "nothing of a refused chain is written");
    await io.submit([{ kind: "sync", file: reader }]);
  },
};

const misaligned: Scenario = {
  name: "chain: a misaligned step is refused with IO_ALIGNMENT and its number, and nothing is written (direct)",
  needs: ["direct"],
  async run(bench) {
    const { io, file } = await openFile(bench, true);
    assert(file.alignment > 1, "a direct file has an alignment");
    assert(BLOCK_BYTES % file.alignment === 0 || file.alignment % BLOCK_BYTES === 0);
    const unit = Math.max(file.alignment, BLOCK_BYTES);
    const arena = patterned(io, 4 * unit, 1);
    const good: Step = { kind: "write", file, region: regionOf(arena, 0, unit), offset: 0 };
    const half = file.alignment / 2;
    const bad: [Region, number][] = [
      [{ arena, start: half, length: unit }, 0],
      [{ arena, start: 0, length: unit + half }, 0],
      [{ arena, start: 0, length: unit }, half],
      [{ arena, start: 0, length: 1 }, 0],
    ];
    for (const [region, offset] of bad) {
      for (const durable of [false, true]) {
        const chain: Step[] = [
          good,
          { kind: "sync", file },
          { kind: "write", file, region, offset, durable },
        ];
        const error = await rejection(io.submit(chain), "IO_ALIGNMENT");
        assert.equal(error.step, 2);
        assert.match(error.message, new RegExp(`\\b${file.alignment}\\b`), "the message says what is needed");
      }
    }
    assert.equal(await file.size(), 0, "nothing of a refused chain is written");
    await rejection(file.read({ arena, start: half, length: unit }, 0), "IO_ALIGNMENT");
    await rejection(file.read({ arena, start: 0, length: unit }, half), "IO_ALIGNMENT");
    await rejection(file.read({ arena, start: 0, length: half }, 0), "IO_ALIGNMENT");
    await rejection(file.writeZeros(half, unit), "IO_ALIGNMENT");
    await rejection(file.writeZeros(0, half), "IO_ALIGNMENT");
    await io.submit([good]);
    assertBytes(await readBytes(io, file, 0, unit), arena.bytes.subarray(0, unit), "after a good chain");
  },
};

async function openFile(bench: Bench, direct: boolean, name = "a"): Promise<{ io: IoBackend; file: IoFile }> {
  const io = bench.backend();
  return { io, file: await io.open(bench.path(name), { access: "create", direct }) };
}

function inMode(direct: boolean): Scenario[] {
  const mode = direct ? "direct" : "buffered";
  const needs = direct ? (["direct"] as const) : [];
  return [
    {
      name: `chain: a later write of the same place wins (${mode})`,
      needs,
      async run(bench) {
        const { io, file } = await openFile(bench, direct);
        for (let round = 0; round < 20; round++) {
          const chain: Step[] = [];
          for (let n = 0; n < 10; n++) {
            const region = regionOf(patterned(io, 4 * BLOCK_BYTES, round * 100 + n));
            chain.push({ kind: "write", file, region, offset: 0, durable: n % 3 === 0 });
            if (n % 4 === 0) chain.push({ kind: "sync", file });
          }
          await io.submit(chain);
          const last = pattern(4 * BLOCK_BYTES, round * 100 + 9);
          assertBytes(await readBytes(io, file, 0, 4 * BLOCK_BYTES), last, `round ${round}`);
        }
      },
    },
    {
      name: `chain: a long one over two files puts every byte where it belongs (${mode})`,
      needs,
      async run(bench) {
        const { io, file } = await openFile(bench, direct);
        const other = await io.open(bench.path("b"), { access: "create", direct });
        const steps = 400;
        const arena = patterned(io, steps * BLOCK_BYTES, 3);
        const chain: Step[] = [];
        for (let n = 0; n < steps; n++) {
          const region = regionOf(arena, n * BLOCK_BYTES, BLOCK_BYTES);
          // The second file gets its blocks backwards.
          const offset = (n % 2 === 0 ? n >> 1 : (steps - 1 - n) >> 1) * BLOCK_BYTES;
          chain.push({
            kind: "write",
            file: n % 2 === 0 ? file : other,
            region,
            offset,
            durable: n % 97 === 0,
          });
        }
        chain.push({ kind: "sync", file }, { kind: "sync", file: other });
        await io.submit(chain);
        for (let n = 0; n < steps; n++) {
          const step = chain[n];
          assert(step?.kind === "write");
          const expected = arena.bytes.subarray(n * BLOCK_BYTES, (n + 1) * BLOCK_BYTES);
          assertBytes(await readBytes(io, step.file, step.offset, BLOCK_BYTES), expected, `step ${n}`);
        }
        assert.equal(await file.size(), (steps / 2) * BLOCK_BYTES);
      },
    },
    {
      name: `chain: many at once on one file all complete (${mode})`,
      needs,
      async run(bench) {
        const { io, file } = await openFile(bench, direct);
        await file.writeZeros(0, 64 * BLOCK_BYTES);
        const arena = patterned(io, 64 * BLOCK_BYTES, 4);
        const chains = Array.from({ length: 64 }, (_, n): Promise<void> => {
          const region = regionOf(arena, n * BLOCK_BYTES, BLOCK_BYTES);
          const write: Step = { kind: "write", file, region, offset: n * BLOCK_BYTES, durable: n % 3 === 0 };
          return io.submit(n % 2 === 0 ? [write, { kind: "sync", file }] : [write]);
        });
        await Promise.all(chains);
        assertBytes(await readBytes(io, file, 0, 64 * BLOCK_BYTES), arena.bytes, "all blocks");
      },
    },
    {
      name: `chain: what is wrong in itself is refused whole, with the step, and nothing is written (${mode})`,
      needs,
      async run(bench) {
        const { io, file } = await openFile(bench, direct);
        const closed = await io.open(bench.path("closed"), { access: "create", direct });
        await closed.close();
        const arena = patterned(io, 4 * BLOCK_BYTES, 5);
        const foreign = { bytes: new Uint8Array(BLOCK_BYTES) };
        const at = (start: number, length: number): Region => ({ arena, start, length });
        const write = (region: Region, offset: number): Step => ({ kind: "write", file, region, offset });
        const good = write(at(0, BLOCK_BYTES), 0);
        const bad: [string, Step, IoErrorCode][] = [
          ["a negative offset", write(at(0, BLOCK_BYTES), -BLOCK_BYTES), "IO_ARGUMENT"],
          ["a fractional offset", write(at(0, BLOCK_BYTES), 0.5), "IO_ARGUMENT"],
          ["an offset that is not a number", write(at(0, BLOCK_BYTES), Number.NaN), "IO_ARGUMENT"],
          ["an unsafe offset", write(at(0, BLOCK_BYTES), 2 ** 53), "IO_ARGUMENT"],
          ["an end past 2^53 - 1", write(at(0, BLOCK_BYTES), 2 ** 53 - BLOCK_BYTES), "IO_ARGUMENT"],
          ["a region behind its arena", write(at(BLOCK_BYTES, 4 * BLOCK_BYTES), 0), "IO_ARGUMENT"],
          ["a region before its arena", write(at(-BLOCK_BYTES, BLOCK_BYTES), 0), "IO_ARGUMENT"],
          ["an empty region", write(at(0, 0), 0), "IO_ARGUMENT"],
          ["a negative length", write(at(BLOCK_BYTES, -BLOCK_BYTES), 0), "IO_ARGUMENT"],
          [
            "memory that is no arena",
            write({ arena: foreign, start: 0, length: BLOCK_BYTES }, 0),
            "IO_ARGUMENT",
          ],
          ["a write to a closed file", { ...good, file: closed } as Step, "IO_CLOSED"],
          ["a sync of a closed file", { kind: "sync", file: closed }, "IO_CLOSED"],
          ["a step of no kind", { ...good, kind: "erase" } as unknown as Step, "IO_ARGUMENT"],
        ];
        for (const [what, step, code] of bad) {
          const error = await rejection(io.submit([good, { kind: "sync", file }, step, good]), code).catch(
            (cause) => {
              throw new Error(`${what}: ${(cause as Error).message}`, { cause });
            },
          );
          assert.equal(error.step, 2, what);
          assert.equal(await file.size(), 0, `${what}: nothing of a refused chain is written`);
        }
        await io.submit([good]);
      },
    },
    {
      name: `chain: offsets above 4 GiB and 1 TiB reach that place and no other (${mode})`,
      needs,
      async run(bench) {
        const { io, file } = await openFile(bench, direct);
        const offsets = [2 ** 32, 5 * 2 ** 30 + BLOCK_BYTES, 2 ** 40 - BLOCK_BYTES];
        for (const [n, offset] of offsets.entries()) {
          const region = regionOf(patterned(io, 2 * BLOCK_BYTES, 10 + n));
          await io.submit([
            { kind: "write", file, region, offset, durable: n === 1 },
            { kind: "sync", file },
          ]);
          assert.equal(await file.size(), offset + 2 * BLOCK_BYTES);
        }
        for (const [n, offset] of offsets.entries()) {
          const expected = pattern(2 * BLOCK_BYTES, 10 + n);
          assertBytes(await readBytes(io, file, offset, 2 * BLOCK_BYTES), expected, `at ${offset}`);
        }
        // Where an offset cut to 32 bits would have gone.
        assertBytes(await readBytes(io, file, 0, 2 * BLOCK_BYTES), new Uint8Array(2 * BLOCK_BYTES), "at 0");
        const folded = 2 ** 30 + BLOCK_BYTES;
        assertBytes(
          await readBytes(io, file, folded, BLOCK_BYTES),
          new Uint8Array(BLOCK_BYTES),
          `at ${folded}`,
        );
        await file.truncate(2 ** 33);
        assert.equal(await file.size(), 2 ** 33);
      },
    },
    {
      name: `chain: the largest offset works or is a typed error that names its step (${mode})`,
      needs,
      async run(bench) {
        const { io, file } = await openFile(bench, direct);
        const region = regionOf(patterned(io, BLOCK_BYTES, 1));
        // The last whole block that ends at or below 2^53 - 1.
        const offset = 2 ** 53 - 2 * BLOCK_BYTES;
        const chain: Step[] = [
          { kind: "write", file, region, offset: 0 },
          { kind: "write", file, region, offset },
          { kind: "write", file, region, offset: BLOCK_BYTES },
        ];
        const failed = await io.submit(chain).then(
          () => undefined,
          (error: unknown) => rejection(Promise.reject(error), "IO_FILE_LIMIT", "IO_NO_SPACE"),
        );
        if (failed === undefined) {
          assert.equal(await file.size(), offset + BLOCK_BYTES);
        } else {
          assert.equal(failed.step, 1);
          assert.equal(await file.size(), BLOCK_BYTES, "the step before ran, the one behind did not");
        }
      },
    },
  ];
}
