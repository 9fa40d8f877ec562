/**
 * What the log, the double-write buffer and recovery ask of a disk. Everything they read, write, list, lock,
 * time or draw at random goes through one object of this type, handed in at construction: a simulated disk
 * that implements it sees everything.
 */

/**
 * CRC32C (Castagnoli, reflected, initial value and final xor 0xffffffff) of `count` ranges of `bytes`, in one
 * call. `ranges` holds (start, length) pairs; `out[i]` receives the checksum of the i-th. One call per batch or
 * scan chunk, never one per record: a native call costs as much as checksumming 64 bytes.
 */
export type ChecksumRanges = (
  bytes: Uint8Array,
  ranges: Uint32Array,
  count: number,
  out: Uint32Array,
) => void;

/**
 * Page-aligned memory that only the back end and its user share: a caller's own buffer may be transferred,
 * detached or changed while the kernel reads it, so it is copied here first. Memory is given back by the garbage
 * collector, never while I/O on it is in flight.
 */
export interface Arena {
  /** The whole arena. Its start is aligned for O_DIRECT on any file of this back end. Zero-filled at first. */
  readonly bytes: Uint8Array;
}

/** A part of an arena. `start` and `length` in bytes. */
export interface Region {
  readonly arena: Arena;
  readonly start: number;
  readonly length: number;
}

export interface WriteStep {
  readonly kind: "write";
  readonly file: IoFile;
  readonly region: Region;
  /** Byte offset in the file, up to 2^53 - 1. */
  readonly offset: number;
  /**
   * The write is on stable storage when the step completes (RWF_DSYNC). It makes only its own range safe, so it
   * may stand in for a `sync` only where no other write to the file is waiting for one.
   */
  readonly durable?: boolean;
  /**
   * After a crash the region is in the file whole, or not at all (RWF_ATOMIC). Says nothing about when it is durable. Only as
   * the file's `untornWriteBytes` allows; anything else is refused, and never written without the promise.
   */
  readonly untorn?: boolean;
}

/** fdatasync: every write to `file` that completed before this step started is on stable storage after it. */
export interface SyncStep {
  readonly kind: "sync";
  readonly file: IoFile;
}

export type Step = WriteStep | SyncStep;

export interface OpenOptions {
  /** `read`: never changes anything. `write`: reads and writes. `create`: as `write`, and fails if the file exists. */
  readonly access: "read" | "write" | "create";
  /** Past the page cache (O_DIRECT). Where the file system cannot, `open` rejects with `IO_UNSUPPORTED`. Default false. */
  readonly direct?: boolean;
}

/** Lengths in bytes, both powers of two. A write of a power of two between them, at a multiple of its length, can be untorn. */
export interface UntornLimits {
  readonly min: number;
  readonly max: number;
}

export interface IoFile {
  readonly path: string;
  readonly direct: boolean;
  /**
   * What region starts (from the arena's start), region lengths and file offsets must be multiples of, in bytes, for
   * reads and writes of this file: 1 when buffered. Anything else is refused with `IO_ALIGNMENT`, untouched.
   */
  readonly alignment: number;
  /**
   * Which writes of this file the device promises not to tear. Not there where it promises none, and of buffered files. A step
   * `untorn` outside of it is refused whole: `IO_UNSUPPORTED` where there is none, `IO_ARGUMENT` for a wrong length or offset.
   */
  readonly untornWriteBytes?: UntornLimits | undefined;
  /** Length in bytes. */
  size(): Promise<number>;
  /**
   * Fills `region` from `offset`; resolves to the bytes read, short only at the end of the file. A device error
   * rejects with `IO_READ_FAILED`: it never means "nothing there".
   */
  read(region: Region, offset: number): Promise<number>;
  /**
   * Writes zeros over [offset, offset + length), extending the file, and syncs them together with the length. Real zeros, not
   * fallocate: unwritten extents would make every later fdatasync commit the file system's journal.
   * `IO_NO_SPACE` leaves a partly extended file.
   */
  writeZeros(offset: number, length: number): Promise<void>;
  /** Sets the length. Durable only after a sync. */
  truncate(length: number): Promise<void>;
  /** Syncs as a chain's `sync` step does. */
  sync(): Promise<void>;
  /** Asks the kernel to forget its cached pages of the file, so that the next read is answered by the device. Only clean pages go: sync first. */
  dropCache(): Promise<void>;
  /** Waits for I/O in flight on the file, then closes it. Idempotent. Afterwards every call rejects with `IO_CLOSED`. */
  close(): Promise<void>;
}

