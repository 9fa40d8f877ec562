import { SimDisk } from "@stonewal/io-sim";
import { describe, expect, it } from "vitest";
import { planRecovery, recoverLog, verifyLog } from "../src/index.js";
import { BLOCK, DIRECTORY, id, LogBuilder, payload, protect } from "./log-builder.js";
import { digest, recordsOf, snapshot } from "./outcome.js";

/** Recovery done twice, or cut short anywhere, comes to the same. */

/** Everything there is to repair at once: a home write, a preamble, an anchor, a torn tail with intact frames, void files. */
async function muchToRepair(
  recycled = false,
): Promise<{ disk: SimDisk; records: string[]; log: LogBuilder }> {
  const disk = new SimDisk({ seed: 7 });
  const log = new LogBuilder({ blocks: 12 });
  log.open();
  log.frame(["gone"]);
  log.roll();
  log.frame(["r2"]);
  const earlier = log.frame(["r3"], { lost: true });
  log.roll({ recycled, fill: recycled ? (bytes) => bytes.fill(0xd7, 131072) : () => {} });
  log.frame(["r4"]);
  const torn = log.frame([payload("r5")], { lost: true });
  log.setAnchor({ trimPoint: 1, watermark: torn.frameNumber, durableLsn: 4 });
  const watermark = log.frameNumber;
  log.frame(["dropped"], { watermark, lost: true });
  log.frame([payload(`dropped${"x".repeat(5000)}`)], { watermark });
  log.frame(["dropped"], { watermark });
  log.plant(disk);
  disk.plant(`${DIRECTORY}/spare-00000000000000000009.new`, new Uint8Array(BLOCK));
  disk.plant(`${DIRECTORY}/spare-00000000000000000008`, new Uint8Array(BLOCK));
  await protect(disk.mount(), [earlier, torn]);
  disk.corrupt(log.segments[1]!.path, 20, Uint8Array.of(1));
  disk.corrupt(log.segments[2]!.path, 65536 + 20, Uint8Array.of(1));
  disk.corrupt(log.segments[1]!.path, log.segmentBytes - 5, Uint8Array.of(1));
  disk.corrupt(`${DIRECTORY}/anchor`, 30, Uint8Array.of(1));
  return { disk, records: ["r2", "r3", "r4", "r5"], log };
}

async function repaired(disk: SimDisk): Promise<Map<string, string>> {
  await recoverLog({ io: disk.mount(), directory: DIRECTORY });
  return snapshot(disk);
}

