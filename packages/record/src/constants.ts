/** Version of the format written and read (docs/format.md). */
export const FORMAT_VERSION = 1;

/** Smallest block size, in bytes. */
export const MIN_BLOCK_BYTES = 4096;
/** Largest block size, in bytes. */
export const MAX_BLOCK_BYTES = 65536;
/** Block size where the device asks for nothing larger, in bytes. */
export const DEFAULT_BLOCK_BYTES = 4096;

/** Bytes of a preamble that carry something; the rest of its 64 KiB is zero. */
export const PREAMBLE_BYTES = 256;
/** Where the second copy of a preamble or an anchor begins: in another 64 KiB folio than the first. */
export const PREAMBLE_COPY_OFFSET = 65536;
/** File offset of a segment's first frame; the two copies of the preamble take everything before it. */
export const FRAMES_START = 131072;

/** Bytes of a frame's header. */
export const FRAME_HEADER_BYTES = 192;
/** Bytes of an open frame's body. */
export const OPEN_BODY_BYTES = 32;
/** Bytes of a record before its payload. */
export const RECORD_HEADER_BYTES = 32;
/** Size of the anchor file: two copies, 64 KiB each. */
export const ANCHOR_BYTES = 131072;

/** Bytes of a log id, an incarnation or a DWB id. */
export const ID_BYTES = 16;

/** Bytes of an AES-GCM tag. */
export const TAG_BYTES = 16;
/** Bytes that tell, in a preamble, whether a key is the right one. */
export const KEY_CHECK_BYTES = 16;
/** Bytes that a record takes in a routing table. */
export const ROUTING_BYTES = 24;
/** Most that the records of an encrypted or compressed frame may come to, in bytes. */
export const MAX_PACKED_BYTES = 2 ** 30;

/** Bit 31 of a record's type: a reader that doesn't know the type must stop, not skip. */
export const REQUIRED_TYPE = 0x80000000;

/** Largest payload a frame can state, in bytes. What a log accepts is less: a frame has to fit a segment. */
export const MAX_PAYLOAD_BYTES = 0xffff0000 - FRAME_HEADER_BYTES - RECORD_HEADER_BYTES;

/** Last LSN that is ever given out: the one behind it ("the next record to come") must be a safe integer too. */
export const MAX_LSN = Number.MAX_SAFE_INTEGER - 1;
