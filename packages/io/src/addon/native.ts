import type { IoOperation } from "../errors.js";

/** A file, or a lock, of the addon: opaque, and closed when it is collected. */
export type Handle = { readonly __handle: unique symbol };

/**
 * How every call of the addon ends, once: `errno` 0 and a value, or what failed. `step` is the index in the chain,
 * -1 outside one. `poisoned`: refused because of an earlier failed sync, whose errno this is.
 */
export type Done<T> = (
  errno: number,
  operation: IoOperation,
  syscall: string,
  step: number,
  poisoned: boolean,
  value: T,
) => void;

export interface DirectoryFacts {
  readonly fileSystemType: number;
  readonly fileSystemName: string;
  readonly physicalBlock: number;
  readonly directAlignment: number;
  readonly atomicWriteMax: number;
  readonly dsync: number;
  readonly directErrno: number;
  readonly directSyscall: string;
}

/** A step's kind: a sync, or a write with what it is to be besides. */
export const STEP_SYNC = 0;
export const STEP_WRITE = 1;
export const STEP_DURABLE = 2;
export const STEP_UNTORN = 4;
/** Numbers per step in what `submit` is given: kind, start, length, offset. */
export const NUMBERS_PER_STEP = 4;

export const ACCESS = { read: 0, write: 1, create: 2 } as const;

/** `untornMax` 0: no untorn writes. */
export type OpenedFile = readonly [handle: Handle, alignment: number, untornMin: number, untornMax: number];

export type NativeChecksum = (
  bytes: Uint8Array,
  ranges: Uint32Array,
  count: number,
  out: Uint32Array,
) => boolean;

/** native/bindings.cc of this package: what every addon exports. */
export interface NativeFiles {
  readonly hardwareChecksum: boolean;
  readonly checksum: NativeChecksum;
  readonly portableChecksum: NativeChecksum;
  addressOf(bytes: Uint8Array): number;
  open(path: string, access: number, direct: boolean, done: Done<OpenedFile>): void;
  size(file: Handle, done: Done<number>): void;
  truncate(file: Handle, length: number, done: Done<undefined>): void;
  dropCache(file: Handle, done: Done<undefined>): void;
  close(file: Handle, done: Done<undefined>): void;
  rename(from: string, to: string, done: Done<undefined>): void;
  syncDirectory(path: string, done: Done<undefined>): void;
  lock(path: string, done: Done<Handle>): void;
  unlock(lock: Handle, done: Done<undefined>): void;
  isLocked(path: string, done: Done<boolean>): void;
  probe(directory: string, done: Done<DirectoryFacts>): void;
  fileSystem(path: string, done: Done<DirectoryFacts>): void;
}

/**
 * How data reaches a file and comes back: each addon's own way. Everything is copied out of the arguments during the
 * call, except the arenas' memory. `submit` returns a number that no other chain has.
 */
export interface NativeTransfers {
  submit(
    files: readonly Handle[],
    arenas: readonly (Uint8Array | undefined)[],
    steps: Float64Array,
    count: number,
    done: Done<undefined>,
  ): number;
  /** As `submit`, but blocks: `done` has been called when it returns. */
  submitNow(
    files: readonly Handle[],
    arenas: readonly (Uint8Array | undefined)[],
    steps: Float64Array,
    count: number,
    done: Done<undefined>,
  ): void;
  /** Blocks until `done` has been called of the chain for which `submit` has returned this number. */
  finish(chain: number): void;
  read(
    file: Handle,
    bytes: Uint8Array,
    start: number,
    length: number,
    offset: number,
    done: Done<number>,
  ): void;
  writeZeros(file: Handle, offset: number, length: number, done: Done<undefined>): void;
  sync(file: Handle, done: Done<undefined>): void;
  /** Called once, when nothing is in flight and every file is closed. */
  end?(): void;
}

export interface NativeAddon extends NativeFiles, NativeTransfers {}
