// The log, with a back end picked for it.

// What the layers below throw, and what goes in and comes out of them.
export { DwbError, type DwbErrorCode } from "@stonewal/dwb";
export { type Capabilities, type IoBackend, IoError, type IoErrorCode } from "@stonewal/io";
export {
  type Compression,
  type CompressionAlgorithm,
  decodeRecord,
  encodeRecord,
  type KeyProvider,
  KeyRing,
  type KeyRingOptions,
  type LogRecord,
  REQUIRED_TYPE,
  RecordError,
  type RecordErrorCode,
  type RecordFields,
  type RecordInput,
  type RecordRouting,
} from "@stonewal/record";
export {
  type Corruption,
  type DwbReport,
  type EncryptionOptions,
  type EncryptionReport,
  type ErrorDetails,
  type FramePlace,
  type InspectedFrame,
  type InspectedSegment,
  type InspectReport,
  type LogReader,
  type ReadOptions,
  RecoveryError,
  type RecoveryErrorCode,
  type RecoveryReport,
  type ReplayOptions,
  type SalvageReport,
  type Tip,
  type TornTail,
  type VerifyReport,
} from "@stonewal/recovery";
export {
  channels,
  type Distribution,
  type DwbMode,
  type DwbSettings,
  type Protection,
  type Wal,
  WalError,
  type WalErrorCode,
  type WalStats,
  type WriterEncryption,
} from "@stonewal/writer";
export { type BackendChoice, type BackendName, backendNames } from "./backends.js";
export { backendChannel } from "./events.js";
export { KeyFileError, type KeyFileErrorCode, readKeyFile, writeKeyFile } from "./key-file.js";
export { type OpenWalOptions, openWal } from "./open-wal.js";
// Looking at a log without changing it.
export {
  inspect,
  type LogDirectory,
  openReader,
  planRepair,
  type ReaderOptions,
  type RememberedLog,
  verify,
} from "./reading.js";
// For the person in trouble.
export { repair } from "./repair.js";
export {
  type SalvagedRange,
  type SalvageLogOptions,
  type SalvageLogReport,
  salvageLog,
} from "./salvage-log.js";
