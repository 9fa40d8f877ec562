import { IoError, type UntornLimits } from "@stonewal/io";
import type { DirectoryTree } from "./directory-tree.js";
import { type FaultOperation, type FaultRule, Faults, injected } from "./faults.js";
import type { FileContents } from "./file-contents.js";
import { RandomStream } from "./random-stream.js";
import { type Operation, Scheduler } from "./scheduler.js";
import type { SimTime } from "./sim-clock.js";

export interface DiskShape {
  readonly sectorBytes: number;
  readonly directAlignment: number;
  /** O_DIRECT works here. */
  readonly direct: boolean;
  readonly tornSectors: boolean;
  readonly untornWriteBytes: UntornLimits | undefined;
}

/** What processes on one simulated machine share: the disk, its names, the clock, the schedule, the faults. */
export class Machine {
  readonly shape: DiskShape;
  readonly seed: number;
  readonly tree: DirectoryTree;
  readonly time: SimTime;
  readonly faults = new Faults();
  readonly scheduler: Scheduler;
  /** Decides about crashes and partial failures. */
  readonly fate: RandomStream;
  /** What processes draw. */
  readonly entropy: RandomStream;
  readonly trace: string[] = [];
  readonly locks = new Map<FileContents, object>();
  capacityBytes: number;
  operations = 0;
  #stamp = 0;

  constructor(
    seed: number,
    shape: DiskShape,
    capacityBytes: number,
    tree: DirectoryTree,
    time: SimTime,
    afterBoundary: () => void,
  ) {
    this.seed = seed;
    this.shape = shape;
    this.capacityBytes = capacityBytes;
    this.tree = tree;
    this.time = time;
    this.fate = new RandomStream(seed, "fate");
    this.entropy = new RandomStream(seed, "entropy");
    this.scheduler = new Scheduler(new RandomStream(seed, "schedule"), () => {
      this.operations++;
      afterBoundary();
    });
  }

  stamp(): number {
    return ++this.#stamp;
  }

  note(line: string): void {
    this.trace.push(`${this.operations} ${line}`);
  }

  /** Counts a call against the faults that were asked for; the one that strikes. */
  strike(operation: FaultOperation, syscall: string, path: string): FaultRule | undefined {
    const rule = this.faults.strike(operation, path);
    if (rule !== undefined)
      this.note(`fault ${syscall} ${path}: ${rule.effect ?? "none"} ${rule.errno ?? "EIO"}`);
    return rule;
  }

  /** As `strike`, for calls that can only fail whole: throws. */
  strikeWhole(operation: FaultOperation, syscall: string, path: string): void {
    const rule = this.strike(operation, syscall, path);
    if (rule === undefined) return;
    if (rule.effect !== undefined && rule.effect !== "none")
      throw new RangeError(`a fault of effect ${rule.effect} is not for ${operation}`);
    throw injected(rule, syscall, path);
  }

  /** How far a file may reach before the disk is full. */
  room(file: FileContents): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    let free = this.capacityBytes;
    for (const other of this.tree.listed()) if (other !== file) free -= this.#allocated(other);
    return Math.max(file.length, Math.floor(Math.max(0, free) / file.sectorBytes) * file.sectorBytes);
  }

  #allocated(file: FileContents): number {
    let length = file.length;
    for (const write of file.inFlight) length = Math.max(length, write.offset + write.length);
    return Math.ceil(length / file.sectorBytes) * file.sectorBytes;
  }

  /** An operation of one boundary. */
  // biome-ignore lint/correctness/useYield: nothing can come in between
  *single<T>(line: string, act: () => T): Operation<T> {
    this.note(line);
    return act();
  }
}

export function noSpace(path: string): IoError {
  return new IoError("IO_NO_SPACE", `${path}: the simulated disk is full`, {
    errno: "ENOSPC",
    syscall: "pwritev2",
    path,
  });
}
