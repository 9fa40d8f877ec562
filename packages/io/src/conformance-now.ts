import assert from "node:assert/strict";
import type { BlockingChains, IoBackend, IoFile, Step } from "./backend.js";
import {
  assertBytes,
  BLOCK_BYTES,
  pattern,
  patterned,
  readBytes,
  refusal,
  regionOf,
  rejection,
  type Scenario,
} from "./conformance-subject.js";

export function nowTests(): Scenario[] {
  const needs = ["now"] as const;
  const faulty = ["now", "faults"] as const;
  return [
    declared,
    ...[written, ordered, crowded, refused, strangePromise, closed].map((scenario) => ({
      ...scenario,
      needs,
    })),
    ...[failingStep, failedInFlight, poisoned, syncsApart].map((scenario) => ({
      ...scenario,
      needs: faulty,
    })),
  ];
}

const LENGTH = 8 * BLOCK_BYTES;

function nowOf(io: IoBackend): BlockingChains {
  assert(io.now !== undefined, "the back end has `now`");
  return io.now;
}

function writeAndSync(io: IoBackend, file: IoFile, seed: number, length: number, offset = 0): Step[] {
  const region = regionOf(patterned(io, length, seed));
  return [
    { kind: "write", file, region, offset },
    { kind: "sync", file },
  ];
}

const declared: Scenario = {
  name: "now: it is there if the subject says so, and only then",
  async run(bench) {
    assert.equal(bench.backend().now !== undefined, bench.blocks);
  },
};

const written: Scenario = {
  name: "now: a chain has completed when the call returns",
  async run(bench) {
    const io = bench.backend();
    const other = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    const reader = await other.open(bench.path("a"), { access: "read" });
    nowOf(io).submit([]);
    for (let round = 0; round < 20; round++) {
      const region = regionOf(patterned(io, LENGTH, round));
      const durable: Step = { kind: "write", file, region, offset: 0, durable: true };
      nowOf(io).submit(round % 2 === 0 ? writeAndSync(io, file, round, LENGTH) : [durable]);
      assertBytes(await readBytes(other, reader, 0, LENGTH), pattern(LENGTH, round), `round ${round}`);
    }
  },
};

const ordered: Scenario = {
  name: "now: finish returns when the chain in flight is over, its promise settles once, and what follows lies over it",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    const length = 4 * 2 ** 20;
    for (let round = 0; round < 10; round++) {
      let settled = 0;
      const chains = [0, 1, 2].map((n) => io.submit(writeAndSync(io, file, round * 10 + n, length)));
      for (const chain of chains) void chain.then(() => (settled += 1));
      for (const chain of chains) nowOf(io).finish(chain);
      assert.equal(settled, 0, "nobody is told before the calling code is done");
      nowOf(io).submit(writeAndSync(io, file, round * 10 + 9, length / 2));
      nowOf(io).finish(chains[0] as Promise<void>);
      await Promise.all(chains);
      assert.equal(settled, 3);
      const contents = await readBytes(io, file, 0, length / 2);
      assertBytes(contents, pattern(length, round * 10 + 9).subarray(0, length / 2), `round ${round}`);
    }
  },
};

const crowded: Scenario = {
  name: "now: finish of one among many gets through, and the others are told as ever",
  async run(bench) {
    const io = bench.backend();
    const files = await Promise.all(
      Array.from({ length: 8 }, (_, n) => io.open(bench.path(`f${n}`), { access: "create" })),
    );
    const chains = Array.from({ length: 160 }, (_, n) =>
      io.submit(writeAndSync(io, files[n % 8] as IoFile, n, LENGTH, Math.floor(n / 8) * LENGTH)),
    );
    nowOf(io).finish(chains[119] as Promise<void>);
    nowOf(io).finish(chains[40] as Promise<void>);
    const at = Math.floor(119 / 8) * LENGTH;
    assertBytes(
      await readBytes(io, files[7] as IoFile, at, LENGTH),
      pattern(LENGTH, 119),
      "the finished one",
    );
    await Promise.all(chains);
    for (const n of [0, 77, 159]) {
      const offset = Math.floor(n / 8) * LENGTH;
      assertBytes(
        await readBytes(io, files[n % 8] as IoFile, offset, LENGTH),
        pattern(LENGTH, n),
        `chain ${n}`,
      );
    }
    // Whatever closing waits for has been told as well.
    await io.close();
  },
};

const refused: Scenario = {
  name: "now: what is wrong in itself is refused whole, with the step, and nothing is written",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    const good = writeAndSync(io, file, 1, BLOCK_BYTES);
    const [write] = good as [Step];
    const bad = { ...write, offset: -1 } as Step;
    assert.equal((await refusal(() => nowOf(io).submit([...good, bad]), "IO_ARGUMENT")).step, 2);
    assert.equal(await file.size(), 0, "nothing of a refused chain is written");
    const submitted = io.submit([...good, bad]);
    await refusal(() => nowOf(io).finish(submitted), "IO_ARGUMENT");
    assert.equal((await rejection(submitted, "IO_ARGUMENT")).step, 2);
    await file.close();
    assert.equal((await refusal(() => nowOf(io).submit([{ kind: "sync", file }]), "IO_CLOSED")).step, 0);
  },
};

