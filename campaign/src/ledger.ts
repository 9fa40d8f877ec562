import { strict as assert } from "node:assert";

/** A record as the ledger knows it; `batch` is shared by those of an atomic batch. */
export interface Entry {
  readonly payload: Uint8Array;
  readonly batch: number;
}

/**
 * What was attempted and what was acknowledged: acknowledged ⊆ recovered ⊆ attempted, and what is recovered is an exact
 * prefix, byte for byte.
 */
export class Ledger {
  /** Attempted, by LSN - startLsn. */
  #attempted: Entry[] = [];
  readonly startLsn: number;
  /** Every record up to this LSN was reported durable. */
  durableLsn: number;
  /** Records up to this LSN may be gone, because a checkpoint said so or was about to. */
  trimLsn = 0;
  /** A cut that was asked for and has not been confirmed. */
  #cut: number | undefined;
  batches = 0;

  constructor(startLsn = 1) {
    this.startLsn = startLsn;
    this.durableLsn = startLsn - 1;
  }

  get lastLsn(): number {
    return this.startLsn + this.#attempted.length - 1;
  }

  attempt(lsn: number, entry: Entry): void {
    assert.equal(lsn, this.lastLsn + 1, "LSNs are given without gaps");
    this.#attempted.push(entry);
  }

  acknowledge(lsn: number): void {
    assert.ok(lsn <= this.lastLsn, `LSN ${lsn} was acknowledged and never given`);
    this.durableLsn = Math.max(this.durableLsn, lsn);
  }

  cutBegins(lsn: number): void {
    this.#cut = lsn;
  }

  cutDone(): void {
    const cut = this.#cut as number;
    this.#cut = undefined;
    this.#attempted.length = cut - this.startLsn + 1;
    this.durableLsn = cut;
  }

  /** Compares with what a log delivers after a crash, and goes on from there. */
  settle(recovered: readonly { lsn: number; payload: Uint8Array }[], nextLsn: number): void {
    const last = nextLsn - 1;
    // The drain before the cut may have made everything durable; or the cut itself is.
    const wasCut = last === this.#cut;
    if (wasCut) this.durableLsn = Math.min(this.durableLsn, last);
    this.#cut = undefined;
    assert.ok(
      last >= this.durableLsn,
      `LSN ${this.durableLsn} was acknowledged, and the log ends at ${last}`,
    );
    assert.ok(last <= this.lastLsn, `LSN ${last} was never attempted, and the log has it`);
    if (recovered.length > 0) {
      const first = recovered[0]?.lsn as number;
      assert.ok(first <= this.trimLsn + 1 || first === this.startLsn, `records before LSN ${first} are gone`);
      assert.equal(recovered.at(-1)?.lsn, last, "a replay ends where the log ends");
    } else {
      assert.ok(last <= Math.max(this.trimLsn, this.startLsn - 1), `nothing up to LSN ${last} is delivered`);
    }
    recovered.forEach((record, index) => {
      assert.equal(record.lsn, (recovered[0]?.lsn as number) + index, "a replay has no gaps");
      const entry = this.#attempted[record.lsn - this.startLsn] as Entry;
      assert.ok(
        Buffer.compare(record.payload, entry.payload) === 0,
        `the payload of LSN ${record.lsn} differs`,
      );
    });
    const behind = this.#attempted[last - this.startLsn + 1];
    const before = this.#attempted[last - this.startLsn];
    if (!wasCut && behind !== undefined && before !== undefined && last > this.trimLsn) {
      assert.ok(
        behind.batch === 0 || behind.batch !== before.batch,
        `LSN ${last} was recovered without the rest of its batch`,
      );
    }
    this.#attempted.length = last - this.startLsn + 1;
    this.durableLsn = Math.max(this.startLsn - 1, last);
  }
}
