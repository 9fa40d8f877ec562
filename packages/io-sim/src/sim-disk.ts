import type { UntornLimits } from "@stonewal/io";
import { type CrashPolicy, chooser, crashDisk } from "./crash.js";
import { cutShort, overwrite, type Rot, rotSector } from "./damage.js";
import { DirectoryTree } from "./directory-tree.js";
import type { FaultEvent } from "./fault-log.js";
import type { Fault, FaultRule } from "./faults.js";
import { FileContents } from "./file-contents.js";
import { type DiskShape, Machine } from "./machine.js";
import { SimBackend } from "./sim-backend.js";
import { SimTime } from "./sim-clock.js";

export interface SimDiskOptions {
  /** Decides everything that chance decides. The same seed and the same program give the same bytes. Default 1. */
  readonly seed?: number;
  /** What the device writes whole, except when the power fails in the middle; a power of two, default 512. */
  readonly sectorBytes?: number;
  /** What O_DIRECT needs of offsets, lengths and memory. Default 4,096. */
  readonly directAlignment?: number;
  /** False: O_DIRECT is refused with `IO_UNSUPPORTED`. Default true. */
  readonly direct?: boolean;
  /** Bytes that files may take together, by their lengths. Default without bound. */
  readonly capacityBytes?: number;
  /** A crash may turn a sector that is being written or synced into zeros or garbage. Default true. */
  readonly tornSectors?: boolean;
  /**
   * The kernel writes buffered files back by so many bytes, a power of two of at least `sectorBytes` (Linux: 4,096 to 65,536), clean neighbours of what is dirty
   * included: a crash may tear those as well, however long ago they were synced. Needs `tornSectors`. Default: only what is dirty is written.
   */
  readonly folioBytes?: number;
  /**
   * A crash may leave, where a file has grown, what another place of the disk holds: as a file system does that commits a length before its
   * data (ext4 with `data=writeback`). Default false: there are zeros, or what was written.
   */
  readonly staleBlocks?: boolean;
  /** How many lines of `trace` and entries of `faultLog` are kept, the newest. Default 100,000 each. */
  readonly logLimit?: number;
  /**
   * What direct files offer of untorn writes: a crash, a kill or a failed sync leaves each of them whole or not at all. Not of
   * the file's length: a write beyond its end may be cut off with it. Default: none.
   */
  readonly untornWriteBytes?: UntornLimits;
  /** What `crash()` and `crashAfter()` do with what was not synced. Default `random`. */
  readonly crashPolicy?: CrashPolicy;
  /** Wall-clock time at the start, milliseconds since the Unix epoch. Default 2026-01-01. */
  readonly startTime?: number;
}

/** What rots, and how. */
export interface RotOptions {
  /** From where on, in bytes. Default 0. */
  readonly offset?: number;
  /** How far, in bytes: every sector that has one of them, within the file's durable length. Default to its end. */
  readonly length?: number;
  /** The probability, from 0 to 1, that one of these sectors rots, drawn from the seed. Default 1. */
  readonly rate?: number;
  /** What becomes of a sector: one wrong bit (default), zeros, garbage, or `IO_READ_FAILED` until it is written anew. */
  readonly as?: Rot;
}

/**
 * A disk in a machine that exists only in memory, with the processes that use it. It keeps what is durable apart from what is only written, and
 * at a crash decides, sector by sector, what is left.
 */
export class SimDisk {
  /** What `crash()` does where it is not told. */
  crashPolicy: CrashPolicy;
  /**
   * Misuse of the interface that a real kernel would punish at random: memory that was changed while it was being written. The call
   * concerned rejects, too; a test should expect this to be empty.
   */
  readonly violations: Error[] = [];
  #machine: Machine;
  #processes = new Set<SimBackend>();
  readonly #watchers = new Set<(operations: number) => void>();
  #crashAt: number | undefined;
  #killAt: number | undefined;
  #crashes = 0;