export interface IoLock {
  /** Gives the lock up. Idempotent. The lock also ends with the process, however it ends. */
  release(): Promise<void>;
}

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time, milliseconds since the Unix epoch, an integer. May jump. */
  now(): number;
  /** Milliseconds, fractional, never going back. Its zero means nothing. */
  monotonic(): number;
  /** Calls back once after `ms`. Keeps the process alive meanwhile only if `keepAlive` is true. */
  after(ms: number, callback: () => void, keepAlive?: boolean): Timer;
}

/** What a directory's file system and device can do: probed, never assumed. */
export interface Capabilities {
  /** O_DIRECT works here, and what it needs; `undefined` where it does not, with the reason in `directUnavailable`. */
  readonly direct: { readonly alignment: number } | undefined;
  readonly directUnavailable: string | undefined;
  /** The block size, in bytes, below which the device rewrites neighbours: at least 512. */
  readonly physicalBlockBytes: number;
  /** Largest write, in bytes, that the device promises not to tear (statx, RWF_ATOMIC); 0 where it promises nothing. */
  readonly atomicWriteBytes: number;
  /** `ext4`, `xfs`, `nfs`, ... as far as it is known. */
  readonly fileSystem: string;
  /** A network or user-space file system, where fsync and locks may not mean what they say. */
  readonly remote: boolean;
  /** How a durable write is made (`RWF_DSYNC`, `fdatasync`, `F_FULLFSYNC`, `simulated`). */
  readonly durableWrite: string;
}

/**
 * Chains without an event loop: for one-shot tools and exit handlers, where nothing that is awaited comes back any more. Both
 * block the calling thread.
 */
export interface BlockingChains {
  /** As `IoBackend.submit`, but returns when the last step has completed. Throws what `submit` rejects with. */
  submit(chain: readonly Step[]): void;
  /**
   * Returns when the chain is over whose promise `IoBackend.submit` has returned. Throws what that promise rejects with, and
   * `IO_ARGUMENT` for any other promise. The promise settles all the same; whoever awaits it is told later, and once.
   */
  finish(submitted: Promise<void>): void;
}

export interface IoBackend {
  /** `pwrite`, `io-uring`, `sim`, ... */
  readonly name: string;
  /** Hardware checksums, where the back end has them. Without, the codec uses its own. */
  readonly checksum?: ChecksumRanges;
  readonly clock: Clock;

  /** New zero-filled arena of at least one byte. Throws `IO_ARGUMENT` for a size that is not a positive safe integer. */
  arena(bytes: number): Arena;
  /** `bytes` unpredictable bytes. */
  random(bytes: number): Uint8Array;
  probe(directory: string): Promise<Capabilities>;

  open(path: string, options: OpenOptions): Promise<IoFile>;
  /**
   * Runs the steps in order: step n + 1 does not start before step n has completed in full. A short write is
   * completed, or is an error; never success. Resolves when the last step has completed. On a failure rejects with
   * an `IoError` whose `step` names the step; no later step was started, and the failed one may have been done in part.
   * A chain that is wrong in itself (alignment, bounds, an empty region, memory that is not an arena of this back end, a
   * file that is closed, another back end's or open for reading) is refused whole before anything is written, with
   * `IO_ALIGNMENT`, `IO_CLOSED`, `IO_ARGUMENT` or `IO_UNSUPPORTED` and the step. An empty chain resolves.
   *
   * Chains are unordered among each other. Syncs of one file never overlap, and once one has failed every later or
   * concurrent step on that open file fails with `IO_SYNC_POISONED`: the kernel reports a write-back error once.
   *
   * The regions must not be changed until the promise has settled.
   */
  submit(chain: readonly Step[]): Promise<void>;
  /**
   * The same, blocking. Not there in a back end that can't. Chains are unordered among each other here too: what must come
   * after a chain in flight is submitted once `finish` has returned.
   */
  readonly now?: BlockingChains;

  /** Creates one directory; `IO_EXISTS` if there is something. Durable once its parent directory is synced. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, sorted, without `.` and `..`. */
  list(path: string): Promise<string[]>;
  /** Renames within a file system. Never replaces: `IO_EXISTS`. Durable once the directory is synced. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes creations, renames and unlinks in this directory durable. */
  syncDirectory(path: string): Promise<void>;
  /**
   * Takes the exclusive lock on the file at `path`, creating it if need be; `IO_LOCKED` where any other holder has it,
   * this process included. Ends with the process.
   */
  lock(path: string): Promise<IoLock>;
  /** Whether someone holds the lock at `path`. Takes and creates nothing. */
  isLocked(path: string): Promise<boolean>;

  /** Waits for what is in flight and closes every file and lock. Idempotent. Afterwards every call rejects with `IO_CLOSED`. */
  close(): Promise<void>;
}
