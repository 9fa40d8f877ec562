import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import type { IoBackend } from "@stonewal/io";
import { crashOutcomes, describeFault, SimDisk, type SimDiskOptions } from "@stonewal/io-sim";
import { openLog, type Wal, type WalOptions } from "@stonewal/writer";
import { type Delivered, Ledger } from "./ledger.js";
import { runOn } from "./machine-time.js";
import { type KeyId, withKey } from "./modes.js";
import type { Step } from "./plan.js";
import { Session } from "./session.js";

const DIRECTORY = "/log";

/** A short history, of which one part is watched: at each of its boundaries the power fails, or the process is killed. */
export interface Scenario {
  readonly name: string;
  readonly disk: SimDiskOptions;
  readonly options: Omit<WalOptions, "io" | "directory">;
  /** At each boundary the process is killed, too. */
  readonly kills?: boolean;
  /** Of an encrypted log: the current key at the first opening, and at the next one, whether that is watched or what follows on a cut. */
  readonly keys?: readonly [first: KeyId, next: KeyId];
  /** Done beforehand, on a log that is then left open; without it there is no log yet. */
  readonly before?: readonly Step[];
  /** What is watched begins while the next segment is still being written. */
  readonly unprepared?: boolean;
  /** Before what is watched the power fails once, so many boundaries into these steps; what reached the disk is left to chance. */
  readonly interrupted?: { readonly steps: readonly Step[]; readonly afterBoundaries: number };
  /** What is watched: opening the log, steps, or closing it. */
  readonly watched: "open" | "close" | readonly Step[];
}

export interface Bounds {
  /** A boundary with at most so many outcomes has all of them tried. */
  readonly exhaustive: number;
  /** Of one with more, so many are drawn. */
  readonly sample: number;
}

export interface Exhaustion {
  /** Boundaries at which the power failed. */
  readonly points: number;
  /** States of the disk that were tried; the same state is tried once. */
  readonly states: number;
  /** Boundaries with more outcomes than were tried: where the bound bites. */
  readonly sampled: readonly string[];
}

/** What the log does ahead of need has been done: the next segment is there. It is not what is watched. */
const PREPARED: Step = { kind: "turns", count: 60 };

interface Moment {
  readonly at: number;
  readonly disk: SimDisk;
  readonly ledger: Ledger;
  readonly doing: string;
}

/**
 * Tries every state in which a power cut may leave the disk, at every boundary of what the scenario watches. In each the log has to open
 * with what was acknowledged by then, take another record, and have that and everything else after another cut. Rejects where it doesn't.
 */
export async function exhaust(
  scenario: Scenario,
  bounds: Bounds,
  wrap: (io: IoBackend) => IoBackend = (io) => io,
): Promise<Exhaustion> {
  const judged = new Set<string>();
  const sampled: string[] = [];
  let points = 0;
  for (const { at, disk, ledger, doing } of await momentsOf(scenario, wrap)) {
    points += 1;
    const judgeOn = async (left: SimDisk, how: string) => {
      try {
        await runOn(left, judge(scenario, left, ledger.clone()));
      } catch (error) {
        const done = left.faultLog.map(describeFault).join("\n    ");
        const { message } = error as Error;
        throw new Error(`${scenario.name}, ${how}: ${message}\n  what that left:\n    ${done}`, {
          cause: error,
        });
      }
    };
    const all = crashOutcomes(disk, bounds.exhaustive);
    if (!all.exhaustive) sampled.push(`${at}: ${doing}`);
    for (const left of all.exhaustive ? all : crashOutcomes(disk, bounds.sample)) {
      const state = stateOf(left, ledger);
      if (judged.has(state)) continue;
      judged.add(state);
      await judgeOn(left, `power cut at boundary ${at} (${doing})`);
    }
    if (scenario.kills !== true) continue;
    // What was written is in the page cache, and whoever opens the log is the first to make it durable.
    const killed = disk.clone(at);
    killed.kill();
    await judgeOn(killed, `killed at boundary ${at} (${doing})`);
  }
  return { points, states: judged.size, sampled };
}

