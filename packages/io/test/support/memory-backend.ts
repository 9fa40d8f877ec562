import {
  type Arena,
  type Capabilities,
  type ChecksumRanges,
  type Clock,
  type IoBackend,
  IoError,
  type IoErrorCode,
  type IoFile,
  type IoLock,
  type IoOperation,
  ioErrorCode,
  type OpenOptions,
  type Region,
  type Step,
  untornRefusal,
} from "../../src/index.js";
import { CallFailed, type MemoryDisk, type MemoryInode } from "./memory-disk.js";

/** A promise broken on purpose, to see which test of the kit notices. */
export type Defect =
  | "arena-not-zeroed"
  | "arena-of-the-wrong-size-accepted"
  | "checksum-of-the-whole-buffer"
  | "checksum-without-bounds"
  | "chain-runs-on-after-a-failure"
  | "chain-swallows-a-failing-step"
  | "chain-names-the-wrong-step"
  | "chain-steps-overlap"
  | "chain-starts-before-it-is-checked"
  | "closing-does-not-wait"
  | "closed-file-still-works"
  | "clock-fires-cancelled-timers"
  | "directory-sync-of-nothing-succeeds"
  | "file-created-over-another"
  | "interrupted-call-fails"
  | "listing-unsorted"
  | "lock-shared-in-process"
  | "lock-question-creates-the-file"
  | "misalignment-accepted"
  | "offset-cut-to-32-bits"
  | "poison-forgotten"
  | "poison-missing-after-durable-write"
  | "probe-claims-another-alignment"
  | "random-repeats"
  | "read-error-is-end-of-file"
  | "read-not-completed"
  | "read-only-file-written"
  | "rename-replaces"
  | "stalled-write-succeeds"
  | "short-write-is-success"
  | "syncs-overlap"
  | "truncate-keeps-old-bytes"
  | "unlink-of-nothing-succeeds"
  | "zeros-beyond-the-range"
  | "untorn-silently-dropped";

const ALIGNMENT_BYTES = 512;

class MemoryArena implements Arena {
  constructor(readonly bytes: Uint8Array) {}
}

function refuse(code: IoErrorCode, message: string, step?: number): IoError {
  return new IoError(code, message, { step });
}

