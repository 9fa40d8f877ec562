import { betterSqlite3 } from "./better-sqlite3.js";
import { classicLevel } from "./classic-level.js";
import { blockingFile, groupingFile, serialFile } from "./file.js";
import { lmdb } from "./lmdb.js";
import type { StoreKind } from "./store.js";

/** What people use instead of a log. */
export const others: readonly StoreKind[] = [
  blockingFile,
  serialFile,
  groupingFile,
  lmdb,
  betterSqlite3,
  classicLevel,
];

/** Those of them that can be read back in order. */
export const databases: readonly StoreKind[] = [lmdb, betterSqlite3, classicLevel];
