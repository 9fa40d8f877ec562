import path from "node:path";
import type { ClassicLevel } from "classic-level";
import type { Store, StoreKind } from "./store.js";

type Database = ClassicLevel<Uint8Array, Uint8Array>;

/** `sync: true` for every write; LevelDB joins those that wait for each other. */
class Level implements Store {
  readonly name = classicLevel.name;
  readonly #db: Database;
  #nextKey = 1;

  constructor(db: Database) {
    this.#db = db;
  }

  commit(payload: Uint8Array): Promise<void> {
    return this.#db.put(this.#key(), payload, { sync: true });
  }

  bulk(payloads: () => Uint8Array, count: number): Promise<void> {
    const batch = this.#db.batch();
    for (let put = 0; put < count; put += 1) batch.put(this.#key(), payloads());
    return batch.write({ sync: true });
  }

  async replay(): Promise<number> {
    let count = 0;
    const values = this.#db.values();
    try {
      for (;;) {
        // As its documentation says of reading much: many at a time.
        const some = await values.nextv(1000);
        if (some.length === 0) return count;
        count += some.length;
      }
    } finally {
      await values.close();
    }
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  #key(): Uint8Array {
    const key = Buffer.allocUnsafe(8);
    // Big-endian, so that they are in order.
    key.writeBigUInt64BE(BigInt(this.#nextKey++));
    return key;
  }
}

export const classicLevel: StoreKind = {
  name: "classic-level",
  async open(directory) {
    const { ClassicLevel } = await import("classic-level");
    const db: Database = new ClassicLevel(path.join(directory, "db"), {
      keyEncoding: "view",
      valueEncoding: "view",
    });
    await db.open();
    return new Level(db);
  },
};
