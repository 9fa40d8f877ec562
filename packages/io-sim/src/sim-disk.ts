import type { UntornLimits } from "@stonewal/io";
import { type CrashPolicy, chooser, crashDisk } from "./crash.js";
import { DirectoryTree } from "./directory-tree.js";
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
  /** A crash may turn a sector in flight into zeros or garbage. Default true. */
  readonly tornSectors?: boolean;
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
  #crashAt: number | undefined;
  #crashes = 0;

  constructor(options: SimDiskOptions = {}) {
    const {
      seed = 1,
      sectorBytes = 512,
      directAlignment = 4096,
      direct = true,
      tornSectors = true,
    } = options;
    const { untornWriteBytes } = options;
    const sizes = { sectorBytes, directAlignment, ...untornWriteBytes };
    for (const [name, value] of Object.entries(sizes))
      if (!Number.isInteger(value) || value < 1 || value & (value - 1))
        throw new RangeError(`${name} must be a power of two`);
    this.crashPolicy = options.crashPolicy ?? "random";
    const { capacityBytes = Number.POSITIVE_INFINITY, startTime = Date.UTC(2026, 0, 1) } = options;
    const shape = { sectorBytes, directAlignment, direct, tornSectors, untornWriteBytes };
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
  ): Machine {
    return new Machine(seed, shape, capacityBytes, tree, time, () => {
      if (this.#crashAt !== undefined && this.#machine.operations >= this.#crashAt) this.crash();
    });
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

  /** Every operation, what it wrote, and every fault, in order. The same for the same seed and program. */
  get trace(): readonly string[] {
    return this.#machine.trace;
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
    this.#crashes++;
    const { tree, fate, shape } = this.#machine;
    this.#machine.note("crash");
    crashDisk(tree, chooser(policy, fate), shape.tornSectors, fate);
    this.#endProcesses("the simulated machine crashed");
  }

  /** Crashes when `boundaries` more have been passed; 0: now. `undefined` takes it back. */
  crashAfter(boundaries: number | undefined): void {
    this.#crashAt = boundaries === undefined ? undefined : this.operations + boundaries;
    if (boundaries === 0) this.crash();
  }

  /**
   * Every process is killed, and the machine goes on: what was written stays in the page cache, not durable. Of a write in flight, some first
   * part is done.
   */
  kill(): void {
    const { tree, fate } = this.#machine;
    this.#machine.note("kill");
    for (const file of tree.files()) {
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
    copy.#machine = copy.#makeMachine(seed, shape, capacityBytes, tree.copy(), time.copy());
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
    const file = new FileContents(this.#machine.shape.sectorBytes);
    const write = { offset: 0, bytes: bytes.slice(), length: bytes.length };
    file.apply(write, this.#machine.stamp());
    file.sync(Number.POSITIVE_INFINITY);
    this.#machine.tree.plant(path, file);
  }

  /** Damage: overwrites bytes on the disk, and in the cache, without any process having written. */
  corrupt(path: string, offset: number, bytes: Uint8Array): void {
    this.#machine.tree.file(path, "corrupt").damage(offset, bytes);
  }

  /** Damage: the file is `length` bytes long, and nothing says so. */
  truncateFile(path: string, length: number): void {
    this.#machine.tree.file(path, "corrupt").damageLength(length);
  }

  /** Reads of these bytes reject with `IO_READ_FAILED`, until the sectors are written anew. */
  makeUnreadable(path: string, offset: number, length: number): void {
    const file = this.#machine.tree.file(path, "corrupt");
    for (const sector of file.sectorsOf({ offset, bytes: undefined, length })) file.unreadable.add(sector);
  }

  /** What was unreadable can be read again. */
  makeReadable(path: string): void {
    this.#machine.tree.file(path, "corrupt").unreadable.clear();
  }
}
