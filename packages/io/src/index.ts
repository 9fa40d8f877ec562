export type {
  Arena,
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
  WriteStep,
} from "./backend.js";
export { IoError, type IoErrorCode, type IoErrorDetails, type IoOperation, ioErrorCode } from "./errors.js";
