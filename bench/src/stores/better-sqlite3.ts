import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import type { Database, Statement } from "better-sqlite3";
import type { Store, StoreKind } from "./store.js";

type Open = (file: string) => Database;

const require = createRequire(import.meta.url);

/** WAL mode, synchronous=FULL, and a transaction for each commit. */
class Sqlite implements Store {
  readonly name = betterSqlite3.name;
  readonly #db: Database;
  readonly #insert: Statement<[Uint8Array]>;

  constructor(db: Database) {
    this.#db = db;
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    db.exec("CREATE TABLE log (lsn INTEGER PRIMARY KEY, payload BLOB NOT NULL)");
    this.#insert = db.prepare("INSERT INTO log (payload) VALUES (?)");
  }

  commit(payload: Uint8Array): undefined {
    this.#insert.run(payload);
  }

  bulk(payloads: () => Uint8Array, count: number): undefined {
    this.#db.transaction(() => {
      for (let insert = 0; insert < count; insert += 1) this.#insert.run(payloads());
    })();
  }

  replay(): number {
    let count = 0;
    for (const row of this.#db.prepare("SELECT payload FROM log ORDER BY lsn").raw().iterate()) {
      if (row !== undefined) count += 1;
    }
    return count;
  }

  async close(): Promise<void> {
    this.#db.close();
  }
}

function load(): Open {
  const BetterSqlite3 = require("better-sqlite3") as typeof import("better-sqlite3");
  const open = (file: string) => new BetterSqlite3(file);
  // The addon is not looked for before the first database.
  open(":memory:").close();
  return open;
}

/**
 * Builds the addon from the sources in its package where there is none yet: its ready-made ones are not on npm. Takes a minute,
 * once. Rejects where Python, make, or a C++ compiler is missing.
 */
export async function buildBetterSqlite3(): Promise<void> {
  try {
    load();
    return;
  } catch {
    console.log("building better-sqlite3: about a minute, once");
  }
  const directory = path.dirname(require.resolve("better-sqlite3/package.json"));
  const args = ["--yes", "node-gyp@12", "rebuild", "--release"];
  await promisify(execFile)("npx", args, { cwd: directory, maxBuffer: 2 ** 28 });
}

export const betterSqlite3: StoreKind = {
  name: "better-sqlite3",
  async open(directory) {
    return new Sqlite(load()(path.join(directory, "log.db")));
  },
};
