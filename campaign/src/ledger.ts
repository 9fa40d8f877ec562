import { strict as assert } from "node:assert";

/** A record as the ledger knows it; `batch` is shared by those of an atomic batch, 0: of none. */
export interface Entry {
  readonly payload: Uint8Array;
  readonly batch: number;
}

export interface Delivered {
  readonly lsn: number;
  readonly payload: Uint8Array;
}

/**
 * What was attempted and what was acknowledged: acknowledged ⊆ recovered ⊆ attempted, and what is recovered is an exact
 * prefix, byte for byte. Every method throws where the log has broken its promise.
 */
export class Ledger {
  /** Attempted, by LSN - 1. */
  #attempted: Entry[] = [];
  /** All that was ever attempted under an LSN: one that was never acknowledged, or was cut away, is given again. */
  readonly #ever = new Map<number, Uint8Array[]>();
  /** Handed over, and waiting for room: it has no LSN yet. */
  #waiting: Entry[] = [];
  /** Every record up to this LSN was called durable: by a promise, by `durableLsn`, or by being delivered to a reader. */
  #durableLsn = 0;
  /** How often that has moved. */
  #acknowledgements = 0;
  /** Records up to this LSN may be gone, because a checkpoint said so or was about to. */
  trimLsn = 0;
  /** A cut that was asked for and has not been confirmed. */
  #cut: number | undefined;
  #cuts = 0;
  #batches = 0;