  constructor(options: SimDiskOptions = {}) {
    const {
      seed = 1,
      sectorBytes = 512,
      directAlignment = 4096,
      direct = true,
      tornSectors = true,
      staleBlocks = false,
      logLimit = 100_000,
    } = options;
    const { untornWriteBytes, folioBytes } = options;
    const sizes = { sectorBytes, directAlignment, ...untornWriteBytes, ...(folioBytes && { folioBytes }) };
    for (const [name, value] of Object.entries(sizes))
      if (!Number.isInteger(value) || value < 1 || value & (value - 1))
        throw new RangeError(`${name} must be a power of two`);
    if (folioBytes !== undefined && folioBytes < sectorBytes)
      throw new RangeError("folioBytes must be at least sectorBytes");
    this.crashPolicy = options.crashPolicy ?? "random";
    const { capacityBytes = Number.POSITIVE_INFINITY, startTime = Date.UTC(2026, 0, 1) } = options;
    const shape = {
      sectorBytes,
      directAlignment,
      direct,
      tornSectors,
      untornWriteBytes,
      folioBytes: folioBytes ?? 0,
      staleBlocks,
      logLimit,
    };
    this.#machine = this.#makeMachine(
      seed,
      shape,
      capacityBytes,
      new DirectoryTree(),
      new SimTime(startTime),
    );
  }

  #makeMachine(
    seed: number,
    shape: DiskShape,
    capacityBytes: number,
    tree: DirectoryTree,
    time: SimTime,
    stamp = 0,
  ): Machine {
    const afterBoundary = (): void => {
      const { operations } = this.#machine;
      for (const watcher of [...this.#watchers]) watcher(operations);
      if (this.#killAt !== undefined && operations >= this.#killAt) this.kill();
      if (this.#crashAt !== undefined && operations >= this.#crashAt) this.crash();
    };
    return new Machine(seed, shape, capacityBytes, tree, time, afterBoundary, stamp);
  }

  /** A new process. Several may live at a time, and share the page cache. */
  mount(): SimBackend {
    const process = new SimBackend(this.#machine, (error) => this.violations.push(error));
    this.#processes.add(process);
    return process;
  }

  /**
   * Boundaries passed so far: beginnings and ends of writes and syncs, and every other call. A crash can come after each of them, and only
   * there is anything to tell apart.
   */
  get operations(): number {
    return this.#machine.operations;
  }

  /** How often the power has failed. */
  get crashes(): number {
    return this.#crashes;
  }

  /**
   * Every operation, what it wrote, and every fault, in order. The same for the same seed and program. Beyond `logLimit` lines the oldest are
   * forgotten, and a position in it is no longer the same line.
   */
  get trace(): readonly string[] {
    return this.#machine.trace.entries;
  }

  /** What was done to the program and its files, in order: faults that struck, what crashes took, damage by hand. The newest `logLimit` entries. */
  get faultLog(): readonly FaultEvent[] {
    return this.#machine.faultLog.entries;
  }

  /** How many lines and entries are no longer kept. */
  get forgotten(): { readonly trace: number; readonly faultLog: number } {
    return { trace: this.#machine.trace.forgotten, faultLog: this.#machine.faultLog.forgotten };
  }

  get capacityBytes(): number {
    return this.#machine.capacityBytes;
  }

  set capacityBytes(bytes: number) {
    this.#machine.capacityBytes = bytes;
  }

  /** The power fails: every process is dead, its calls reject with `IO_CLOSED`, its locks are free, and what was not synced is decided. */
  crash(policy: CrashPolicy = this.crashPolicy): void {
    this.#crashAt = undefined;
    this.#killAt = undefined;
    this.#crashes++;
    const { tree, fate, shape } = this.#machine;
    this.#machine.note("crash");
    this.#machine.record("crash");
    crashDisk({
      tree,
      choose: chooser(policy, fate),
      shape,
      random: fate,
      record: (kind, event) => this.#machine.record(kind, event),
    });
    this.#endProcesses("the simulated machine crashed");
  }

  /** Crashes when `boundaries` more have been passed; 0: now. `undefined` takes it back. */
  crashAfter(boundaries: number | undefined): void {
    this.#crashAt = boundaries === undefined ? undefined : this.operations + boundaries;
    if (boundaries === 0) this.crash();
  }

  /** As `crashAfter`, with a kill. */
  killAfter(boundaries: number | undefined): void {
    this.#killAt = boundaries === undefined ? undefined : this.operations + boundaries;
    if (boundaries === 0) this.kill();
  }

  /**
   * Calls back at every boundary, with `operations`, before anybody is told what was done there: a `clone()` made then can be crashed as the disk
   * was at that moment. Ends when the returned function is called.
   */
  atEveryBoundary(callback: (operations: number) => void): () => void {
    // Of its own, so that one function can be given twice.
    const watcher = (operations: number): void => callback(operations);
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /**
   * Every process is killed, and the machine goes on: what was written stays in the page cache, not durable. Of a write in flight, some first
   * part is done.
   */
  kill(): void {
    this.#killAt = undefined;
    const { tree, fate } = this.#machine;
    this.#machine.note("kill");
    this.#machine.record("kill");
    for (const file of tree.files().keys()) {
      for (const write of [...file.inFlight]) {
        file.inFlight.delete(write);
        const parts = write.untorn === true ? 1 : file.sectorsOf(write).length;
        const length = Math.min(
          write.length,
          fate.below(parts + 1) * (write.untorn === true ? write.length : file.sectorBytes),
        );
        const done = { ...write, bytes: write.bytes?.subarray(0, length), length };
        if (length > 0) file.apply(done, this.#machine.stamp());
      }
      file.syncing = false;
      file.writeBack = undefined;
    }
    this.#endProcesses("the process was killed");
  }

  #endProcesses(why: string): void {
    const processes = this.#processes;
    this.#processes = new Set();
    for (const process of processes) process.end(why);
  }

  /**
   * The same disk once more, as it is now, without its processes, faults and timers: several crashes can be tried from one history.
   * What is not synced is still not; a write in flight still is, until `crash()` or `kill()` decides. `seed`: of what chance decides there.
   */
  clone(seed = this.#machine.seed): SimDisk {
    const { shape, capacityBytes, tree, time } = this.#machine;
    const copy = new SimDisk({ seed, crashPolicy: this.crashPolicy });
    copy.#machine = copy.#makeMachine(
      seed,
      shape,
      capacityBytes,
      tree.copy(),
      time.copy(),
      this.#machine.stamp(),
    );
    return copy;
  }

  /** Arms a fault. */
  fail(rule: FaultRule): Fault {
    return this.#machine.faults.add(rule);
  }

  /** Lets simulated time pass, and calls the timers that fall due. Nothing else moves the clock. */
  advance(ms: number): void {
    this.#machine.time.advance(ms);
  }

  /** Moves the wall clock alone, as an administrator or NTP does. */
  jumpClock(ms: number): void {
    this.#machine.time.jump(ms);
  }

  /** Paths of all files whose name and directories are durable, sorted. */
  paths(): string[] {
    return this.#machine.tree.durableFiles().map(([path]) => path);
  }

  /** What would be left of a file if the power failed now and everything that is not synced were lost. Throws `IO_NOT_FOUND`. */
  fileBytes(path: string): Uint8Array {
    const node = this.#machine.tree.findDurable(path);
    if (node?.kind !== "file") throw new Error(`${path}: no durable file`);
    return node.durableBytes();
  }

  /** All durable files and their bytes: equal for two disks that a crash would leave the same. */
  files(): Map<string, Uint8Array> {
    return new Map(this.#machine.tree.durableFiles().map(([path, file]) => [path, file.durableBytes()]));
  }

  /** Puts a file there, durably, with the directories above it. */
  plant(path: string, bytes: Uint8Array): void {
    const file = new FileContents(this.#machine.shape.sectorBytes, this.#machine.shape.folioBytes);
    const write = { offset: 0, bytes: bytes.slice(), length: bytes.length };
    file.apply(write, this.#machine.stamp());
    file.sync(Number.POSITIVE_INFINITY);
    this.#machine.tree.plant(path, file);
  }

  /** Damage: overwrites bytes on the disk, and in the cache, without any process having written. */
  corrupt(path: string, offset: number, bytes: Uint8Array): void {
    overwrite(this.#machine.tree.file(path, "corrupt"), offset, bytes);
    this.#machine.record("corrupt", { path, offset, length: bytes.length });
  }

  /** Damage: the file is `length` bytes long, and nothing says so. */
  truncateFile(path: string, length: number): void {
    cutShort(this.#machine.tree.file(path, "corrupt"), length);
    this.#machine.record("truncate", { path, offset: length });
  }

  /** Reads of these bytes reject with `IO_READ_FAILED`, until the sectors are written anew. */
  makeUnreadable(path: string, offset: number, length: number): void {
    this.rot(path, { offset, length, as: "unreadable" });
  }

  /**
   * Damage at rest: sectors go bad on the disk, and nobody is told. What is newer in the page cache or the device's is not touched, and covers
   * it until a crash or a sync. Returns what was done, sector by sector; it is in the fault log, too.
   */
  rot(paths: string | RegExp, options: RotOptions = {}): readonly FaultEvent[] {
    const { offset = 0, length = Number.POSITIVE_INFINITY, rate = 1, as = "bit" } = options;
    const { tree, fate } = this.#machine;
    const files =
      typeof paths === "string"
        ? [[paths, tree.file(paths, "rot")] as const]
        : tree.durableFiles().filter(([path]) => paths.test(path));
    const done: FaultEvent[] = [];
    for (const [path, file] of files) {
      const within = Math.min(length, file.durableLength - offset);
      for (const sector of file.sectorsOf({ offset, bytes: undefined, length: Math.max(0, within) })) {
        if (rate < 1 && !fate.chance(rate)) continue;
        rotSector(file, sector, as, fate);
        const { sectorBytes } = file;
        const kind = as === "unreadable" ? as : `rot ${as}`;
        done.push(this.#machine.record(kind, { path, offset: sector * sectorBytes, length: sectorBytes }));
      }
    }
    return done;
  }

  /** What was unreadable can be read again. */
  makeReadable(path: string): void {
    this.#machine.tree.file(path, "corrupt").unreadable.clear();
  }
}
