import assert from "node:assert/strict";
import {
  assertBytes,
  BLOCK_BYTES,
  pattern,
  patterned,
  readBytes,
  regionOf,
  type Scenario,
} from "./conformance-subject.js";

export function arenaTests(): Scenario[] {
  return [sizes, aligned, collected];
}

const sizes: Scenario = {
  name: "arena: zero-filled and of the size asked for; a size that makes no sense is IO_ARGUMENT",
  async run(bench) {
    const io = bench.backend();
    for (const size of [1, 511, BLOCK_BYTES, 65537, 2 ** 20]) {
      const { bytes } = io.arena(size);
      assert.equal(bytes.length, size);
      assertBytes(bytes, new Uint8Array(size), "a new arena");
    }
    for (const size of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.throws(
        () => io.arena(size),
        (error: Error & { code?: string }) => error.name === "IoError" && error.code === "IO_ARGUMENT",
        `${size} bytes`,
      );
    }
  },
};

const aligned: Scenario = {
  name: "arena: every one starts where direct I/O can (direct)",
  needs: ["direct"],
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create", direct: true });
    const size = Math.max(BLOCK_BYTES, file.alignment);
    const kept = [];
    for (let n = 0; n < 50; n++) {
      // Odd sizes in between, so that the next one would not be aligned by accident.
      kept.push(io.arena(n * 37 + 1));
      const arena = patterned(io, size, n);
      kept.push(arena);
      await io.submit([{ kind: "write", file, region: regionOf(arena), offset: 0 }]);
      assertBytes(await readBytes(io, file, 0, size), pattern(size, n), `arena ${n}`);
    }
  },
};

const collected: Scenario = {
  name: "arena: memory in flight is not collected when its user has let go of it",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    const size = 2 ** 20;
    const count = 48;
    const collect = (globalThis as { gc?: () => void }).gc;
    const chains: Promise<void>[] = [];
    for (let n = 0; n < count; n++) {
      const arena = patterned(io, size, n);
      chains.push(io.submit([{ kind: "write", file, region: regionOf(arena), offset: n * size }]));
      // Garbage, so that the collector runs while the chain is in flight (at once, where it can be called).
      for (let k = 0; k < 4; k++) new Uint8Array(size).fill(0xff);
      collect?.();
    }
    await Promise.all(chains);
    for (let n = 0; n < count; n++) {
      assertBytes(await readBytes(io, file, n * size, size), pattern(size, n), `chain ${n}`);
    }
  },
};
