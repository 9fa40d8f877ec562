export { type Anchor, decodeAnchor, encodeAnchor } from "./anchor.js";
export { firstNonZero } from "./binary.js";
export { remaskFrame } from "./boundary-mask.js";
export {
  ANCHOR_BYTES,
  DEFAULT_BLOCK_BYTES,
  FORMAT_VERSION,
  FRAME_HEADER_BYTES,
  FRAMES_START,
  ID_BYTES,
  MAX_BLOCK_BYTES,
  MAX_LSN,
  MAX_PAYLOAD_BYTES,
  MIN_BLOCK_BYTES,
  OPEN_BODY_BYTES,
  PREAMBLE_BYTES,
  PREAMBLE_COPY_OFFSET,
  RECORD_HEADER_BYTES,
  REQUIRED_TYPE,
} from "./constants.js";
export { type ChecksumRanges, checksumRanges, crc32c } from "./crc32c.js";
export { RecordError, type RecordErrorCode } from "./errors.js";
export { FrameBuilder, type FrameFields, type SealedFrame } from "./frame-builder.js";
export {
  type FrameHeader,
  type FrameKind,
  frameChecksum,
  paddedFrameBytes,
  readFrameHeader,
} from "./frame-header.js";
export { frameRecords, type RecordCursor } from "./frame-records.js";
export { type FramePlace, FrameVerifier } from "./frame-verifier.js";
export { intactRecords } from "./intact-records.js";
export type { LogRecord } from "./log-record.js";
export {
  ANCHOR_NAME,
  type AsideName,
  asideName,
  DWB_NAME,
  LOCK_NAME,
  parseAsideName,
  parseSegmentName,
  parseSpareName,
  type SegmentName,
  type SpareName,
  segmentName,
  spareName,
} from "./names.js";
export { type OpenBody, readOpenBody } from "./open-body.js";
export { decodePreamble, encodePreamble, type Preamble } from "./preamble.js";
export {
  decodeRecord,
  encodeRecord,
  type RecordFields,
  type RecordInput,
  recordBytes,
  validateRecord,
} from "./record.js";
