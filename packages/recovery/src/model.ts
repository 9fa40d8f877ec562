import type { DwbImages } from "@stonewal/dwb";
import type { IoBackend } from "@stonewal/io";
import type { Anchor, CompressionAlgorithm, LogRecord, Preamble, RecordRouting } from "@stonewal/record";
import type { RecoveryErrorCode } from "./errors.js";
import type { EncryptionOptions, SegmentKeys } from "./segment-keys.js";

/** Where a log lies, and through what it is read. */
export interface LogLocation {
  readonly io: IoBackend;
  readonly directory: string;
  /** Path of the double-write buffer; `<directory>/dwb` if not given. */
  readonly dwbPath?: string | undefined;
  /** For an encrypted log. Without keys its structure can be looked at, and its records can't be read. */
  readonly encryption?: EncryptionOptions | undefined;
}

/**
 * What a log is known to have held: `wal.tip` of an earlier time, kept where whoever can exchange the log can't reach it. An old and intact
 * copy of the whole directory looks like a log that is fine; this tells it.
 */
export interface Tip {
  /** Last LSN that was durable. */
  readonly lsn: number;
  /** Of an encrypted log: the tag of the frame that held it, 16 bytes. */
  readonly tag?: Uint8Array | undefined;
}

export interface RecoverOptions extends LogLocation {
  /** Where the log is encrypted and no keys are given, look at its structure without. Default: reject with `WAL_KEY_MISSING`. */
  readonly structureOnly?: boolean | undefined;
  /** The log is to be opened without a double-write buffer: what lies in its place may be anything. Default: reject with `DWB_DAMAGED`. */
  readonly withoutDwb?: boolean | undefined;
  /** Reject with `WAL_ROLLED_BACK` unless the log holds this. */
  readonly atLeast?: Tip | undefined;
  /** Read past the page cache. Default: where the file system can. */
  readonly direct?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the next frame goes in the last segment, and what it must say. */
export interface Position {
  /** Byte offset in the segment, a multiple of the block size; the segment's size or more where it is full. */
  readonly offset: number;
  readonly frameNumber: number;
  readonly nextLsn: number;
  /** Checksum of the frame before. */
  readonly chain: bigint;
  /** Tag of the frame or preamble before; zeros where that isn't encrypted. */
  readonly tag: Uint8Array;
}

/** Bytes that stand in for what a file holds at `offset`: a frame taken from the double-write buffer, padding included. */
export interface OverlayImage {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** What it takes to read a segment of a log. */
export interface SegmentRef {
  readonly sequence: number;
  readonly path: string;
  readonly preamble: Preamble;
  /** Images to be read instead of the file's own bytes; a read-only view cannot write them home. */
  readonly overlay?: readonly OverlayImage[] | undefined;
}

/** A segment of the live log. */
export interface LiveSegment extends SegmentRef {
  readonly name: string;
  readonly firstLsn: number;
  /** Last LSN that counts in it; `firstLsn - 1` where it holds none. */
  readonly lastLsn: number;
  /** Byte offset behind its last frame that counts. */
  readonly end: number;
}

/** A frame, for reports. */
export interface FramePlace {
  readonly file: string;
  readonly sequence: number;
  readonly offset: number;
  readonly frameNumber: number;
  /** First LSN; where the frame is empty, `lastLsn` is one less. */
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/** Something that is damaged or lost, as a report lists it. */
export interface Corruption {
  readonly code: RecoveryErrorCode;
  readonly message: string;
  readonly file?: string | undefined;
  readonly offset?: number | undefined;
  readonly frameNumber?: number | undefined;
  readonly firstLsn?: number | undefined;
  readonly lastLsn?: number | undefined;
  /** Opening for writing puts it right; no record is lost. */
  readonly repairable: boolean;
}

/** What is dropped at the end of the log: an interrupted write that nobody was told had succeeded. */
export interface TornTail {
  readonly file: string;
  readonly offset: number;
  /** Bytes that are cleared by opening for writing. */
  readonly bytes: number;
  /** Frames that are intact in themselves but lie behind a hole; saved aside before they are cleared. */
  readonly frames: readonly FramePlace[];
}

export interface SavedAside extends FramePlace {
  /** Path it was saved to; absent where there was no room for it. */
  readonly savedAs?: string | undefined;
  readonly reason?: string | undefined;
}

/** What recovery found, and did or would do. Plain data. */
export interface RecoveryReport {
  readonly firstLsn: number;
  /** `firstLsn - 1` where the log holds no record. */
  readonly lastLsn: number;
  readonly records: number;
  readonly segments: number;
  readonly frames: number;
  readonly closedCleanly: boolean;
  /** Frames written home from the double-write buffer. */
  readonly restored: readonly FramePlace[];
  /** What costs no record and is put right: a damaged copy of a preamble, one of the anchor whose writing was interrupted, ... */
  readonly repaired: readonly Corruption[];
  readonly tornTail?: TornTail | undefined;
  readonly aside: readonly SavedAside[];
  /** Names of files that belong to the log no more. */
  readonly removed: readonly string[];
}

export interface RecoveredLog {
  readonly logId: Uint8Array;
  readonly blockBytes: number;
  /** Size of the last segment. */
  readonly segmentBytes: number;
  /** Oldest first; the last one is where appending goes on. Never empty. */
  readonly segments: readonly LiveSegment[];
  readonly position: Position;
  /** Absent where the creation of the log was interrupted before the anchor was complete: write one (generation 1). */
  readonly anchor: Anchor | undefined;
  /** Records up to this LSN may be gone; 0: none. */
  readonly trimLsn: number;
  readonly tip: Tip;
  /** Names of the segment files waiting to be used, all of `segmentBytes`. */
  readonly spares: readonly string[];
  readonly closedCleanly: boolean;
  /** Highest sequence ever seen in a segment's name. */
  readonly highestSequence: number;
  /** Highest number of a spare's name, 0 if there was none. */
  readonly highestSpare: number;
  /** What the double-write buffer held, if there is one. */
  readonly dwb: DwbImages | undefined;
  readonly report: RecoveryReport;
}

export interface DwbReport {
  /** Whether there is a buffer at the path. */
  readonly present: boolean;
  readonly path: string;
  /** Hexadecimal. */
  readonly id?: string | undefined;
  /** Whether its header is intact; what slots hold is known without. */
  readonly headerIntact: boolean;
  readonly slots: number;
  readonly images: number;
  /** Slots whose checksum is wrong: torn by a crash, or damaged. */
  readonly damaged: number;
  /** Slots that the device refuses to read. */
  readonly unreadable: number;
  /** Frames that the log itself is missing, and that opening for writing would put back. */
  readonly restores: readonly FramePlace[];
}

/** What of an encrypted log was checked with its keys. */
export interface EncryptionReport {
  /** Ids of the keys that its segments were written with, oldest first, and of the anchor's if it is another. */
  readonly keyIds: readonly number[];
  /** Ids of those that were not at hand: of what was written with them only the structure was checked. */
  readonly unchecked: readonly number[];
  /** Segments from before the log was encrypted. */
  readonly unencryptedSegments: number;
}

export interface VerifyReport {
  /** Records that can be read, in order, from the first on. */
  readonly records: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly segments: number;
  readonly frames: number;
  /** Total size of the live segments' files. */
  readonly bytes: number;
  readonly closedCleanly: boolean;
  /** Whether an interrupted write lies behind the last frame. Not an error: nobody was told it had succeeded. */
  readonly tornTail: boolean;
  readonly tail?: TornTail | undefined;
  /**
   * Everything damaged, what opening for writing would put right included. Empty: all that was acknowledged can be read, and opening for writing is
   * not refused.
   */
  readonly corruption: readonly Corruption[];
  readonly dwb: DwbReport;
  /** Absent where nothing is encrypted. */
  readonly encryption?: EncryptionReport | undefined;
  /** What to remember of the log, for `atLeast`. Absent where it is damaged, and beside a running writer, who knows it (`wal.tip`). */
  readonly tip?: Tip | undefined;
}

export interface InspectedFrame extends FramePlace {
  readonly kind: "data" | "open" | "idle" | "close";
  readonly records: number;
  /** Header and body. */
  readonly bytes: number;
  readonly paddingBytes: number;
  readonly watermark: number;
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  /** Hexadecimal. */
  readonly incarnation: string;
  /** Id of the key it is encrypted with. */
  readonly keyId?: number | undefined;
  readonly compression?: CompressionAlgorithm | undefined;
  /** Bytes of its records before they were compressed or encrypted; absent where they are stored as they are. */
  readonly plainBytes?: number | undefined;
  /** Where an encrypted frame leaves its records' routing fields readable. */
  readonly routing?: readonly RecordRouting[] | undefined;
}

export interface InspectedSegment {
  readonly name: string;
  readonly sequence: number;
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly bytes: number;
  readonly end: number;
  readonly blockBytes: number;
  readonly recycled: boolean;
  /** Milliseconds since the Unix epoch. */
  readonly created: number;
  /** Id of the key that it is encrypted with. */
  readonly keyId?: number | undefined;
  /** Frames that count, and sums over them; a frame that a cut goes through counts whole. */
  readonly frames: number;
  readonly records: number;
  /** Headers and bodies. */
  readonly frameBytes: number;
  readonly paddingBytes: number;
}

export interface InspectReport extends VerifyReport {
  /** Hexadecimal. */
  readonly logId: string;
  readonly trimLsn: number;
  readonly anchor:
    | {
        generation: number;
        trimLsn: number;
        watermark: number;
        lastLsn: number;
        sequence: number;
        time: number;
      }
    | undefined;
  readonly segmentList: readonly InspectedSegment[];
  readonly voidSegments: readonly string[];
  readonly spares: readonly string[];
  /** Every frame that counts, oldest first, read as it is asked for. */
  frameList(): AsyncIterableIterator<InspectedFrame>;
}

/** Up to where records may be delivered. */
export interface DurablePoint {
  /** Last LSN that is durable. */
  readonly lsn: number;
  /** Number of the last frame that is durable. */
  readonly frameNumber: number;
}

/** A log to read from: what the writer offers of itself, and what a `LogReader` is. */
export interface LogView {
  readonly logId: Uint8Array;
  readonly blockBytes: number;
  /** For an encrypted log. */
  readonly keys?: SegmentKeys | undefined;
  /**
   * The live segments, oldest first: a snapshot. A segment must be in it before `durable()` reaches into it. A
   * segment that the next one's preamble cuts short stays, and so does the order of sequences.
   */
  segments(): readonly SegmentRef[];
  durable(): DurablePoint;
  /**
   * Of a writer whose double-write buffer acknowledges commits: up to which frame the segments' files hold everything, and a way to
   * have them hold more. Absent: as far as `durable()` says.
   */
  readonly home?: {
    frameNumber(): number;
    /** Resolves when all that is durable at the call is in the segments' files. */
    reach(): Promise<void>;
  };
  trimLsn(): number;
  /** Resolves when `durable()` has moved since the call, or the segments have changed, or the log is closed. */
  changed(): Promise<void>;
  closed(): boolean;
  /** Looks for what has changed on the disk. Absent where the view is always up to date. */
  refresh?(): Promise<void>;
  /**
   * Why nothing behind `durable()` can be read: a replay up to the end, or a follower, throws it when it gets there.
   */
  damage?(): Error | undefined;
  /**
   * Tells the view of a reader that still needs the records above the LSN that `position` returns, so that it may hold
   * back recycling. The function returned ends that.
   */
  hold?(position: () => number): () => void;
}

export interface ReadOptions {
  /**
   * First LSN. Default: the first that is there. Below the first that is there: `WAL_TRIMMED`. Beyond the last one is no error: a replay has nothing to
   * deliver, and `follow` waits until the log gets there. Whether a log has lost what it once held is what `atLeast` tells, when it is opened.
   */
  readonly from?: number | undefined;
  /** Only records of these types. */
  readonly types?: Iterable<number> | undefined;
  /** Only records for which this holds. */
  readonly filter?: ((record: LogRecord) => boolean) | undefined;
  /**
   * Which required types (bit 31 set) the caller knows: one it does not know stops the replay with
   * `WAL_UNKNOWN_TYPE`. Without it every type counts as known.
   */
  readonly knownTypes?: ((type: number) => boolean) | undefined;
  /** Read past the page cache. Default false. */
  readonly direct?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes read at a time, by default 1 MiB; more where a single frame is larger. */
  readonly chunkBytes?: number | undefined;
}

export interface ReplayOptions extends ReadOptions {
  /** Last LSN. Default: the last that is durable when the replay begins. */
  readonly to?: number | undefined;
  /** Ends before the first frame whose wall-clock time, in milliseconds since the Unix epoch, is later than this. */
  readonly untilTime?: number | undefined;
}

/** A place in the log right behind a record: what a segment that cuts the log there has to state. */
export interface LogPlace {
  readonly sequence: number;
  /** Number of the frame that holds the record. */
  readonly frameNumber: number;
  /** Byte offset behind that frame. */
  readonly offset: number;
  /** Checksum of that frame: the next one's chain. */
  readonly checksum: bigint;
  /** Tag of that frame; zeros where it isn't encrypted. */
  readonly tag: Uint8Array;
  readonly frameFirstLsn: number;
}

export interface VerifyOptions extends LogLocation {
  /** Report `WAL_ROLLED_BACK` unless the log holds this. */
  readonly atLeast?: Tip | undefined;
}

export interface OpenReaderOptions extends LogLocation {
  /** Read past the page cache where the file system can. Default true. */
  readonly direct?: boolean | undefined;
  /**
   * What to do about damage: `refuse` (default) rejects, `prefix` opens what precedes it; replaying to the end then
   * throws the error when it gets there. A log of which it shows that it is not the one that was asked for (`atLeast`) is refused
   * either way; where the damage begins at or before that LSN, it can't show.
   */
  readonly damaged?: "refuse" | "prefix" | undefined;
  /** Reject with `WAL_ROLLED_BACK` unless the log holds this when it is opened. */
  readonly atLeast?: Tip | undefined;
  /** How often `follow` looks for news beside a writer in another process, in milliseconds. Default 50. */
  readonly pollMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SalvagedRecord {
  readonly record: LogRecord;
  /** The LSN it had: a new log gives it another behind a gap. */
  readonly originalLsn: number;
}

export interface SalvageReport {
  readonly records: number;
  readonly firstLsn: number | undefined;
  readonly lastLsn: number | undefined;
  /** Ranges of LSNs of which no intact record was found. `lastLsn` absent: to an unknown end. */
  readonly missing: readonly { firstLsn: number; lastLsn: number | undefined }[];
  /** Why. */
  readonly corruption: readonly Corruption[];
}
