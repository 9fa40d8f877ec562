import { type ConformanceFault, conformanceTests } from "@stonewal/io/conformance";
import { type Fault, type FaultRule, SimDisk } from "@stonewal/io-sim";

/** The conformance kit's words for a fault, in the simulated disk's. */
function ruleOf({ call, path, nth, times = 1, effect }: ConformanceFault): FaultRule {
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
    if (what === "sync" && count > 0) overlapped += 1;
    running.set(path, what === "sync" ? count + 1 : count - 1);
  }
  return overlapped;
}

/**
 * One test of the conformance kit, on the simulated disk: what holds for it holds for every back end that passes. A mutant of the disk is a back
 * end that breaks a promise.
 */
export async function keepBackEndPromises(seed: number): Promise<void> {
  let disk = new SimDisk();
  let armed: Fault[] = [];
  const tests = conformanceTests({
    direct: true,
    checksum: false,
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
        for (const fault of armed) fault.cancel();
        const from = disk.trace.length;
        const current = faults.map((fault) => disk.fail(ruleOf(fault)));
        armed = current;
        return {
          applied: () => current.reduce((sum, fault) => sum + fault.struck, 0),
          overlappedSyncs: () => overlappedSyncs(disk.trace.slice(from)),
          disarm: () => {
            for (const fault of current) fault.cancel();
          },
        };
      },
    },
  }).filter(({ name, skipped }) => skipped === undefined && /chain|fault|file/.test(name));
  await tests[(seed - 1) % tests.length]?.run();
}
