import { strict as assert } from "node:assert";
import type { IoBackend } from "@stonewal/io";
import { SimDisk } from "@stonewal/io-sim";
import type { KeyRing } from "@stonewal/record";
import { inspectLog } from "@stonewal/recovery";
import { openLog, type Wal } from "@stonewal/writer";
import { damageCopies } from "./damage.js";
import { codeOf, isNoSpace, isProcessEnd, isTyped } from "./errors.js";
import { isHarmless, isLie, nameOf } from "./faults.js";
import { type Delivered, Ledger } from "./ledger.js";
import { runOn } from "./machine-time.js";
import { DISKS, isEncrypted, type KeyId, optionsOf, ROOMY } from "./modes.js";
import type { End, Life, Plan } from "./plan.js";
import { scrutinise } from "./scrutiny.js";
import { Session } from "./session.js";
import { Tally } from "./tally.js";

const DIRECTORY = "/log";

export interface Surroundings {
  /** Stands between the log and the disk: a back end that is broken on purpose. */
  readonly wrap?: (io: IoBackend) => IoBackend;
}

/** Everything a log delivers to the process that has it open. */
async function recovered(wal: Wal): Promise<Delivered[]> {
  const records: Delivered[] = [];
  for await (const { lsn, payload } of wal.read()) records.push({ lsn, payload });
  return records;
}

/** The lives of one log on one disk. */
export class History {
  readonly disk: SimDisk;
  readonly tally = new Tally();
  readonly #plan: Plan;
  readonly #wrap: (io: IoBackend) => IoBackend;
  readonly #ledger = new Ledger();
  #mark = 0;
  /** That of the opening before. */
  #keyId: number | undefined;
  /** Some frame of the life that had the log open last went to the log alone. What an earlier one left is copied by the next that has a buffer. */
  #unprotected = false;
  /** The device has lied, or torn what it had been told to keep: from then on the log may be refused. */
  #harmed = false;

  constructor(plan: Plan, { wrap = (io) => io }: Surroundings = {}) {
    this.#plan = plan;
    this.#wrap = wrap;
    this.disk = new SimDisk({ ...DISKS[plan.disk], seed: plan.seed, crashPolicy: plan.crashPolicy });
    // A crash on it may tear what was synced.
    this.#harmed = plan.disk === "folios";
  }

