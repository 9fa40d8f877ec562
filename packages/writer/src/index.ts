export type { RecordInput } from "@stonewal/record";
export { WalError, type WalErrorCode } from "./errors.js";
export { channels } from "./events.js";
export { openLog } from "./open.js";
export type { DwbMode, DwbSettings, WalOptions, WriterEncryption } from "./options.js";
export type { Distribution, Protection, WalStats } from "./stats.js";
export type { Wal } from "./wal.js";