const strangePromise: Scenario = {
  name: "now: finish refuses a promise that is no chain of this back end",
  async run(bench) {
    const io = bench.backend();
    const other = bench.backend();
    await refusal(() => nowOf(io).finish(Promise.resolve()), "IO_ARGUMENT");
    const elsewhere = other.submit([]);
    await refusal(() => nowOf(io).finish(elsewhere), "IO_ARGUMENT");
    await elsewhere;
    const nothing = io.submit([]);
    nowOf(io).finish(nothing);
    await nothing;
  },
};

const closed: Scenario = {
  name: "now: a closed back end refuses with IO_CLOSED; a file that is closing still waits for its chain",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("a"), { access: "create" });
    const chain = io.submit(writeAndSync(io, file, 1, LENGTH));
    const closing = file.close();
    nowOf(io).finish(chain);
    await closing;
    await io.close();
    await refusal(() => nowOf(io).submit([]), "IO_CLOSED");
    const late = io.submit([]);
    await refusal(() => nowOf(io).finish(late), "IO_CLOSED");
    await rejection(late, "IO_CLOSED");
  },
};

const failingStep: Scenario = {
  name: "now: a failing step is named, and no later one runs",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("faulty"), { access: "create" });
    await file.writeZeros(0, 3 * LENGTH);
    const arena = patterned(io, 3 * LENGTH, 1);
    const armed = bench.arm({ call: "write", path: "faulty", nth: 2, effect: { kind: "EIO" } });
    const chain = [0, 1, 2].map((n): Step => {
      return { kind: "write", file, region: regionOf(arena, n * LENGTH, LENGTH), offset: n * LENGTH };
    });
    const error = await refusal(() => nowOf(io).submit(chain), "IO_WRITE_FAILED");
    assert.equal(error.step, 1);
    assert.equal(error.errno, "EIO");
    assert.equal(armed.applied(), 1, "a failed step is not tried again");
    assertBytes(await readBytes(io, file, 0, LENGTH), arena.bytes.subarray(0, LENGTH), "the step before ran");
    const rest = await readBytes(io, file, LENGTH, 2 * LENGTH);
    assertBytes(rest, new Uint8Array(2 * LENGTH), "the steps behind did not");
  },
};

const failedInFlight: Scenario = {
  name: "now: finish throws the failure of a chain in flight, with its step, and the promise rejects with it too",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("faulty"), { access: "create" });
    await file.writeZeros(0, LENGTH);
    bench.arm({ call: "write", path: "faulty", nth: 2, effect: { kind: "EIO" } });
    const [write] = writeAndSync(io, file, 1, LENGTH) as [Step];
    const chain = io.submit([write, write, write]);
    chain.catch(() => undefined);
    for (let again = 0; again < 2; again++) {
      const error = await refusal(() => nowOf(io).finish(chain), "IO_WRITE_FAILED");
      assert.equal(error.step, 1);
    }
    assert.equal((await rejection(chain, "IO_WRITE_FAILED")).step, 1);
    await refusal(() => nowOf(io).finish(chain), "IO_WRITE_FAILED");
  },
};

const poisoned: Scenario = {
  name: "now: after a failed sync nothing that follows on the file succeeds, blocking or not",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("faulty"), { access: "create" });
    const chain = writeAndSync(io, file, 1, LENGTH);
    bench.arm({ call: "sync", path: "faulty", nth: 1, effect: { kind: "EIO" } });
    assert.equal((await refusal(() => nowOf(io).submit(chain), "IO_SYNC_FAILED")).step, 1);
    await refusal(() => nowOf(io).submit(chain), "IO_SYNC_POISONED");
    await rejection(io.submit(chain), "IO_SYNC_POISONED");
  },
};

const syncsApart: Scenario = {
  name: "now: a blocking sync of a file does not overlap one in flight",
  async run(bench) {
    const io = bench.backend();
    const file = await io.open(bench.path("faulty"), { access: "create" });
    await file.writeZeros(0, LENGTH);
    const armed = bench.arm({
      call: "sync",
      path: "faulty",
      nth: 1,
      times: Number.POSITIVE_INFINITY,
      effect: { kind: "slow", ms: 20 },
    });
    const chains = [1, 2, 3].map((n) => io.submit(writeAndSync(io, file, n, LENGTH)));
    nowOf(io).submit([{ kind: "sync", file }]);
    await Promise.all(chains);
    assert.equal(armed.applied(), 4, "every sync was slowed down");
    assert.equal(armed.overlappedSyncs(), 0);
  },
};
