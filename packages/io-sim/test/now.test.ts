import type { BlockingChains, IoBackend, Step } from "@stonewal/io";
import { conformanceTests } from "@stonewal/io/conformance";
import { describe, expect, test } from "vitest";
import { SimDisk } from "../src/index.js";
import { durableFile, filled, readAll, writeStep } from "./process.js";

test("what a blocking chain has synced survives a power cut, and what it has only written need not", async () => {
  const disk = new SimDisk({ seed: 3, crashPolicy: "none" });
  const io = disk.mount();
  const file = await durableFile(io, "/a", new Uint8Array(1024));
  io.now.submit([writeStep(io, file, 0, filled(512, 7)), { kind: "sync", file }]);
  io.now.submit([writeStep(io, file, 512, filled(512, 8))]);
  disk.crash();
  const left = await readAll(disk.mount(), "/a");
  expect(left.subarray(0, 512)).toEqual(filled(512, 7));
  expect(left.subarray(512)).toEqual(filled(512, 0));
});

test("a power cut in the middle of a blocking chain ends it with IO_CLOSED, at every boundary", async () => {
  let cuts = 0;
  for (let boundary = 1; boundary < 12; boundary++) {
    const disk = new SimDisk({ seed: boundary, crashPolicy: "none" });
    const io = disk.mount();
    const file = await durableFile(io, "/a", new Uint8Array(512));
    const flying = io.submit([writeStep(io, file, 0, filled(512, 1)), { kind: "sync", file }]);
    flying.catch(() => undefined);
    disk.crashAfter(boundary);
    let finished = false;
    let written = false;
    try {
      io.now.finish(flying);
      finished = true;
      io.now.submit([writeStep(io, file, 0, filled(512, 2), true)]);
      written = true;
    } catch (error) {
      expect(error).toMatchObject({ code: "IO_CLOSED" });
      cuts += 1;
    }
    if (!written) expect(disk.crashes).toBe(1);
    disk.crash();
    const [byte] = await readAll(disk.mount(), "/a");
    expect([0, 1, 2].slice(written ? 2 : finished ? 1 : 0)).toContain(byte);
  }
  expect(cuts).toBeGreaterThan(4);
});

test("others go on meanwhile in the order of the seed, the same for the same seed", async () => {
  const run = async (seed: number): Promise<readonly string[]> => {
    const disk = new SimDisk({ seed });
    const io = disk.mount();
    const files = await Promise.all([1, 2, 3].map((n) => durableFile(io, `/${n}`, new Uint8Array(512))));
    const flying = files.map((file) => io.submit([writeStep(io, file, 0, filled(512, 1), true)]));
    const [file] = files as [(typeof files)[0]];
    io.now.submit([writeStep(io, file, 512, filled(512, 2), true)]);
    await Promise.all(flying);
    return disk.trace;
  };
  expect(await run(5)).toEqual(await run(5));
  expect(await run(5)).not.toEqual(await run(6));
});

/** `now` with one promise broken on purpose. */
type Broken = (now: BlockingChains, io: IoBackend) => BlockingChains;

function attempt(call: () => void): void {
  try {
    call();
  } catch {
    // Nobody is told.
  }
}

const BROKEN: Readonly<Record<string, readonly [noticedBy: string, Broken]>> = {
  "finish does not wait": ["now: finish of one among many", (now) => ({ ...now, finish: () => undefined })],
  "finish tells of no failure": [
    "now: finish throws the failure of a chain in flight",
    (now) => ({ ...now, finish: (chain) => attempt(() => now.finish(chain)) }),
  ],
  "finish takes any promise": [
    "now: finish refuses a promise",
    (now) => ({
      ...now,
      finish: (chain) => {
        try {
          now.finish(chain);
        } catch (error) {
          if ((error as { code?: string }).code !== "IO_ARGUMENT") throw error;
        }
      },
    }),
  ],
  "submit returns before the chain has run": [
    "now: a chain has completed when the call returns",
    (now, io) => ({ ...now, submit: (chain) => void io.submit(chain).catch(() => undefined) }),
  ],
  "submit runs on after a failure": [
    "now: a failing step is named",
    (now) => ({
      ...now,
      submit(chain) {
        const errors: unknown[] = [];
        for (const step of chain) {
          try {
            now.submit([step]);
          } catch (error) {
            errors.push(error);
          }
        }
        if (errors.length > 0) throw errors[0];
      },
    }),
  ],
  "submit names the step in the rest of a chain": [
    "now: what is wrong in itself",
    (now) => ({
      ...now,
      submit: (chain: readonly Step[]) => {
        for (const step of chain) now.submit([step]);
      },
    }),
  ],
};

describe("the conformance kit fails a back end whose `now` breaks a promise", () => {
  test.for(Object.entries(BROKEN))("%s", async ([, [noticedBy, breaks]]) => {
    let disk = new SimDisk();
    const tests = conformanceTests({
      direct: true,
      checksum: false,
      now: true,
      async setup() {
        disk = new SimDisk({ seed: 11 });
        const io = disk.mount();
        await io.makeDirectory("/test");
        return { directory: "/test", backend };
      },
      faults: {
        arm([fault]) {
          const { call, path = "", nth = 1 } = fault ?? {};
          const armed = disk.fail({ operation: call ?? "write", path: new RegExp(path), nth, errno: "EIO" });
          return {
            applied: () => armed.struck,
            overlappedSyncs: () => 0,
            disarm: () => armed.cancel(),
          };
        },
      },
    });
    function backend(): IoBackend {
      const io = disk.mount();
      return new Proxy<IoBackend>(io, {
        get(target, property) {
          if (property === "now") return breaks(io.now, io);
          const value: unknown = Reflect.get(target, property, target);
          return typeof value === "function" ? (value.bind(target) as unknown) : value;
        },
      });
    }
    const noticing = tests.filter(({ name }) => name.startsWith(noticedBy));
    expect(noticing).toHaveLength(1);
    for (const one of noticing) await expect(one.run()).rejects.toThrow();
  });
});
