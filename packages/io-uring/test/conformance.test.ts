import { conformanceTests } from "@stonewal/io/conformance";
import { describe, test } from "vitest";
import { uring } from "../src/index.js";
import { faultyUring } from "./support/fault-addon.mjs";
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

describe("with a queue of four requests, so that chains are split", () => {
  const small = async () => conformanceTests(await subject(() => faultyUring({ entries: 4 })));
  test.for([/^chain: /, /^fault: /, /^file: /, /^close: /])("%s", { timeout: 120_000 }, async (kind) => {
    const tests = (await small()).filter((one) => kind.test(one.name) && one.skipped === undefined);
    if (tests.length === 0) throw new Error(`the kit has no test ${kind}`);
    for (const one of tests) {
      await one.run().catch((cause: unknown) => {
        throw new Error(`${one.name}: ${(cause as Error).message}`, { cause });
      });
    }
  });
});
