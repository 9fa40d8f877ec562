/**
 * What the parent knows of the log from outside: which records were attempted, and which were acknowledged. Records are
 * counted from 1, so `acknowledged` is the number of the last one of a prefix without gaps, and so is `attempted`.
 */
export class Ledger {
  /** Every record up to here must be in the log from now on. */
  acknowledged = 0;
  /** No record beyond this may be in the log. */
  attempted = 0;
  /** Acknowledgements received, all of them. */
  acknowledgements = 0;

  attempt(record: number): void {
    if (record !== this.attempted + 1) {
      throw new Error(`record ${record} was attempted after record ${this.attempted}`);
    }
    this.attempted = record;
  }

  acknowledge(record: number): void {
    if (record !== this.acknowledged + 1 || record > this.attempted) {
      throw new Error(
        `record ${record} was acknowledged, but ${this.acknowledged} were acknowledged and ${this.attempted} attempted before`,
      );
    }
    this.acknowledged = record;
    this.acknowledgements += 1;
  }

  /**
   * A writer has opened the log with this many records in it. What it has recovered it has made durable, so none of it may
   * disappear again; what was attempted beyond it will be attempted again.
   */
  reopened(recovered: number): void {
    this.acknowledged = recovered;
    this.attempted = recovered;
  }
}
