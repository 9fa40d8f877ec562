import assert from "node:assert/strict";
import type { Step } from "./backend.js";
import {
  assertBytes,
  BLOCK_BYTES,
  type ConformanceFault,
  pattern,
  patterned,
  readBytes,
  regionOf,
  rejection,
  type Scenario,
} from "./conformance-subject.js";
import type { IoErrorCode } from "./errors.js";

export function faultTests(): Scenario[] {
  return [...inMode(false), ...inMode(true)];
}

const LENGTH = 8 * BLOCK_BYTES;

function inMode(direct: boolean): Scenario[] {
  const mode = direct ? "direct" : "buffered";
  const needs = direct ? (["faults", "direct"] as const) : (["faults"] as const);
  const FILE = "faulty";
  const fault = (call: ConformanceFault["call"], effect: ConformanceFault["effect"], nth = 1, times = 1) => ({
    call,
    path: FILE,
    nth,
    times,
    effect,
  });

  const repeated: [what: string, calls: ConformanceFault["call"][], effect: ConformanceFault["effect"]][] = [
    ["a short write is completed", ["write"], { kind: "short", bytes: BLOCK_BYTES }],
    ["an interrupted call is made again", ["write", "sync"], { kind: "EINTR" }],
  ];
  const harmless: Scenario[] = repeated.flatMap(([what, calls, effect]) =>
    calls.flatMap((call) =>
      [false, true].map(
        (durable): Scenario => ({
          name: `fault: ${what} (${call}, ${durable ? "durable writes" : "writes and syncs"}, ${mode})`,
          needs,
          async run(bench) {
            const io = bench.backend();
            const file = await io.open(bench.path(FILE), { access: "create", direct });
            await file.writeZeros(0, 4 * LENGTH);
            const armed = bench.arm(fault(call, effect, 1, 3));
            const arena = patterned(io, 2 * LENGTH, 1);
            const chain: Step[] = [
              { kind: "write", file, region: regionOf(arena, 0, LENGTH), offset: 0, durable },
              { kind: "write", file, region: regionOf(arena, LENGTH, LENGTH), offset: LENGTH, durable },
            ];
            if (!durable) chain.push({ kind: "sync", file });
            await io.submit(chain);
            assert(armed.applied() > 0, "the fault happened");
            assertBytes(await readBytes(io, file, 0, 2 * LENGTH), arena.bytes, "what was written");
            const behind = await readBytes(io, file, 2 * LENGTH, 2 * LENGTH);
            assertBytes(behind, new Uint8Array(2 * LENGTH), "what lies behind");
          },
        }),
      ),
    ),
  );

  const failing: [kind: "EIO" | "ENOSPC", code: IoErrorCode][] = [
    ["EIO", "IO_WRITE_FAILED"],
    ["ENOSPC", "IO_NO_SPACE"],
  ];
  const failedWrites: Scenario[] = failing.flatMap(([kind, code]) =>
    [0, 1, 2].map(
      (step): Scenario => ({
        name: `fault: ${kind} in step ${step} is ${code} with that step, and no later step runs (${mode})`,
        needs,
        async run(bench) {
          const io = bench.backend();
          const file = await io.open(bench.path(FILE), { access: "create", direct });
          await file.writeZeros(0, 3 * LENGTH);
          const arena = patterned(io, 3 * LENGTH, 1);
          const armed = bench.arm(fault("write", { kind }, step + 1));
          const chain = [0, 1, 2].map((n): Step => {
            const region = regionOf(arena, n * LENGTH, LENGTH);
            return { kind: "write", file, region, offset: n * LENGTH };
          });
          const error = await rejection(io.submit([...chain, { kind: "sync", file }]), code);
          assert.equal(error.step, step);
          assert.equal(error.errno, kind);
          assert.equal(armed.applied(), 1, "a failed step is not tried again");
          const before = await readBytes(io, file, 0, step * LENGTH);
          assertBytes(before, arena.bytes.subarray(0, step * LENGTH), "the steps before ran");
          const rest = (3 - step) * LENGTH;
          assertBytes(
            await readBytes(io, file, step * LENGTH, rest),
            new Uint8Array(rest),
            "the steps behind did not",
          );
          armed.disarm();
          // A failed write has lost nothing that was synced before: the file goes on.
          await io.submit([...chain, { kind: "sync", file }]);
          assertBytes(await readBytes(io, file, 0, 3 * LENGTH), arena.bytes, "a later chain");
        },
      }),
    ),
  );

  return [
    ...harmless,
    ...failedWrites,
    {
      name: `fault: a write cut short by a full disk is IO_NO_SPACE, never success (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        const armed = bench.arm(
          fault("write", { kind: "short", bytes: 2 * BLOCK_BYTES }, 1),
          fault("write", { kind: "ENOSPC" }, 2, Number.POSITIVE_INFINITY),
        );
        const region = regionOf(patterned(io, LENGTH, 1));
        const error = await rejection(io.submit([{ kind: "write", file, region, offset: 0 }]), "IO_NO_SPACE");
        assert.equal(error.step, 0);
        assert.equal(armed.applied(), 2);
        const written = await readBytes(io, file, 0, LENGTH);
        assertBytes(written, pattern(LENGTH, 1).subarray(0, written.length), "the part that was written");
      },
    },
    {
      name: `fault: writes that make no progress are an error, not an endless loop (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        const armed = bench.arm(fault("write", { kind: "short", bytes: 0 }, 1, Number.POSITIVE_INFINITY));
        const region = regionOf(patterned(io, LENGTH, 1));
        const error = await rejection(
          io.submit([{ kind: "write", file, region, offset: 0 }]),
          "IO_WRITE_FAILED",
        );
        assert.equal(error.step, 0);
        assert(armed.applied() > 0 && armed.applied() < 100);
      },
    },
    {
      name: `fault: a failed sync is IO_SYNC_FAILED, and every later step on that open file IO_SYNC_POISONED (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        const other = await io.open(bench.path("other"), { access: "create", direct });
        await file.writeZeros(0, LENGTH);
        const region = regionOf(patterned(io, LENGTH, 1));
        const write: Step = { kind: "write", file, region, offset: 0 };
        bench.arm(fault("sync", { kind: "EIO" }, 1));
        const error = await rejection(
          io.submit([write, { kind: "sync", file }, { kind: "write", file: other, region, offset: 0 }]),
          "IO_SYNC_FAILED",
        );
        assert.equal(error.step, 1);
        assert.equal(error.errno, "EIO");
        assert.equal(await other.size(), 0, "no later step runs");
        for (const durable of [false, true]) {
          const later = await rejection(
            io.submit([
              { kind: "write", file: other, region, offset: 0 },
              { ...write, durable },
            ]),
            "IO_SYNC_POISONED",
          );
          assert.equal(later.step, 1);
          assert.match(later.message, /EIO/, "the message names the first cause");
        }
        await rejection(io.submit([{ kind: "sync", file }]), "IO_SYNC_POISONED");
        await rejection(file.sync(), "IO_SYNC_POISONED");
        await rejection(file.writeZeros(0, LENGTH), "IO_SYNC_POISONED");
        // Other open files are not concerned.
        await io.submit([{ kind: "sync", file: other }]);
        const again = await io.open(bench.path(FILE), { access: "write", direct });
        await io.submit([{ ...write, file: again, durable: true }]);
        await file.close();
      },
    },
    {
      name: `fault: ENOSPC from a sync is a failed sync too (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        bench.arm(fault("sync", { kind: "ENOSPC" }));
        const error = await rejection(file.sync(), "IO_SYNC_FAILED");
        assert.equal(error.errno, "ENOSPC");
        const later = await rejection(file.sync(), "IO_SYNC_POISONED");
        assert.match(later.message, /ENOSPC/);
      },
    },
    {
      name: `fault: a durable write whose sync fails poisons its file (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        await file.writeZeros(0, 2 * LENGTH);
        const region = regionOf(patterned(io, LENGTH, 1));
        bench.arm(fault("sync", { kind: "EIO" }));
        const chain: Step[] = [
          { kind: "write", file, region, offset: 0, durable: true },
          { kind: "write", file, region, offset: LENGTH, durable: true },
        ];
        const error = await rejection(io.submit(chain), "IO_SYNC_FAILED");
        assert.equal(error.step, 0);
        const behind = await readBytes(io, file, LENGTH, LENGTH);
        assertBytes(behind, new Uint8Array(LENGTH), "no later step runs");
        await rejection(io.submit(chain), "IO_SYNC_POISONED");
        await rejection(file.sync(), "IO_SYNC_POISONED");
      },
    },
    {
      name: `fault: writeZeros whose sync fails poisons its file (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        bench.arm(fault("sync", { kind: "EIO" }));
        await rejection(file.writeZeros(0, LENGTH), "IO_SYNC_FAILED");
        await rejection(file.sync(), "IO_SYNC_POISONED");
      },
    },
    {
      name: `fault: a failed sync fails every concurrent chain on the file, and swallows none (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        await file.writeZeros(0, 8 * LENGTH);
        const arena = patterned(io, 8 * LENGTH, 1);
        const armed = bench.arm(fault("sync", { kind: "EIO" }, 1));
        const results = await Promise.allSettled(
          Array.from({ length: 8 }, (_, n) => {
            const region = regionOf(arena, n * LENGTH, LENGTH);
            const write: Step = { kind: "write", file, region, offset: n * LENGTH, durable: n % 2 === 1 };
            return io.submit(n % 2 === 1 ? [write] : [write, { kind: "sync", file }]);
          }),
        );
        assert.equal(armed.applied(), 1);
        let first = 0;
        for (const result of results) {
          assert.equal(result.status, "rejected", "no chain may succeed after the failure");
          const reason = Promise.reject((result as PromiseRejectedResult).reason);
          const error = await rejection(reason, "IO_SYNC_FAILED", "IO_SYNC_POISONED");
          if (error.code === "IO_SYNC_FAILED") first += 1;
        }
        assert.equal(first, 1, "exactly one reports the failure itself");
      },
    },
    {
      name: `fault: syncs of one open file never overlap (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        await file.writeZeros(0, 8 * LENGTH);
        const armed = bench.arm(fault("sync", { kind: "slow", ms: 20 }, 1, Number.POSITIVE_INFINITY));
        const arena = patterned(io, 8 * LENGTH, 1);
        await Promise.all([
          ...Array.from({ length: 8 }, (_, n) => {
            const region = regionOf(arena, n * LENGTH, LENGTH);
            const write: Step = { kind: "write", file, region, offset: n * LENGTH, durable: n % 2 === 1 };
            return io.submit(n % 2 === 1 ? [write] : [write, { kind: "sync", file }]);
          }),
          file.sync(),
          file.writeZeros(8 * LENGTH, LENGTH),
        ]);
        assert.equal(armed.applied(), 10, "every sync was slowed down");
        assert.equal(armed.overlappedSyncs(), 0);
      },
    },
    {
      name: `fault: a read error is IO_READ_FAILED, a short or interrupted read is completed (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        await io.submit([{ kind: "write", file, region: regionOf(patterned(io, LENGTH, 1)), offset: 0 }]);
        let armed = bench.arm(fault("read", { kind: "EIO" }));
        const error = await rejection(file.read(regionOf(io.arena(LENGTH)), 0), "IO_READ_FAILED");
        assert.equal(error.errno, "EIO");
        for (const bytes of [BLOCK_BYTES, BLOCK_BYTES + 100]) {
          armed = bench.arm(fault("read", { kind: "short", bytes }, 1, 2));
          assertBytes(await readBytes(io, file, 0, LENGTH), pattern(LENGTH, 1), "after short reads");
          assert.equal(armed.applied(), 2);
        }
        armed = bench.arm(fault("read", { kind: "EINTR" }, 1, 3));
        assertBytes(await readBytes(io, file, 0, LENGTH), pattern(LENGTH, 1), "after interrupted reads");
        assert.equal(armed.applied(), 3);
      },
    },
    {
      name: `fault: writeZeros completes short and interrupted writes, and reports a full disk (${mode})`,
      needs,
      async run(bench) {
        const io = bench.backend();
        const file = await io.open(bench.path(FILE), { access: "create", direct });
        await io.submit([{ kind: "write", file, region: regionOf(patterned(io, LENGTH, 1)), offset: 0 }]);
        const armed = bench.arm(
          fault("write", { kind: "short", bytes: BLOCK_BYTES }, 1),
          fault("write", { kind: "EINTR" }, 2),
          fault("sync", { kind: "EINTR" }, 1),
        );
        await file.writeZeros(0, LENGTH);
        assert.equal(armed.applied(), 3);
        assertBytes(await readBytes(io, file, 0, 2 * LENGTH), new Uint8Array(LENGTH), "zeros");
        bench.arm(fault("write", { kind: "ENOSPC" }, 1));
        await rejection(file.writeZeros(LENGTH, LENGTH), "IO_NO_SPACE");
        await file.writeZeros(LENGTH, LENGTH);
        assert.equal(await file.size(), 2 * LENGTH);
      },
    },
  ];
}
