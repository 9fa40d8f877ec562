import { strict as assert } from "node:assert";
import type { SimDisk } from "@stonewal/io-sim";
import type { KeyRing, RecordInput } from "@stonewal/record";
import { openReader } from "@stonewal/recovery";
import type { Wal } from "@stonewal/writer";
import { codeOf, except } from "./errors.js";
import type { Ledger } from "./ledger.js";
import { turn } from "./machine-time.js";
import { READING } from "./modes.js";
import type { Step } from "./plan.js";

/** One process that works on an open log, and tells the ledger what it asked for and what it was told. */
export class Session {
  readonly #disk: SimDisk;
  readonly #wal: Wal;
  readonly #keys: KeyRing | undefined;
  readonly #ledger: Ledger;
  readonly #directory: string;
  readonly #isDead: () => boolean;
  readonly #mark: () => number;
  #pending: Promise<unknown>[] = [];
  /** Changes of the key that were asked for, and those that came to something. */
  #rotations = 0;
  keyChanges = 0;
  /** What went wrong with calls that nobody waited for. */
  readonly failures: unknown[] = [];
  /** LSNs that callers were told are durable, since the ledger was last told. */
  #told: { lsn: number; payload?: Uint8Array }[] = [];
  readonly #following = new AbortController();
  readonly #followers: Promise<unknown>[] = [];

  /** `keys`: of an encrypted log, the ring that it was opened with. */
  constructor(
    disk: SimDisk,
    { wal, keys }: { readonly wal: Wal; readonly keys: KeyRing | undefined },
    ledger: Ledger,
    directory: string,
    isDead: () => boolean,
    mark: () => number,
  ) {
    this.#disk = disk;
    this.#wal = wal;
    this.#keys = keys;
    this.#ledger = ledger;
    this.#directory = directory;
    this.#isDead = isDead;
    this.#mark = mark;
  }

  /** Between two turns: tells the ledger what is known by now. */
  observe(): void {
    const { durableLsn, nextLsn } = this.#wal;
    this.#ledger.given(nextLsn);
    for (const { lsn, payload } of this.#told.splice(0)) {
      if (payload === undefined) this.#ledger.acknowledge(lsn);
      else this.#ledger.deliver({ lsn, payload });
    }
    assert.ok(durableLsn < nextLsn, `LSN ${durableLsn} is called durable, and ${nextLsn} is the next`);
    this.#ledger.acknowledge(durableLsn);
  }

  /** Every frame that it wrote has had a copy. */
  get hasCopies(): boolean {
    const { protection, unprotectedFrames, untornFrames } = this.#wal.stats();
    return protection === "protecting" && unprotectedFrames === 0 && untornFrames === 0;
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (this.#isDead()) return;
      await this.#step(step);
    }
    await this.#settle();
  }

