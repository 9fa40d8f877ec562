export {
  type Anchor,
  type AnchorEncryption,
  authenticateAnchor,
  decodeAnchor,
  encodeAnchor,
  sealAnchor,
} from "./anchor.js";
export { firstNonZero } from "./binary.js";
export { remaskFrame } from "./boundary-mask.js";
export {
  COMPRESSION_ALGORITHMS,
  type Compression,
  type CompressionAlgorithm,
  checkCompression,
} from "./compression.js";
export {
  ANCHOR_BYTES,
  DEFAULT_BLOCK_BYTES,
  FORMAT_VERSION,
  FRAME_HEADER_BYTES,
  FRAMES_START,
  ID_BYTES,
  MAX_BLOCK_BYTES,
  MAX_LSN,
  MAX_PACKED_BYTES,
  MAX_PAYLOAD_BYTES,
  MIN_BLOCK_BYTES,
  OPEN_BODY_BYTES,
  PREAMBLE_BYTES,
  PREAMBLE_COPY_OFFSET,
  RECORD_HEADER_BYTES,
  REQUIRED_TYPE,
  ROUTING_BYTES,
  TAG_BYTES,
} from "./constants.js";
export { type ChecksumRanges, checksumRanges, crc32c } from "./crc32c.js";
export { RecordError, type RecordErrorCode } from "./errors.js";
export { FrameBuilder, type FrameFields, type Packing, type SealedFrame } from "./frame-builder.js";
export {
  type FrameHeader,
  type FrameKind,
  frameChecksum,
  frameTag,
  paddedFrameBytes,
  readFrameHeader,
} from "./frame-header.js";
export { frameRecords, type RecordCursor } from "./frame-records.js";
export { FrameUnpacker } from "./frame-unpacker.js";
export { type FramePlace, FrameVerifier } from "./frame-verifier.js";
export { intactRecords } from "./intact-records.js";
export { KEY_BYTES, type KeyProvider, KeyRing, type KeyRingOptions } from "./key-ring.js";
export { type CipherPurpose, type KeyPlace, LogCipher, LogDecipher } from "./log-cipher.js";
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
export { NO_TAG, type PackedBody } from "./packed-body.js";
export {
  authenticatePreamble,
  decodePreamble,
  encodePreamble,
  type Preamble,
  type PreambleEncryption,
  preambleTag,
  sealPreamble,
} from "./preamble.js";
export {
  decodeRecord,
  encodeRecord,
  type RecordFields,
  type RecordInput,
  recordBytes,
  validateRecord,
} from "./record.js";
export { frameRouting, type RecordRouting } from "./routing-table.js";