/** A back end written against the interface alone, without a disk, threads or native code. */
export class MemoryBackend implements IoBackend {
  readonly name = "memory";
  readonly checksum: ChecksumRanges;
  readonly clock: Clock;
  readonly files = new Set<MemoryFile>();
  readonly #locks = new Set<IoLock>();
  readonly #inFlight = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(
    readonly disk: MemoryDisk,
    readonly defect: Defect | undefined,
  ) {
    this.checksum = (bytes, ranges, count, out) => checksum(defect, bytes, ranges, count, out);
    this.clock = {
      now: () => Date.now(),
      monotonic: () => performance.now(),
      after(ms, callback, keepAlive = false) {
        const timer = setTimeout(callback, ms);
        if (!keepAlive) timer.unref();
        return { cancel: () => defect === "clock-fires-cancelled-timers" || clearTimeout(timer) };
      },
    };
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  arena(bytes: number): Arena {
    if (!Number.isSafeInteger(bytes) || bytes < 1) {
      if (this.defect === "arena-of-the-wrong-size-accepted") return new MemoryArena(new Uint8Array(1));
      throw refuse("IO_ARGUMENT", "arena size");
    }
    const memory = new Uint8Array(bytes);
    if (this.defect === "arena-not-zeroed") memory.fill(0x5a);
    return new MemoryArena(memory);
  }

  random(bytes: number): Uint8Array {
    const drawn = new Uint8Array(bytes);
    return this.defect === "random-repeats" ? drawn : crypto.getRandomValues(drawn);
  }

  async probe(directory: string): Promise<Capabilities> {
    this.#admit();
    if (!this.disk.directories.has(directory)) throw refuse("IO_NOT_FOUND", directory);
    return {
      direct: { alignment: this.defect === "probe-claims-another-alignment" ? 4096 : ALIGNMENT_BYTES },
      directUnavailable: undefined,
      physicalBlockBytes: 512,
      atomicWriteBytes: 0,
      fileSystem: "memory",
      remote: false,
      durableWrite: "memory",
    };
  }

  open(path: string, { access, direct = false }: OpenOptions): Promise<IoFile> {
    return this.track(async () => {
      this.#checkName(path);
      if (this.disk.directories.has(path)) throw refuse("IO_FAILED", `${path} is a directory`);
      const existing = this.disk.files.get(path);
      let inode = existing;
      if (access === "create") {
        if (existing !== undefined && this.defect !== "file-created-over-another")
          throw refuse("IO_EXISTS", path);
        inode = this.#create(path);
      }
      if (inode === undefined) throw refuse("IO_NOT_FOUND", path);
      const file = new MemoryFile(this, inode, path, direct, access === "read");
      this.files.add(file);
      return file;
    });
  }

  submit(chain: readonly Step[]): Promise<void> {
    const files = chain.map((step) => step.file).filter((file) => file instanceof MemoryFile);
    return this.track(async () => {
      const eager = this.defect === "chain-starts-before-it-is-checked" && chain[0];
      if (eager) await this.#run(eager, 0).catch(() => undefined);
      for (const [index, step] of chain.entries()) this.#check(step, index);
      if (this.defect === "chain-steps-overlap") {
        await Promise.all([...chain.entries()].reverse().map(([index, step]) => this.#run(step, index)));
        return;
      }
      let failed: unknown;
      for (const [index, step] of chain.entries()) {
        try {
          await this.#run(step, index);
        } catch (error) {
          if (this.defect === "chain-swallows-a-failing-step") continue;
          if (this.defect !== "chain-runs-on-after-a-failure") throw error;
          failed ??= error;
        }
      }
      if (failed !== undefined) throw failed;
    }, files);
  }

  #check(step: Step, index: number): void {
    const { file } = step;
    if (!(file instanceof MemoryFile) || file.owner !== this) throw refuse("IO_ARGUMENT", "file", index);
    file.checkOpen(index);
    if (step.kind === "sync") return;
    if (step.kind !== "write") throw refuse("IO_ARGUMENT", "kind", index);
    file.checkWritable(index);
    file.checkRegion(step.region, step.offset, 1, index);
    if (step.untorn !== true || this.defect === "untorn-silently-dropped") return;
    const refused = untornRefusal(file, step.region.length, step.offset, index);
    if (refused !== undefined) throw refused;
  }

  async #run(step: Step, index: number): Promise<void> {
    const file = step.file as MemoryFile;
    const number = this.defect === "chain-names-the-wrong-step" ? index + 1 : index;
    try {
      if (step.kind === "sync") return await file.syncStep(number);
      const { arena, start, length } = step.region;
      const bytes = arena.bytes.subarray(start, start + length);
      await file.writeStep(bytes, step.offset, step.durable === true, number);
    } catch (error) {
      throw error instanceof CallFailed ? file.failed(error, "write", number) : error;
    }
  }

  makeDirectory(path: string): Promise<void> {
    return this.track(async () => {
      this.#checkName(path);
      if (this.#exists(path)) throw refuse("IO_EXISTS", path);
      this.disk.directories.add(path);
    });
  }

  list(path: string): Promise<string[]> {
    return this.track(async () => {
      if (!this.disk.directories.has(path)) throw refuse("IO_NOT_FOUND", path);
      const below = [...this.disk.files.keys(), ...this.disk.directories].filter(
        (name) => parent(name) === path,
      );
      const names = below.map((name) => name.slice(path.length + 1));
      return this.defect === "listing-unsorted" ? names : names.sort();
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.track(async () => {
      this.#checkName(to);
      if (!this.#exists(from)) throw refuse("IO_NOT_FOUND", from);
      if (this.#exists(to) && this.defect !== "rename-replaces") throw refuse("IO_EXISTS", to);
      const inode = this.disk.files.get(from);
      if (inode === undefined) {
        this.disk.directories.delete(from);
        this.disk.directories.add(to);
      } else {
        this.disk.files.delete(from);
        this.disk.files.set(to, inode);
      }
    });
  }

  unlink(path: string): Promise<void> {
    return this.track(async () => {
      if (this.disk.files.delete(path) || this.defect === "unlink-of-nothing-succeeds") return;
      throw refuse("IO_NOT_FOUND", path);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.track(async () => {
      if (this.disk.directories.has(path) || this.defect === "directory-sync-of-nothing-succeeds") return;
      throw refuse("IO_NOT_FOUND", path);
    });
  }

  lock(path: string): Promise<IoLock> {
    return this.track(async () => {
      this.#checkName(path);
      const inode = this.disk.files.get(path) ?? this.#create(path);
      if (inode.locked && this.defect !== "lock-shared-in-process") throw refuse("IO_LOCKED", path);
      inode.locked = true;
      let held = true;
      const lock: IoLock = {
        release: async () => {
          if (held) inode.locked = false;
          held = false;
          this.#locks.delete(lock);
        },
      };
      this.#locks.add(lock);
      return lock;
    });
  }

  isLocked(path: string): Promise<boolean> {
    return this.track(async () => {
      const inode = this.disk.files.get(path);
      if (inode === undefined && this.defect === "lock-question-creates-the-file") this.#create(path);
      return inode?.locked ?? false;
    });
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      if (this.defect !== "closing-does-not-wait") await Promise.allSettled(this.#inFlight);
      await Promise.all([...this.files].map((file) => file.close()));
      await Promise.all([...this.#locks].map((lock) => lock.release()));
    })();
    return this.#closing;
  }

  /** Runs a call that closing the back end, and each of these files, waits for. */
  async track<T>(call: () => Promise<T>, files: readonly MemoryFile[] = []): Promise<T> {
    this.#admit();
    const running = call();
    const sets = [this.#inFlight, ...files.map((file) => file.inFlight)];
    for (const set of sets) set.add(running);
    try {
      return await running;
    } finally {
      for (const set of sets) set.delete(running);
    }
  }

  #admit(): void {
    if (this.closed) throw refuse("IO_CLOSED", "the back end is closed");
  }

  #exists(path: string): boolean {
    return this.disk.files.has(path) || this.disk.directories.has(path);
  }

  #create(path: string): MemoryInode {
    const inode = this.disk.newInode();
    this.disk.files.set(path, inode);
    return inode;
  }

  #checkName(path: string): void {
    if (path === "" || path.includes("\0")) throw refuse("IO_ARGUMENT", "path");
    if (!this.disk.directories.has(parent(path))) throw refuse("IO_NOT_FOUND", path);
  }
}

class MemoryFile implements IoFile {
  readonly alignment: number;
  readonly inFlight = new Set<Promise<unknown>>();
  #closed = false;
  #poison: string | undefined;
  #syncs: Promise<unknown> = Promise.resolve();

  constructor(
    readonly owner: MemoryBackend,
    readonly inode: MemoryInode,
    readonly path: string,
    readonly direct: boolean,
    readonly readOnly: boolean,
  ) {
    this.alignment = direct ? ALIGNMENT_BYTES : 1;
  }

  size(): Promise<number> {
    return this.#track(async () => this.inode.size);
  }

  read(region: Region, offset: number): Promise<number> {
    return this.#track(async () => {
      this.checkRegion(region, offset, 0);
      const { arena, start, length } = region;
      let done = 0;
      while (done < length) {
        try {
          const into = arena.bytes.subarray(start + done, start + length);
          const got = await this.owner.disk.read(this.path, this.inode, into, offset + done);
          done += got;
          if (got === 0 || this.owner.defect === "read-not-completed") break;
        } catch (error) {
          if (!(error instanceof CallFailed)) throw error;
          if (error.errno === "EINTR") continue;
          if (this.owner.defect === "read-error-is-end-of-file") return done;
          throw this.failed(error, "read");
        }
      }
      return done;
    });
  }

  writeZeros(offset: number, length: number): Promise<void> {
    return this.#track(async () => {
      this.checkWritable();
      this.#checkRange(offset, length);
      const extra = this.owner.defect === "zeros-beyond-the-range" ? 1 : 0;
      try {
        await this.#write(new Uint8Array(length + extra), offset, false);
      } catch (error) {
        throw error instanceof CallFailed ? this.failed(error, "write") : error;
      }
      await this.syncStep();
    });
  }

  truncate(length: number): Promise<void> {
    return this.#track(async () => {
      this.checkWritable();
      if (!Number.isSafeInteger(length) || length < 0) throw refuse("IO_ARGUMENT", "length");
      if (this.owner.defect === "truncate-keeps-old-bytes") this.inode.size = length;
      else this.inode.truncate(length);
    });
  }

  sync(): Promise<void> {
    return this.#track(() => this.syncStep());
  }

  dropCache(): Promise<void> {
    return this.#track(async () => undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.owner.defect !== "closing-does-not-wait") await Promise.allSettled(this.inFlight);
    this.owner.files.delete(this);
  }

  async writeStep(bytes: Uint8Array, offset: number, durable: boolean, step: number): Promise<void> {
    this.#checkPoison(step);
    if (!durable) {
      await this.#write(bytes, offset, false);
    } else {
      const poisons = this.owner.defect !== "poison-missing-after-durable-write";
      await this.#alone(() => this.#write(bytes, offset, true), poisons, step);
    }
    this.#checkPoison(step);
  }

  syncStep(step?: number): Promise<void> {
    return this.#alone(
      async () => {
        for (;;) {
          try {
            return await this.owner.disk.sync(this.path, this.inode);
          } catch (error) {
            if (!(error instanceof CallFailed) || error.errno !== "EINTR") throw error;
            if (this.owner.defect === "interrupted-call-fails") throw error;
          }
        }
      },
      true,
      step,
    );
  }

  /** One sync after the other. */
  #alone(work: () => Promise<void>, poisons: boolean, step: number | undefined): Promise<void> {
    const run = async () => {
      this.#checkPoison(step);
      try {
        await work();
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
        if (poisons) this.#poison ??= error.errno;
        throw this.failed(error, "sync", step);
      }
    };
    const turn = this.owner.defect === "syncs-overlap" ? run() : this.#syncs.then(run);
    this.#syncs = turn.catch(() => undefined);
    return turn;
  }

  async #write(bytes: Uint8Array, offset: number, durable: boolean): Promise<void> {
    const { defect, disk } = this.owner;
    const at = defect === "offset-cut-to-32-bits" ? offset % 2 ** 32 : offset;
    let stalled = false;
    for (let done = 0; done < bytes.length; ) {
      try {
        const written = await disk.write(this.path, this.inode, bytes.subarray(done), at + done, durable);
        done += written;
        if (defect === "short-write-is-success" && written > 0) return;
        if (written === 0 && stalled) {
          if (defect === "stalled-write-succeeds") return;
          throw new CallFailed("EIO");
        }
        stalled = written === 0;
      } catch (error) {
        if (!(error instanceof CallFailed) || error.errno !== "EINTR") throw error;
        if (defect === "interrupted-call-fails") throw error;
      }
    }
  }

  failed(error: CallFailed, operation: IoOperation, step?: number): IoError {
    const { errno } = error;
    return new IoError(ioErrorCode(errno, operation), `${this.path}: ${errno}`, {
      errno,
      step,
      path: this.path,
    });
  }

  checkOpen(step?: number): void {
    const closed = this.#closed || this.owner.closed;
    if (closed && this.owner.defect !== "closed-file-still-works") throw refuse("IO_CLOSED", this.path, step);
  }

  checkWritable(step?: number): void {
    const allowed = !this.readOnly || this.owner.defect === "read-only-file-written";
    if (!allowed) throw refuse("IO_ARGUMENT", `${this.path} is open for reading`, step);
  }

  checkRegion({ arena, start, length }: Region, offset: number, minimum: number, step?: number): void {
    if (!(arena instanceof MemoryArena)) throw refuse("IO_ARGUMENT", "arena", step);
    const inside =
      Number.isSafeInteger(start) && Number.isSafeInteger(length) && start >= 0 && length >= minimum;
    if (!inside || start + length > arena.bytes.length) throw refuse("IO_ARGUMENT", "region", step);
    this.#checkRange(offset, length, step);
    this.#checkAligned(start, step);
  }

  #checkRange(offset: number, length: number, step?: number): void {
    const counts = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    if (!counts || offset > Number.MAX_SAFE_INTEGER - length) throw refuse("IO_ARGUMENT", "range", step);
    this.#checkAligned(offset, step);
    this.#checkAligned(length, step);
  }

  #checkAligned(value: number, step?: number): void {
    if (value % this.alignment === 0 || this.owner.defect === "misalignment-accepted") return;
    throw refuse("IO_ALIGNMENT", `${value} is not a multiple of ${this.alignment}`, step);
  }

  #checkPoison(step?: number): void {
    if (this.#poison === undefined || this.owner.defect === "poison-forgotten") return;
    throw refuse("IO_SYNC_POISONED", `${this.path}: an earlier sync failed with ${this.#poison}`, step);
  }

  async #track<T>(call: () => Promise<T>): Promise<T> {
    this.checkOpen();
    return this.owner.track(call, [this]);
  }
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function checksum(
  defect: Defect | undefined,
  bytes: Uint8Array,
  ranges: Uint32Array,
  count: number,
  out: Uint32Array,
): void {
  const fits = Number.isSafeInteger(count) && count >= 0 && 2 * count <= ranges.length && count <= out.length;
  const whole = defect === "checksum-of-the-whole-buffer";
  const bounded = defect !== "checksum-without-bounds";
  if (bounded && !fits) throw refuse("IO_ARGUMENT", "count");
  for (let n = 0; n < count; n++) {
    const start = ranges[2 * n] ?? 0;
    const end = start + (ranges[2 * n + 1] ?? 0);
    if (bounded && end > bytes.length) throw refuse("IO_ARGUMENT", "range");
    out[n] = crc32c(whole ? bytes : bytes.subarray(start, end));
  }
}

function crc32c(bytes: Uint8Array): number {
  let state = 0xffffffff;
  for (const byte of bytes) {
    state ^= byte;
    for (let bit = 0; bit < 8; bit++) state = (state >>> 1) ^ (state & 1 ? 0x82f63b78 : 0);
  }
  return (state ^ 0xffffffff) >>> 0;
}