  async close(): Promise<void> {
    await this.#wal.close();
    await turn();
    this.observe();
    this.#ledger.acknowledge(this.#ledger.lastLsn);
    assert.equal(this.#ledger.waiting, 0, "a commit was forgotten by close");
  }

  /** A write or sync has failed: nothing is taken any more, nothing acknowledged, and nobody is left waiting. */
  async checkPoisoned(): Promise<void> {
    const wal = this.#wal;
    const { durableLsn, nextLsn } = wal;
    const record = { payload: Uint8Array.of(1) };
    assert.throws(() => wal.append(record), { code: "WAL_POISONED" });
    await assert.rejects(wal.commit(record), { code: "WAL_POISONED" });
    if (nextLsn - 1 > durableLsn) await assert.rejects(wal.sync(), { code: "WAL_POISONED" });
    await assert.rejects(wal.checkpoint(durableLsn), { code: "WAL_POISONED" });
    await Promise.all(this.#pending);
    // A chain that was in flight may still complete, and what it wrote is durable then; but nothing new is taken.
    assert.equal(wal.nextLsn, nextLsn, "a poisoned log goes on");
  }

  /** Ends what reads in the background, and waits for everything that was begun. */
  async end(): Promise<void> {
    this.#following.abort();
    await Promise.all([...this.#followers, ...this.#pending]);
  }

  async #step(step: Step): Promise<void> {
    const wal = this.#wal;
    switch (step.kind) {
      case "append":
        await this.#withRoom([this.#payload(step.bytes)], ([payload]) => {
          wal.append({ payload: payload as Uint8Array });
        });
        return;
      case "batch":
        await this.#withRoom(this.#payloads(step), (payloads) => {
          wal.appendBatch(payloads.map((payload) => ({ payload })));
        });
        return;
      case "spoiltBatch":
        await this.#spoiltBatch(step);
        return;
      case "commit":
        await this.#commit([this.#payload(step.bytes)]);
        return;
      case "commitNow":
        await this.#commitNow(this.#payload(step.bytes));
        return;
      case "commitBatch":
        await this.#commit(this.#payloads(step));
        return;
      case "flush":
        this.#flush();
        return;
      case "sync":
        this.#flush();
        await this.#pending.at(-1);
        return;
      case "syncNow":
        this.#syncNow();
        return;
      case "settle":
        await this.#settle();
        return;
      case "checkpoint":
        this.#checkpoint(step.at);
        return;
      case "seal":
        this.#track(wal.seal().catch(except("WAL_NO_SPACE")));
        return;
      case "rotate":
        this.#track(this.#rotate(step.key));
        return;
      case "cut":
        await this.#cut(step.at);
        return;
      case "attach":
        if (wal.protection === "degraded") this.#track(wal.attachDwb().catch(except("WAL_NO_SPACE")));
        return;
      case "read":
        await this.#read();
        return;
      case "readBeside":
        this.#track(this.#readBeside());
        return;
      case "follow":
        this.#followers.push(this.#follow().catch((error: unknown) => this.failures.push(error)));
        return;
      case "turns":
        for (let count = 0; count < step.count && !this.#isDead(); count += 1) await turn();
        return;
      case "time":
        this.#disk.advance(step.count);
        return;
      case "clock":
        this.#disk.jumpClock(step.ms);
        return;
      case "room":
        // A bound that is never reached, and not none: this has been a full disk.
        this.#disk.capacityBytes = this.#used() + (step.bytes < 0 ? 2 ** 40 : step.bytes);
        return;
    }
  }

  #used(): number {
    let bytes = 0;
    for (const contents of this.#disk.files().values()) bytes += contents.length;
    return bytes;
  }

