import assert from "node:assert/strict";
import { rejection, type Scenario } from "./conformance-subject.js";

export function lockTests(): Scenario[] {
  return [excluding, asking, closing, racing];
}

const excluding: Scenario = {
  name: "lock: excludes every other holder, of this back end too, until it is released",
  async run(bench) {
    const io = bench.backend();
    const other = bench.backend();
    const lock = await io.lock(bench.path("lock"));
    await rejection(io.lock(bench.path("lock")), "IO_LOCKED");
    await rejection(other.lock(bench.path("lock")), "IO_LOCKED");
    const unrelated = await other.lock(bench.path("lock2"));
    await lock.release();
    await lock.release();
    const next = await other.lock(bench.path("lock"));
    // A second release of the first must not take the second's.
    await lock.release();
    await rejection(io.lock(bench.path("lock")), "IO_LOCKED");
    await next.release();
    await unrelated.release();
    await (await io.lock(bench.path("lock"))).release();
    await rejection(io.lock(bench.path("none/lock")), "IO_NOT_FOUND");
  },
};

const asking: Scenario = {
  name: "lock: asking whether it is held creates nothing and takes nothing",
  async run(bench) {
    const io = bench.backend();
    const other = bench.backend();
    assert.equal(await io.isLocked(bench.path("lock")), false);
    assert.deepEqual(await io.list(bench.directory), []);
    const lock = await io.lock(bench.path("lock"));
    // By the holder too: opening and closing the file to ask must not drop the lock.
    for (let n = 0; n < 3; n++) {
      assert.equal(await io.isLocked(bench.path("lock")), true);
      assert.equal(await other.isLocked(bench.path("lock")), true);
    }
    await rejection(other.lock(bench.path("lock")), "IO_LOCKED");
    await lock.release();
    assert.equal(await io.isLocked(bench.path("lock")), false);
    await (await other.lock(bench.path("lock"))).release();
  },
};

const closing: Scenario = {
  name: "lock: closing the back end gives it up",
  async run(bench) {
    const io = bench.backend();
    const other = bench.backend();
    const lock = await io.lock(bench.path("lock"));
    await io.close();
    assert.equal(await other.isLocked(bench.path("lock")), false);
    const taken = await other.lock(bench.path("lock"));
    await lock.release();
    assert.equal(
      await other.isLocked(bench.path("lock")),
      true,
      "a release after closing takes nobody else's",
    );
    await taken.release();
  },
};

const racing: Scenario = {
  name: "lock: of many that want it at once exactly one gets it",
  async run(bench) {
    const backends = [bench.backend(), bench.backend(), bench.backend()];
    for (let round = 0; round < 10; round++) {
      const attempts = Array.from({ length: 12 }, (_, n) => backends[n % 3]?.lock(bench.path("lock")));
      const results = await Promise.allSettled(attempts);
      const taken = results.flatMap((result) =>
        result.status === "fulfilled" && result.value ? [result.value] : [],
      );
      assert.equal(taken.length, 1);
      for (const result of results) {
        if (result.status === "rejected") await rejection(Promise.reject(result.reason), "IO_LOCKED");
      }
      await taken[0]?.release();
    }
  },
};
