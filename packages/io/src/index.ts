export type {
  Arena,
  BlockingChains,
  Capabilities,
  ChecksumRanges,
  Clock,
  IoBackend,
  IoFile,
  IoLock,
  OpenOptions,
  Region,
  Step,
  SyncStep,
  Timer,
  UntornLimits,
  WriteStep,
} from "./backend.js";
export { IoError, type IoErrorCode, type IoErrorDetails, type IoOperation, ioErrorCode } from "./errors.js";
export { FOLIO_BYTES } from "./folio.js";
export { fitsUntorn, untornRefusal } from "./untorn.js";
