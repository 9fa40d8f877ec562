import assert from "node:assert/strict";
import type { Step } from "./backend.js";
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

export function lifecycleTests(): Scenario[] {
  return [closeFileInFlight, closeBackendInFlight, closedFile, closedBackend, many, clock, randomness];
}

/** Work enough that closing overtakes it if it does not wait. */
const IN_FLIGHT_BYTES = 4 * 2 ** 20;

const closeFileInFlight: Scenario = {
  name: "close: a file with chains in flight waits for them, and they succeed",
  async run(bench) {
    const io = bench.backend();
    for (let round = 0; round < 5; round++) {
      const file = await io.open(bench.path(`f${round}`), { access: "create" });
      const settled: string[] = [];
      const arena = patterned(io, IN_FLIGHT_BYTES, round);
      const chains = [0, 1].map((n) => {
        const half = regionOf(arena, (n * IN_FLIGHT_BYTES) / 2, IN_FLIGHT_BYTES / 2);
        const chain: Step[] = [
          { kind: "write", file, region: half, offset: half.start },
          { kind: "sync", file },
        ];
        return io.submit(chain).then(() => settled.push("chain"));
      });
      const closing = file.close().then(() => settled.push("close"));
      await Promise.all([...chains, closing]);
      assert.deepEqual(settled, ["chain", "chain", "close"]);
      const again = await io.open(file.path, { access: "read" });
      assertBytes(await readBytes(io, again, 0, IN_FLIGHT_BYTES), arena.bytes, `round ${round}`);
    }
  },
};

const closeBackendInFlight: Scenario = {
  name: "close: a back end with chains and reads in flight waits for them, and closes its files",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    const settled: string[] = [];
    const region = regionOf(patterned(io, IN_FLIGHT_BYTES, 1));
    const target = regionOf(io.arena(BLOCK_BYTES));
    const work = [
      io
        .submit([
          { kind: "write", file, region, offset: 0 },
          { kind: "sync", file },
        ])
        .then(() => settled.push("work")),
      file.read(target, 0).then(() => settled.push("work")),
      io.open(bench.path("b"), { access: "create" }).then(() => settled.push("work")),
    ];
    const closing = io.close().then(() => settled.push("close"));
    await Promise.all([...work, closing]);
    assert.deepEqual(settled, ["work", "work", "work", "close"]);
    await rejection(file.size(), "IO_CLOSED");
    const other = bench.backend();
    const again = await other.open(file.path, { access: "read" });
    assertBytes(
      await readBytes(other, again, 0, IN_FLIGHT_BYTES),
      pattern(IN_FLIGHT_BYTES, 1),
      "the contents",
    );
  },
};

const closedFile: Scenario = {
  name: "close: a closed file refuses everything with IO_CLOSED, and closing it again is fine",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    const region = regionOf(io.arena(BLOCK_BYTES));
    const closing = file.close();
    // From the moment of the call, not only when it is done.
    await rejection(io.submit([{ kind: "sync", file }]), "IO_CLOSED");
    await Promise.all([closing, file.close()]);
    await file.close();
    await rejection(file.size(), "IO_CLOSED");
    await rejection(file.read(region, 0), "IO_CLOSED");
    await rejection(file.writeZeros(0, BLOCK_BYTES), "IO_CLOSED");
    await rejection(file.truncate(0), "IO_CLOSED");
    await rejection(file.sync(), "IO_CLOSED");
    await rejection(file.dropCache(), "IO_CLOSED");
    await rejection(io.submit([{ kind: "write", file, region, offset: 0 }]), "IO_CLOSED");
    const other = await io.open(bench.path("a"), { access: "write" });
    await other.sync();
  },
};

const closedBackend: Scenario = {
  name: "close: a closed back end refuses everything with IO_CLOSED, and closing it again is fine",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    await Promise.all([io.close(), io.close()]);
    await io.close();
    await file.close();
    await rejection(io.submit([]), "IO_CLOSED");
    await rejection(io.submit([{ kind: "sync", file }]), "IO_CLOSED");
    await rejection(file.sync(), "IO_CLOSED");
    await rejection(io.open(bench.path("a"), { access: "read" }), "IO_CLOSED");
    await rejection(io.list(bench.directory), "IO_CLOSED");
    await rejection(io.makeDirectory(bench.path("d")), "IO_CLOSED");
    await rejection(io.rename(bench.path("a"), bench.path("b")), "IO_CLOSED");
    await rejection(io.unlink(bench.path("a")), "IO_CLOSED");
    await rejection(io.syncDirectory(bench.directory), "IO_CLOSED");
    await rejection(io.lock(bench.path("l")), "IO_CLOSED");
    await rejection(io.isLocked(bench.path("l")), "IO_CLOSED");
    await rejection(io.probe(bench.directory), "IO_CLOSED");
    const other = bench.backend();
    assert.deepEqual(await other.list(bench.directory), ["a"]);
  },
};

const many: Scenario = {
  name: "close: hundreds of back ends are opened, used and closed",
  async run(bench) {
    for (let round = 0; round < 15; round++) {
      const backends = Array.from({ length: 20 }, () => bench.backend());
      await Promise.all(
        backends.map(async (io, n) => {
          const name = bench.path(`${round}-${n}`);
          const file = await io.open(name, { access: "create" });
          await io.submit([
            { kind: "write", file, region: regionOf(patterned(io, BLOCK_BYTES, n)), offset: 0 },
          ]);
          assertBytes(await readBytes(io, file, 0, BLOCK_BYTES), pattern(BLOCK_BYTES, n), name);
          await io.unlink(name);
          await io.close();
        }),
      );
    }
  },
};

const clock: Scenario = {
  name: "clock: time does not go back, and a timer fires once unless it is cancelled",
  async run(bench) {
    const { clock } = bench.backend();
    assert(Number.isSafeInteger(clock.now()) && clock.now() > 0);
    let last = clock.monotonic();
    for (let n = 0; n < 1000; n++) {
      const now = clock.monotonic();
      assert(now >= last, "monotonic time");
      last = now;
    }
    let cancelled = 0;
    clock.after(1, () => (cancelled += 1)).cancel();
    let fired = 0;
    const before = clock.monotonic();
    await new Promise<void>((resolve) => {
      clock.after(
        5,
        () => {
          fired += 1;
          clock.after(20, resolve, true);
        },
        true,
      );
    });
    assert(clock.monotonic() - before >= 20, "not before its time");
    assert.equal(fired, 1);
    assert.equal(cancelled, 0);
  },
};

const randomness: Scenario = {
  name: "random: as many bytes as asked for, never the same",
  async run(bench) {
    const io = bench.backend();
    const seen = new Set<string>();
    for (const bytes of [0, 1, 16, 1000]) assert.equal(io.random(bytes).length, bytes);
    for (let n = 0; n < 1000; n++) seen.add(Buffer.from(io.random(16)).toString("hex"));
    assert.equal(seen.size, 1000);
  },
};