describe("recovery", () => {
  it("does all at once, says what it did, and then has nothing left to do", async () => {
    const { disk, records, log } = await muchToRepair();
    const io = disk.mount();
    const plan = (await planRecovery({ io, directory: DIRECTORY }))!;
    const recovered = (await recoverLog({ io, directory: DIRECTORY }))!;
    expect(recovered.report).toEqual({
      ...plan,
      aside: plan.aside.map((place) => ({ ...place, savedAs: expect.stringContaining("/aside-") as string })),
    });
    expect(plan.restored.map(({ frameNumber }) => frameNumber)).toEqual([4, 6]);
    expect(plan.repaired).toHaveLength(5);
    expect(plan.aside).toHaveLength(2);
    expect(plan.removed).toEqual([
      log.segments[0]!.name,
      "spare-00000000000000000008",
      "spare-00000000000000000009.new",
    ]);
    expect(await recordsOf(io)).toEqual(records);
    const again = (await recoverLog({ io, directory: DIRECTORY }))!;
    expect(again.report).toMatchObject({
      restored: [],
      repaired: [],
      aside: [],
      removed: [],
      tornTail: undefined,
    });
    expect(again.position).toEqual(recovered.position);
    expect(await verifyLog({ io, directory: DIRECTORY })).toMatchObject({ corruption: [], tornTail: false });
    expect(disk.violations).toEqual([]);
  });

  it("cut short by a crash after every single step, and run again, comes to the same bytes", async () => {
    for (const recycled of [false, true]) {
      const { disk, records, log } = await muchToRepair(recycled);
      const end = (await recoverLog({ io: disk.clone().mount(), directory: DIRECTORY }))!.position.offset;
      // Behind the end of a recycled file lie the remains of its former life; what a crash makes of them is nobody's business.
      const outcome = async (done: SimDisk) => {
        const found = await repaired(done);
        const { path } = log.current;
        if (recycled) found.set(path, digest(done.fileBytes(path).subarray(0, end + BLOCK)));
        expect(await verifyLog({ io: done.mount(), directory: DIRECTORY })).toMatchObject({
          corruption: [],
          tornTail: false,
        });
        return found;
      };
      const expected = await outcome(disk.clone());
      for (let step = 0; ; step++) {
        const crashing = disk.clone(step + 1);
        const io = crashing.mount();
        crashing.crashAfter(step);
        const finished = await recoverLog({ io, directory: DIRECTORY }).then(
          () => crashing.crashes === 0,
          () => false,
        );
        crashing.crashAfter(undefined);
        // Crash in the second recovery, too, at another place.
        const second = crashing.mount();
        crashing.crashAfter(step % 17);
        await recoverLog({ io: second, directory: DIRECTORY }).catch(() => undefined);
        crashing.crashAfter(undefined);
        expect(await recordsOf(crashing.clone().mount())).toEqual(records);
        expect([recycled, step, await outcome(crashing)]).toEqual([recycled, step, expected]);
        if (finished) {
          expect(step).toBeGreaterThan(60);
          break;
        }
      }
    }
  }, 120_000);

  it("killed after every step (what was written stays in the cache) comes to the same", async () => {
    const { disk, records } = await muchToRepair();
    const expected = await repaired(disk.clone());
    const total = disk.clone();
    const before = total.operations;
    await repaired(total);
    const steps = total.operations - before;
    for (let step = 1; step < steps; step += 7) {
      const dying = disk.clone(step);
      const io = dying.mount();
      const until = dying.operations + step;
      const recovery = recoverLog({ io, directory: DIRECTORY }).catch(() => undefined);
      while (dying.operations < until) await new Promise((resolve) => setImmediate(resolve));
      dying.kill();
      await recovery;
      expect(await recordsOf(dying.clone().mount())).toEqual(records);
      expect(await repaired(dying)).toEqual(expected);
    }
  });

  it("with every one of its reads, writes and syncs failing in turn never loses anything", async () => {
    const { disk, records } = await muchToRepair();
    for (const operation of ["read", "write", "sync", "open", "syncDirectory", "unlink", "list"] as const) {
      for (let nth = 1; ; nth++) {
        const failing = disk.clone(nth);
        const io = failing.mount();
        const fault = failing.fail({ operation, nth, effect: operation === "write" ? "partial" : "none" });
        await recoverLog({ io, directory: DIRECTORY }).catch(() => undefined);
        if (fault.struck === 0) break;
        failing.crash("random");
        expect(await recordsOf(failing.clone().mount())).toEqual(records);
        await repaired(failing);
        expect(await recordsOf(failing.mount())).toEqual(records);
      }
    }
  }, 120_000);

  it("writes a frame home, durably, before it clears what lies behind it", async () => {
    const { disk } = await muchToRepair();
    const from = disk.trace.length;
    await repaired(disk);
    const trace = disk.trace
      .slice(from)
      .filter((line) => line.includes("0003") && / (write|sync) /.test(line));
    const writes = trace.map((line) => (line.includes("sync") ? "sync" : "write"));
    expect(writes.at(-1)).toBe("sync");
  });
});

describe("a full disk", () => {
  it("keeps no log from being opened; what could not be saved aside is reported", async () => {
    const { disk, records } = await muchToRepair();
    const used = [...disk.files().values()].reduce((sum, bytes) => sum + bytes.length, 0);
    disk.capacityBytes = used;
    const io = disk.mount();
    const { report } = (await recoverLog({ io, directory: DIRECTORY }))!;
    expect(report.aside).toHaveLength(2);
    for (const entry of report.aside) {
      expect(entry.savedAs).toBeUndefined();
      expect(entry.reason).toContain("full");
    }
    expect(await recordsOf(io)).toEqual(records);
    expect(disk.paths().filter((path) => path.includes("aside-"))).toEqual([]);
  });
});

describe("what is saved aside", () => {
  it("bears the name of its writer, so that two interrupted openings do not overwrite each other", async () => {
    const disk = new SimDisk();
    const log = new LogBuilder();
    log.open();
    for (const incarnation of [id(1), id(2)]) {
      const { offset, frameNumber, nextLsn, chain } = log;
      log.frame(["x"], { lost: true, incarnation });
      log.frame(["y"], { watermark: frameNumber, incarnation });
      log.plant(disk);
      await repaired(disk);
      Object.assign(log, { offset, frameNumber, nextLsn, chain });
      log.current.bytes.fill(0, offset);
    }
    expect(disk.paths().filter((path) => path.includes("aside-"))).toHaveLength(2);
  });
});
