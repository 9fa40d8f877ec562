import path from "node:path";
import type { RootDatabase } from "lmdb";
import type { Store, StoreKind } from "./store.js";

/** As it comes: puts are grouped into transactions, and the promise of each resolves when its transaction is flushed. */
class Lmdb implements Store {
  readonly name = lmdb.name;
  readonly #db: RootDatabase<Buffer, number>;
  #nextKey = 1;

  constructor(db: RootDatabase<Buffer, number>) {
    this.#db = db;
  }

  commit(payload: Uint8Array): Promise<unknown> {
    return this.#db.put(this.#nextKey++, payload as Buffer);
  }

  bulk(payloads: () => Uint8Array, count: number): Promise<unknown> {
    return this.#db.transaction(() => {
      for (let put = 0; put < count; put += 1) void this.#db.put(this.#nextKey++, payloads() as Buffer);
    });
  }

  replay(): number {
    let count = 0;
    for (const { value } of this.#db.getRange()) if (value.length > 0) count += 1;
    return count;
  }

  close(): Promise<void> {
    return this.#db.close();
  }
}

export const lmdb: StoreKind = {
  name: "lmdb",
  async open(directory) {
    const { open } = await import("lmdb");
    return new Lmdb(
      open<Buffer, number>({ path: path.join(directory, "db"), encoding: "binary", keyEncoding: "uint32" }),
    );
  },
};
