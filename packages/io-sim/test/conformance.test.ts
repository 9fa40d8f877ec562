import { conformanceTests } from "@stonewal/io/conformance";
import { describe, expect, test } from "vitest";
import type { Fault, FaultRule } from "../src/index.js";
import { SimDisk } from "../src/index.js";

/** The conformance kit's words for a fault, in ours. */
type KitFault = Parameters<NonNullable<Parameters<typeof conformanceTests>[0]["faults"]>["arm"]>[0][number];

function ruleOf({ call, path, nth, times = 1, effect }: KitFault): FaultRule {
  const rule = { operation: call, path: new RegExp(path), nth, times };
  if (effect.kind === "short") return { ...rule, effect: "short", bytes: effect.bytes };
  if (effect.kind === "EINTR") return { ...rule, effect: "interrupted" };
  if (effect.kind === "slow") return { ...rule, effect: "slow" };
  return { ...rule, errno: effect.kind };
}

/** Counts, from the trace, syncs that began while another of the same file was running. */
function overlappedSyncs(trace: readonly string[]): number {
  const running = new Map<string, number>();
  let overlapped = 0;
  for (const line of trace) {
    const [, what, path = ""] = /^\d+ (sync|synced) (\S+)/.exec(line) ?? [];
    if (what === undefined) continue;
    const count = running.get(path) ?? 0;
    if (what === "sync" && count > 0) overlapped++;
    if (what === "sync") running.set(path, count + 1);
    if (what === "synced") running.set(path, count - 1);
  }
  return overlapped;
}

describe("the simulated disk keeps every promise of IoBackend", () => {
  let disk = new SimDisk();
  let armed: Fault[] = [];
  const disarm = (): void => {
    for (const fault of armed) fault.cancel();
  };
  const tests = conformanceTests({
    direct: true,
    checksum: false,
    now: true,
    async setup() {
      disk = new SimDisk({ seed: 11, untornWriteBytes: { min: 4096, max: 65536 } });
      const io = disk.mount();
      await io.makeDirectory("/test");
      await io.close();
      // The kit waits for timers in real time.
      const real = setInterval(() => disk.advance(1), 1);
      return {
        directory: "/test",
        backend: () => disk.mount(),
        teardown: async () => clearInterval(real),
      };
    },
    faults: {
      arm(faults) {
        disarm();
        const from = disk.trace.length;
        armed = faults.map((fault) => disk.fail(ruleOf(fault)));
        const current = armed;
        return {
          applied: () => current.reduce((sum, fault) => sum + fault.struck, 0),
          overlappedSyncs: () => overlappedSyncs(disk.trace.slice(from)),
          disarm,
        };
      },
    },
  });

  // The rest of the kit is about threads, processes and hardware, of which a simulated disk has none.
  const beyond = tests.filter(({ needs }) => needs.includes("checksum") || needs.includes("module"));
  for (const one of tests) {
    if (!beyond.includes(one)) test(one.name, { timeout: 60_000 }, () => one.run());
  }

  test("only tests that need threads, other processes or a hardware checksum are left out", () => {
    expect(tests.filter(({ skipped }) => skipped !== undefined)).toEqual(beyond);
  });
});
