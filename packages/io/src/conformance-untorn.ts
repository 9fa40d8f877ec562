import assert from "node:assert/strict";
import type { IoBackend, IoFile, Step, UntornLimits } from "./backend.js";
import {
  assertBytes,
  type Bench,
  BLOCK_BYTES,
  patterned,
  readBytes,
  regionOf,
  rejection,
  type Scenario,
} from "./conformance-subject.js";
import type { IoErrorCode } from "./errors.js";

/**
 * These run everywhere: a file says whether it offers untorn writes, and is held to what it says. That a crash tears none
 * of them is beyond a kit that can't cut the power.
 */
export function untornTests(): Scenario[] {
  return [buffered, direct];
}

/** A chain whose second step is refused has written nothing of its first either. */
async function refused(
  io: IoBackend,
  file: IoFile,
  write: { readonly length: number; readonly offset: number },
  code: IoErrorCode,
): Promise<void> {
  const before = await file.size();
  const chain: Step[] = [
    { kind: "write", file, region: regionOf(patterned(io, BLOCK_BYTES, 1)), offset: before },
    { kind: "write", file, region: regionOf(io.arena(write.length)), offset: write.offset, untorn: true },
  ];
  const error = await rejection(io.submit(chain), code);
  assert.equal(error.step, 1);
  assert.equal(await file.size(), before, "nothing of a refused chain is written");
}

const buffered: Scenario = {
  name: "untorn: a buffered file offers none, and refuses whole a chain that asks for one",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    assert.equal(file.untornWriteBytes, undefined);
    await refused(io, file, { length: BLOCK_BYTES, offset: 0 }, "IO_UNSUPPORTED");
  },
};

const direct: Scenario = {
  name: "untorn: a direct file makes the writes that it offers, and refuses whole a chain that asks for others",
  needs: ["direct"],
  async run(bench: Bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create", direct: true });
    const limits = file.untornWriteBytes;
    if (limits === undefined) {
      await refused(io, file, { length: BLOCK_BYTES, offset: 0 }, "IO_UNSUPPORTED");
      return;
    }
    const { atomicWriteBytes } = await io.probe(bench.directory);
    assert.equal(atomicWriteBytes, limits.max, "what the probe says of the directory");
    await offered(io, file, limits);
  },
};

async function offered(io: IoBackend, file: IoFile, { min, max }: UntornLimits): Promise<void> {
  for (const size of [min, max]) assert(Number.isInteger(Math.log2(size)), `${size} is a power of two`);
  assert(min <= max);
  await file.writeZeros(0, 4 * max);
  const unit = Math.max(min, file.alignment);
  await refused(io, file, { length: 2 * max, offset: 0 }, "IO_ARGUMENT");
  await refused(io, file, { length: 3 * unit, offset: 0 }, "IO_ARGUMENT");
  if (min > file.alignment) await refused(io, file, { length: min / 2, offset: 0 }, "IO_ARGUMENT");
  if (max > unit) await refused(io, file, { length: 2 * unit, offset: unit }, "IO_ARGUMENT");

  const small = patterned(io, unit, 2);
  const large = patterned(io, max, 3);
  await io.submit([
    { kind: "write", file, region: regionOf(small), offset: unit, untorn: true, durable: true },
    { kind: "write", file, region: regionOf(large), offset: 2 * max, untorn: true },
    { kind: "sync", file },
  ]);
  assertBytes(await readBytes(io, file, unit, unit), small.bytes, "the smallest untorn write");
  assertBytes(await readBytes(io, file, 2 * max, max), large.bytes, "the largest untorn write");
}
