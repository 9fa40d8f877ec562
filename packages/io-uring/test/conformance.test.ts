import { readFile } from "node:fs/promises";
import type { IoBackend } from "@stonewal/io";
import { type ConformanceSubject, conformanceTests } from "@stonewal/io/conformance";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { uring } from "../src/index.js";
import type { RingHandle } from "../src/native.js";
import { faultAddon, faultCounts, faultyUring, setFaults, setLanes } from "./support/fault-addon.mjs";
import { noLanes } from "./support/no-lanes.js";
import { subject } from "./support/subject.js";

const published = conformanceTests(await subject(() => uring()));
const faulty = conformanceTests(await subject(() => faultyUring()));

describe("the io_uring back end keeps every promise of IoBackend", () => {
  for (const [index, one] of published.entries()) {
    const tried = one.needs.includes("faults") ? (faulty[index] ?? one) : one;
    test(tried.name, { timeout: 60_000 }, (context) =>
      tried.skipped === undefined ? tried.run() : context.skip(tried.skipped),
    );
  }
});

/** As one test: all of the kit that can be run, of those kinds. */
async function runKit(
  backend: () => IoBackend,
  kinds: RegExp,
  module?: ConformanceSubject["module"],
): Promise<void> {
  const tests = conformanceTests(await subject(backend, module)).filter(
    (one) => kinds.test(one.name) && one.skipped === undefined,
  );
  if (tests.length === 0) throw new Error(`the kit has no test ${kinds}`);
  for (const one of tests) {
    await one.run().catch((cause: unknown) => {
      throw new Error(`${one.name}: ${(cause as Error).message}`, { cause });
    });
  }
}

const KINDS = [/^chain: /, /^fault: /, /^file: /, /^close: /, /^now: /];

describe("with a queue of four requests, so that chains are split", () => {
  test.for(KINDS)("%s", { timeout: 120_000 }, (kinds) => runKit(() => faultyUring({ entries: 4 }), kinds));
});

test("with a queue of one request", { timeout: 120_000 }, () =>
  runKit(() => uring({ entries: 1 }), /^chain: /),
);

const LANES = { specifier: new URL("support/lane-uring.mjs", import.meta.url).href, factory: "laneUring" };

describe("with threads of its own, as where JavaScript never rests", () => {
  beforeAll(() => setLanes(true));
  afterAll(() => setLanes(false));
  test.for(KINDS)("%s", { timeout: 120_000 }, async (kinds, { skip }) => {
    if (noLanes !== undefined) return skip(noLanes);
    const { inLanes } = faultCounts();
    await runKit(() => faultyUring(), kinds, LANES);
    expect(faultCounts().inLanes).toBeGreaterThan(inLanes);
  });
  test.for([/^workers: /, /^process: /])("%s", { timeout: 120_000 }, (kinds, { skip }) =>
    noLanes === undefined ? runKit(() => faultyUring(), kinds, LANES) : skip(noLanes),
  );
});

/** A back end of a kernel that refuses what younger ones have. */
function olderKernel(rules: string): IoBackend {
  setFaults(rules);
  try {
    return faultyUring();
  } finally {
    setFaults("");
  }
}

describe("on kernels that have less", () => {
  test.each([
    ["COOP_TASKRUN | SINGLE_ISSUER", ""],
    ["COOP_TASKRUN", "setup::1:EINVAL"],
    ["plain", "setup::1-2:EINVAL"],
  ])("the setup flags are %s", (mode, rules) => {
    setFaults(rules);
    const [ring, taken] = faultAddon.openRing(8) as readonly [RingHandle, string];
    setFaults("");
    expect(taken).toBe(mode);
    faultAddon.end(ring);
  });

  test.for(KINDS)("without any setup flag: %s", { timeout: 120_000 }, (kinds) =>
    runKit(() => olderKernel("setup::1-2:EINVAL"), kinds),
  );

  test("without tables of files and buffers", async () => {
    const { setup } = await subject(() => faultyUring());
    const { directory, teardown } = await setup();
    setFaults("register::1+:EINVAL");
    const io = faultyUring();
    const arena = io.arena(2 ** 20);
    arena.bytes.fill(6);
    const file = await io.open(`${directory}/a`, { access: "create", direct: true });
    for (let n = 0; n < 3; n++) {
      const region = { arena, start: 0, length: 2 ** 20 };
      await io.submit([{ kind: "write", file, region, offset: n * 2 ** 20 }]);
    }
    expect(faultCounts().applied).toBe(2);
    setFaults("");
    expect((await readFile(file.path)).every((byte) => byte === 6)).toBe(true);
    await io.close();
    await teardown?.();
  });
});