  /** The same, to go on apart from this one. */
  clone(): Ledger {
    const copy = new Ledger();
    copy.#attempted = [...this.#attempted];
    for (const [lsn, payloads] of this.#ever) copy.#ever.set(lsn, [...payloads]);
    copy.#waiting = [...this.#waiting];
    copy.#durableLsn = this.#durableLsn;
    copy.#acknowledgements = this.#acknowledgements;
    copy.trimLsn = this.trimLsn;
    copy.#cut = this.#cut;
    copy.#cuts = this.#cuts;
    copy.#batches = this.#batches;
    return copy;
  }

  get lastLsn(): number {
    return this.#attempted.length;
  }

  get durableLsn(): number {
    return this.#durableLsn;
  }

  get acknowledgements(): number {
    return this.#acknowledgements;
  }

  /** How many cuts were begun: what a reader has seen before one may be given again behind it. */
  get cuts(): number {
    return this.#cuts;
  }

  /** The LSN behind which a cut was asked for that has not been confirmed. */
  get cutPending(): number | undefined {
    return this.#cut;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Handed over together, to come back together or not at all; their LSNs show later. */
  handOver(payloads: readonly Uint8Array[]): readonly Entry[] {
    if (payloads.length > 1) this.#batches += 1;
    const batch = payloads.length > 1 ? this.#batches : 0;
    const entries = payloads.map((payload) => ({ payload, batch }));
    this.#waiting.push(...entries);
    return entries;
  }

  /** It was refused: what of it has no LSN will not get one. */
  takeBack(entries: readonly Entry[]): void {
    this.#waiting = this.#waiting.filter((entry) => !entries.includes(entry));
  }

  /** `nextLsn` is the log's: what it has given LSNs to since the last call, in the order in which it was handed over. */
  given(nextLsn: number): void {
    // A cut that has happened, and of which the caller has not heard yet.
    if (nextLsn - 1 === this.#cut) return;
    assert.ok(
      nextLsn - 1 >= this.lastLsn,
      `the next LSN is ${nextLsn}, and ${this.lastLsn} has been given already`,
    );
    while (this.lastLsn < nextLsn - 1) {
      const entry = this.#waiting.shift();
      assert.ok(entry !== undefined, `LSN ${this.lastLsn + 1} was given, and nobody has asked for it`);
      this.#attempted.push(entry);
      const ever = this.#ever.get(this.lastLsn);
      if (ever === undefined) this.#ever.set(this.lastLsn, [entry.payload]);
      else ever.push(entry.payload);
    }
  }

  /** Somebody was told that everything up to `lsn` survives. */
  acknowledge(lsn: number): void {
    assert.ok(lsn <= this.lastLsn, `LSN ${lsn} was acknowledged and never given`);
    if (lsn <= this.#durableLsn) return;
    this.#durableLsn = lsn;
    this.#acknowledgements += 1;
  }

  /** A reader was given a record, after `cuts` cuts: it has to be the one, and it has to stay. */
  deliver({ lsn, payload }: Delivered, cuts = this.#cuts): void {
    if (cuts !== this.#cuts) {
      // It may have been read before the cut.
      assert.ok(this.wasAttempted({ lsn, payload }), `a reader was given an LSN ${lsn} that nobody wrote`);
      return;
    }
    const entry = this.#attempted[lsn - 1];
    assert.ok(entry !== undefined, `a reader was given LSN ${lsn}, which nobody wrote`);
    assert.ok(
      Buffer.compare(payload, entry.payload) === 0,
      `a reader was given another payload of LSN ${lsn}`,
    );
    this.acknowledge(lsn);
  }

  /** Whether these bytes were ever written under this LSN. */
  wasAttempted({ lsn, payload }: Delivered): boolean {
    return this.#ever.get(lsn)?.some((written) => Buffer.compare(payload, written) === 0) === true;
  }

  cutBegins(lsn: number): void {
    this.#cut = lsn;
    this.#cuts += 1;
  }

  /** It was refused: nothing has changed. */
  cutRefused(): void {
    this.#cut = undefined;
  }

  cutDone(): void {
    const cut = this.#cut as number;
    this.#cut = undefined;
    this.#cuts += 1;
    this.#attempted.length = cut;
    this.#durableLsn = cut;
  }

  /** Compares with what a log delivers after a crash, changing nothing. */
  check(recovered: readonly Delivered[], nextLsn: number): void {
    const last = nextLsn - 1;
    // The drain before the cut may have made everything durable; or the cut itself is.
    const wasCut = last === this.#cut;
    const acknowledged = wasCut ? Math.min(this.#durableLsn, last) : this.#durableLsn;
    assert.ok(last >= acknowledged, `LSN ${acknowledged} was acknowledged, and the log ends at ${last}`);
    assert.ok(last <= this.lastLsn, `LSN ${last} was never attempted, and the log has it`);
    const first = recovered[0]?.lsn;
    if (first === undefined) {
      assert.ok(last <= this.trimLsn, `nothing up to LSN ${last} is delivered`);
    } else {
      assert.ok(first <= this.trimLsn + 1, `records before LSN ${first} are gone`);
      assert.equal(recovered.at(-1)?.lsn, last, "a replay ends where the log ends");
    }
    this.#checkPayloads(recovered);
    const [before, behind] = [this.#attempted[last - 1], this.#attempted[last]];
    if (!wasCut && behind !== undefined && before !== undefined && last > this.trimLsn) {
      assert.ok(
        behind.batch === 0 || behind.batch !== before.batch,
        `LSN ${last} was recovered without the rest of its batch`,
      );
    }
  }

  #checkPayloads(recovered: readonly Delivered[]): void {
    recovered.forEach(({ lsn, payload }, index) => {
      assert.equal(lsn, (recovered[0]?.lsn as number) + index, "a replay has no gaps");
      const entry = this.#attempted[lsn - 1];
      assert.ok(
        entry !== undefined && Buffer.compare(payload, entry.payload) === 0,
        `the payload of LSN ${lsn} differs`,
      );
    });
  }

  /** As `check`, and goes on from there: what is recovered is there to stay, what isn't was never given. */
  settle(recovered: readonly Delivered[], nextLsn: number): void {
    this.check(recovered, nextLsn);
    this.#goOnFrom(nextLsn - 1);
  }

  /**
   * After a fault that nothing is promised against: records may be missing at the end, and nothing may be there that nobody
   * wrote. Answers how many acknowledged ones are missing.
   */
  settleAfterLoss(recovered: readonly Delivered[], nextLsn: number): number {
    assert.ok(nextLsn - 1 <= this.lastLsn, `LSN ${nextLsn - 1} was never attempted, and the log has it`);
    for (const record of recovered)
      assert.ok(this.wasAttempted(record), `LSN ${record.lsn} is delivered with bytes that nobody wrote`);
    this.#checkPayloads(recovered);
    const wasCut = nextLsn - 1 === this.#cut;
    const missing = wasCut ? 0 : Math.max(0, this.#durableLsn - (nextLsn - 1));
    this.#goOnFrom(nextLsn - 1);
    return missing;
  }

  #goOnFrom(last: number): void {
    this.#cut = undefined;
    this.#cuts += 1;
    this.#waiting = [];
    this.#attempted.length = last;
    this.#durableLsn = last;
  }
}