  #payload(bytes: number): Uint8Array {
    const mark = this.#mark();
    const payload = new Uint8Array(bytes).fill(mark & 0xff);
    if (bytes >= 4) new DataView(payload.buffer).setUint32(0, mark);
    return payload;
  }

  #payloads({ count, bytes }: { count: number; bytes: number }): Uint8Array[] {
    return Array.from({ length: count }, () => this.#payload(bytes));
  }

  #track(promise: Promise<unknown>): void {
    this.#pending.push(promise.catch((error: unknown) => this.failures.push(error)));
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#pending.splice(0));
    // Whoever was told now has told us.
    await turn();
    this.observe();
    if (this.failures.length > 0) throw this.failures[0];
  }

  /**
   * While commits wait for room, who got which LSN shows only when everybody has been told. One that first has to find out whether a
   * disk that was full still is may be overtaken by the next.
   */
  async #quiet(): Promise<void> {
    if (this.#ledger.waiting === 0) return;
    if (this.#disk.capacityBytes < Number.POSITIVE_INFINITY) await Promise.all(this.#pending);
    await turn();
    this.observe();
  }

  /** Appends at once, waiting for room as often as it takes. A full disk refuses, and gives no LSN. */
  async #withRoom(
    payloads: readonly Uint8Array[],
    append: (payloads: readonly Uint8Array[]) => void,
  ): Promise<void> {
    for (;;) {
      await this.#quiet();
      const before = this.#wal.nextLsn;
      try {
        append(payloads);
        this.#ledger.handOver(payloads);
        if (this.#ledger.waiting === payloads.length) this.#ledger.given(this.#wal.nextLsn);
        assert.equal(
          this.#wal.nextLsn,
          before + payloads.length,
          "an append gives as many LSNs as there are records",
        );
        return;
      } catch (error) {
        const code = codeOf(error);
        if (code === "WAL_NO_SPACE") return;
        if (code !== "WAL_BACKPRESSURE") throw error;
        assert.equal(this.#wal.nextLsn, before, "an append that was refused gave no LSN");
      }
      const ready = await this.#wal.ready().then(() => true, except("WAL_NO_SPACE"));
      if (ready !== true) return;
    }
  }

  /** Gives no LSN: whoever comes next takes its place. */
  async #spoiltBatch({ count, bytes }: { count: number; bytes: number }): Promise<void> {
    await this.#quiet();
    const unreadable = new Error("the record can't be read any more");
    let reads = 0;
    const records: RecordInput[] = this.#payloads({ count, bytes }).map((payload) => ({ payload }));
    records.push({
      payload: this.#payload(bytes),
      get tenant(): number {
        reads += 1;
        if (reads > 1) throw unreadable;
        return 0;
      },
    });
    const { nextLsn } = this.#wal;
    try {
      this.#wal.appendBatch(records);
      assert.fail("a batch was taken that can't be copied");
    } catch (error) {
      if (error !== unreadable) except("WAL_BACKPRESSURE", "WAL_NO_SPACE")(error);
    }
    assert.equal(this.#wal.nextLsn, nextLsn, "a batch that can't be copied gave LSNs");
  }

  /** Not waited for: commits wait for room in turn. */
  async #commit(payloads: readonly Uint8Array[]): Promise<void> {
    await this.#quiet();
    const entries = this.#ledger.handOver(payloads);
    const records = payloads.map((payload) => ({ payload }));
    const [first] = records;
    const committed =
      records.length === 1 && first !== undefined
        ? this.#wal.commit(first)
        : this.#wal.commitBatch(records).then(({ firstLsn }) => firstLsn);
    if (this.#ledger.waiting === payloads.length) this.#ledger.given(this.#wal.nextLsn);
    this.#track(
      committed.then(
        (lsn) => {
          for (const [index, payload] of payloads.entries()) this.#told.push({ lsn: lsn + index, payload });
        },
        (error: unknown) => {
          this.#ledger.takeBack(entries);
          if (codeOf(error) !== "WAL_NO_SPACE") throw error;
        },
      ),
    );
  }

  /** Asks for everything that has an LSN to be made durable. */
  #flush(): void {
    const lsn = this.#wal.nextLsn - 1;
    const { cuts } = this.#ledger;
    this.#track(
      this.#wal.flushUntil(lsn).then(() => {
        assert.ok(
          cuts !== this.#ledger.cuts || this.#wal.durableLsn >= lsn,
          `LSN ${lsn} is durable, and not called so`,
        );
        if (cuts === this.#ledger.cuts) this.#told.push({ lsn });
      }),
    );
  }

  #syncNow(): void {
    const lsn = this.#wal.nextLsn - 1;
    try {
      this.#wal.syncNow();
    } catch (error) {
      except("WAL_NOT_NOW")(error);
      return;
    }
    assert.ok(this.#wal.durableLsn >= lsn, `LSN ${lsn} is durable, and not called so`);
    this.#told.push({ lsn });
  }

  async #commitNow(payload: Uint8Array): Promise<void> {
    await this.#quiet();
    const entries = this.#ledger.handOver([payload]);
    try {
      const lsn = this.#wal.commitNow({ payload });
      assert.ok(this.#wal.durableLsn >= lsn, `LSN ${lsn} is durable, and not called so`);
      this.#told.push({ lsn, payload });
    } catch (error) {
      except("WAL_NOT_NOW", "WAL_BACKPRESSURE", "WAL_NO_SPACE")(error);
      this.#ledger.takeBack(entries);
    } finally {
      // Before anybody else looks: it may be on the disk though the call has failed.
      this.#ledger.given(this.#wal.nextLsn);
    }
  }

  #checkpoint(at: number): void {
    const lsn = Math.floor(at * (this.#wal.durableLsn + 1));
    this.#ledger.trimLsn = Math.max(this.#ledger.trimLsn, lsn);
    this.#track(this.#wal.checkpoint(lsn));
  }

  /** From then on no other key is written with. On a full disk the log goes over with its next segment, whenever there is one. */
  async #rotate(key: number): Promise<void> {
    if (this.#keys === undefined) return;
    this.#rotations += 1;
    const rotation = this.#rotations;
    const before = this.#wal.keyId;
    await this.#keys.use(key);
    try {
      await this.#wal.rotateKey();
    } catch (error) {
      except("WAL_NO_SPACE")(error);
      return;
    }
    if (this.#wal.keyId !== before) this.keyChanges += 1;
    // Where another change has been asked for since, the log may be on its way there.
    if (rotation === this.#rotations)
      assert.equal(this.#wal.keyId, key, "the key has been changed, and the log goes on with another");
  }

  async #cut(at: number): Promise<void> {
    await this.#settle();
    const { trimLsn } = this.#ledger;
    const lsn = trimLsn + Math.floor(at * (this.#wal.nextLsn - trimLsn));
    if (lsn >= this.#wal.nextLsn) return;
    this.#ledger.cutBegins(lsn);
    try {
      await this.#wal.truncateAfter(lsn);
      this.#ledger.cutDone();
    } catch (error) {
      if (codeOf(error) !== "WAL_NO_SPACE") throw error;
      this.#ledger.cutRefused();
    }
  }

  /** Everything that is durable is there for who reads now. */
  async #read(): Promise<void> {
    const { durableLsn } = this.#wal;
    const { cuts } = this.#ledger;
    let last = 0;
    try {
      for await (const record of this.#wal.read()) {
        this.#ledger.deliver(record, cuts);
        last = record.lsn;
      }
      if (cuts === this.#ledger.cuts)
        assert.ok(
          last >= durableLsn || durableLsn <= this.#ledger.trimLsn,
          `LSN ${durableLsn} is durable, and can't be read`,
        );
    } catch (error) {
      except("WAL_TRIMMED")(error);
    }
  }

  /** Another process, that only reads. */
  async #readBeside(): Promise<void> {
    const io = this.#disk.mount();
    try {
      const { cuts } = this.#ledger;
      const reader = await openReader({ io, directory: this.#directory, ...READING });
      for await (const record of reader.replay()) this.#ledger.deliver(record, cuts);
      await reader.close();
    } catch (error) {
      except("WAL_TRIMMED", "WAL_CUT_AWAY")(error);
    } finally {
      await io.close();
    }
  }

  async #follow(): Promise<void> {
    const { cuts } = this.#ledger;
    const { signal } = this.#following;
    let last: number | undefined;
    try {
      for await (const record of this.#wal.follow({ signal })) {
        this.#ledger.deliver(record, cuts);
        if (cuts === this.#ledger.cuts) {
          assert.ok(
            record.lsn <= this.#wal.durableLsn,
            `a follower was given LSN ${record.lsn} before it was durable`,
          );
          assert.equal(
            record.lsn,
            last === undefined ? record.lsn : last + 1,
            "a follower is given every record",
          );
        }
        last = record.lsn;
      }
    } catch (error) {
      if (!signal.aborted) except("WAL_TRIMMED", "WAL_CUT_AWAY")(error);
    }
  }
}