  /** Rejects with the first promise that the log has broken. */
  async run(): Promise<void> {
    for (const life of this.#plan.lives) if ((await this.#live(life)) === "refused") break;
    if (this.disk.violations.length > 0) throw this.disk.violations[0] as Error;
    for (const { kind } of this.disk.faultLog) if (kind.startsWith("crash neighbour")) this.tally.add(kind);
    this.tally.add("histories");
  }

  async #open(life: Life, key = life.key): Promise<{ wal: Wal; keys: KeyRing | undefined }> {
    const options = optionsOf(this.#plan.log, life.mode, key);
    const wal = await openLog({ io: this.#wrap(this.disk.mount()), directory: DIRECTORY, ...options });
    if (this.#keyId !== undefined && wal.keyId !== this.#keyId) this.tally.add("opened with another key");
    this.#keyId = wal.keyId;
    return { wal, keys: options.encryption?.keys };
  }

  async #live(life: Life): Promise<"kept" | "refused"> {
    const { disk, tally } = this;
    const faults = life.faults.map((rule) => ({ rule, fault: disk.fail(rule) }));
    const struck = (): boolean => {
      this.#harmed ||= faults.some(({ rule, fault }) => isLie(rule) && fault.struck > 0);
      return this.#harmed || faults.some(({ rule, fault }) => !isHarmless(rule) && fault.struck > 0);
    };
    const opened = await this.#work(life, struck);
    struck();
    for (const { rule, fault } of faults) {
      tally.add(nameOf(rule), fault.struck);
      fault.cancel();
    }
    disk.crashAfter(undefined);
    // A log that was open can be opened again on a disk without any free space.
    if (!opened) disk.capacityBytes = Number.POSITIVE_INFINITY;
    if (life.scrutiny !== undefined) {
      await runOn(disk, scrutinise(disk, DIRECTORY, this.#ledger, life.scrutiny));
      tally.add("recoveries looked at closely");
    }
    return this.#judge(life);
  }

  /** Compares what was recovered with the ledger. */
  #settle(found: readonly Delivered[], nextLsn: number, end?: End): void {
    // Of a log that was closed every record has a witness behind it, and one lie can't take both. Of copied frames a torn folio takes one of two.
    const witnessed = end?.startsWith("close") === true;
    const copied = this.#plan.disk === "folios" && !this.#unprotected;
    if (!this.#harmed || witnessed || copied) this.#ledger.settle(found, nextLsn);
    else if (this.#ledger.settleAfterLoss(found, nextLsn) > 0)
      this.tally.add("lost: nothing bore witness of it");
  }

  /** One process, from opening the log to its end. Answers whether it had the log open. */
  async #work(life: Life, struck: () => boolean): Promise<boolean> {
    const { disk, tally } = this;
    const [crashes, start] = [disk.crashes, disk.operations];
    let killed = false;
    let session: Session | undefined;
    const kill = () => {
      killed = true;
      disk.kill();
    };
    const isDead = () => killed || disk.crashes > crashes;
    const excused = (error: unknown): boolean => {
      if (isDead() && isProcessEnd(error)) return true;
      if (disk.capacityBytes < Number.POSITIVE_INFINITY && isNoSpace(error)) return isTyped(error);
      return struck() && isTyped(error);
    };
    if (life.end === "crash") disk.crashAfter(life.crashAfter);
    const program = async () => {
      let wal: Wal | undefined;
      try {
        const log = await this.#open(life);
        ({ wal } = log);
        const found = await recovered(wal);
        struck();
        this.#settle(found, wal.nextLsn);
        session = new Session(disk, log, this.#ledger, DIRECTORY, isDead, () => (this.#mark += 1));
        await session.run(life.steps);
        if (life.end.startsWith("close")) await session.close();
      } catch (error) {
        if (!excused(error)) throw error;
        if (isNoSpace(error)) tally.add("stopped by a full disk");
        if (session !== undefined && codeOf(error) === "WAL_POISONED" && !isDead()) {
          await session.checkPoisoned();
          tally.add("poisoned");
        }
      }
      if (life.end.startsWith("close")) {
        await wal?.close().catch((error: unknown) => {
          if (!excused(error)) throw error;
        });
        // Poisoned or not, its process ends.
        if (!killed) kill();
        if (life.end === "close and crash") disk.crash();
      } else if (life.end === "kill") {
        if (!killed) kill();
      } else if (disk.crashes === crashes) disk.crash();
      await session?.end();
    };
    await runOn(disk, program(), {
      eachTurn: () => {
        session?.observe();
        const due = life.crashAfter !== undefined && disk.operations >= start + life.crashAfter;
        if (life.end === "kill" && due && !killed) kill();
      },
      isDead,
    });
    session?.observe();
    if (session === undefined) this.#unprotected ||= life.mode.dwb === "off";
    else this.#unprotected = !session.hasCopies;
    for (const error of session?.failures ?? []) if (!excused(error)) throw error;
    tally.add(`ended by ${life.end}`);
    tally.add("key changed", session?.keyChanges ?? 0);
    return session !== undefined;
  }

  /** The log is opened with nothing in its way: it has to be there. */
  async #judge(life: Life): Promise<"kept" | "refused"> {
    const { disk, tally } = this;
    const judgement = async () => {
      const { wal } = await this.#open(life, await this.#keyToJudgeWith(life));
      const found = await recovered(wal);
      this.#settle(found, wal.nextLsn, life.end);
      tally.add("records recovered", found.length);
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      if (life.reopened === "close") await wal.close();
      disk.crash();
    };
    try {
      await runOn(disk, judgement());
    } catch (error) {
      if (!this.#mayBeRefused || !isTyped(error)) throw error;
      tally.add(`refused: ${codeOf(error)}`);
      return "refused";
    }
    for (const seed of life.damages) {
      const options = optionsOf(this.#plan.log, life.mode, life.key);
      await damageCopies(disk, { directory: DIRECTORY, options, ledger: this.#ledger, seed, tally });
    }
    assert.equal(disk.violations.length, 0, disk.violations[0]?.message);
    return "kept";
  }

  /** What a torn folio takes is put back, where every frame has its copy and the ring has room to keep it. */
  get #mayBeRefused(): boolean {
    const { disk, log } = this.#plan;
    return this.#harmed && (disk !== "folios" || this.#unprotected || log.sizes !== ROOMY);
  }

  /** Going over to another key takes a new segment. On a disk without room for one the log opens with the key that its last segment has. */
  async #keyToJudgeWith({ key }: Life): Promise<KeyId> {
    const { disk } = this;
    if (!isEncrypted(this.#plan.log) || disk.capacityBytes === Number.POSITIVE_INFINITY) return key;
    const { segmentList } = await inspectLog({ io: disk.clone().mount(), directory: DIRECTORY });
    return (segmentList.at(-1)?.keyId ?? key) as KeyId;
  }
}