function stateOf(disk: SimDisk, ledger: Ledger): string {
  const hash = createHash("sha1").update(
    `${ledger.durableLsn} ${ledger.lastLsn} ${ledger.cutPending ?? ""} ${ledger.trimLsn}`,
  );
  for (const [path, bytes] of disk.files()) hash.update(path).update(bytes);
  return hash.digest("hex");
}

async function recovered(wal: Wal): Promise<Delivered[]> {
  const records: Delivered[] = [];
  for await (const { lsn, payload } of wal.read()) records.push({ lsn, payload });
  return records;
}

/** What the scenario asks of an opening. */
function optionsAt({ options, keys }: Scenario, opening: "first" | "next") {
  return keys === undefined ? options : withKey(options, keys[opening === "first" ? 0 : 1]);
}

async function judge(scenario: Scenario, disk: SimDisk, ledger: Ledger): Promise<void> {
  const open = (opening: "first" | "next") =>
    openLog({ io: disk.mount(), directory: DIRECTORY, ...optionsAt(scenario, opening) });
  const wal = await open("next");
  ledger.settle(await recovered(wal), wal.nextLsn);
  const payload = Uint8Array.of(7, 7, 7);
  ledger.handOver([payload]);
  const lsn = await wal.commit({ payload });
  ledger.given(wal.nextLsn);
  ledger.acknowledge(lsn);
  disk.crash("none");
  // And back to the first key.
  const again = await open("first");
  ledger.settle(await recovered(again), again.nextLsn);
  assert.deepEqual(disk.violations, []);
}

/** Runs the scenario once, and answers its disk at each boundary of what is watched, with what had been acknowledged by then. */
async function momentsOf(scenario: Scenario, wrap: (io: IoBackend) => IoBackend): Promise<Moment[]> {
  const { before, interrupted, watched } = scenario;
  const disk = new SimDisk({ seed: 1, ...scenario.disk });
  const ledger = new Ledger();
  let mark = 0;
  const open = async (opening: "first" | "next") => {
    const options = optionsAt(scenario, opening);
    const wal = await openLog({ io: wrap(disk.mount()), directory: DIRECTORY, ...options });
    return { wal, keys: options.encryption?.keys };
  };
  const sessionOf = (log: Awaited<ReturnType<typeof open>>, isDead = () => false) =>
    new Session(disk, log, ledger, DIRECTORY, isDead, () => {
      mark += 1;
      return mark;
    });
  let session: Session | undefined;
  const moments: Moment[] = [];
  const watch = () =>
    disk.atEveryBoundary((at) => {
      session?.observe();
      moments.push({ at, disk: disk.clone(at), ledger: ledger.clone(), doing: disk.trace.at(-1) ?? "" });
    });
  const running = <T>(program: Promise<T>) => runOn(disk, program, { eachTurn: () => session?.observe() });

  if (before !== undefined) {
    session = sessionOf((await running(open("first"))) as Awaited<ReturnType<typeof open>>);
    await running(session.run(scenario.unprepared ? before : [...before, PREPARED]));
  }
  if (interrupted !== undefined && session !== undefined) {
    await crashWithin(disk, session, interrupted);
    session = undefined;
  }
  const end = watch();
  if (watched === "open") await running(open(before === undefined ? "first" : "next"));
  else if (watched === "close") await running((session as Session).close());
  else await running((session as Session).run(watched));
  end();
  // And when it is done, and everybody has been told.
  session?.observe();
  moments.push({ at: disk.operations, disk: disk.clone(), ledger: ledger.clone(), doing: "done" });
  return moments;
}

async function crashWithin(
  disk: SimDisk,
  session: Session,
  { steps, afterBoundaries }: NonNullable<Scenario["interrupted"]>,
): Promise<void> {
  const { crashes } = disk;
  const isDead = () => disk.crashes > crashes;
  disk.crashAfter(afterBoundaries);
  const program = session.run(steps).catch((error: unknown) => {
    if (!isDead()) throw error;
  });
  await runOn(disk, program, { eachTurn: () => session.observe(), isDead });
  disk.crashAfter(undefined);
  if (!isDead()) disk.crash();
  session.observe();
}
