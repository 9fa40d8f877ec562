import { IoError, type UntornLimits } from "@stonewal/io";
import { BoundedLog } from "./bounded-log.js";
import type { DirectoryTree } from "./directory-tree.js";
import { type FaultEvent, kindOf } from "./fault-log.js";
import { type FaultOperation, type FaultRule, Faults, injected, isFailure } from "./faults.js";
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
  /** What the kernel writes back of a buffered file, at least; 0: sectors. */
  readonly folioBytes: number;
  readonly staleBlocks: boolean;
  readonly logLimit: number;
}

/** Boundaries that a slow call takes where no time is given. */
const SLOW_BOUNDARIES = 16;

/** What processes on one simulated machine share: the disk, its names, the clock, the schedule, the faults. */
export class Machine {
  readonly shape: DiskShape;
  readonly seed: number;
  readonly tree: DirectoryTree;
  readonly time: SimTime;
  readonly faults: Faults;
  readonly scheduler: Scheduler;
  /** Decides about crashes and partial failures. */
  readonly fate: RandomStream;
  /** What processes draw. */
  readonly entropy: RandomStream;
  readonly trace: BoundedLog<string>;
  readonly faultLog: BoundedLog<FaultEvent>;
  readonly locks = new Map<FileContents, object>();
  /** How often each file is open. */
  readonly openFiles = new Map<FileContents, number>();
  capacityBytes: number;
  operations = 0;
  #stamp: number;

  constructor(
    seed: number,
    shape: DiskShape,
    capacityBytes: number,
    tree: DirectoryTree,
    time: SimTime,
    afterBoundary: () => void,
    stamp = 0,
  ) {
    this.seed = seed;
    this.#stamp = stamp;
    this.shape = shape;
    this.capacityBytes = capacityBytes;
    this.tree = tree;
    this.time = time;
    this.fate = new RandomStream(seed, "fate");
    this.entropy = new RandomStream(seed, "entropy");
    this.faults = new Faults(new RandomStream(seed, "faults"));
    this.trace = new BoundedLog(shape.logLimit);
    this.faultLog = new BoundedLog(shape.logLimit);
    this.scheduler = new Scheduler(new RandomStream(seed, "schedule"), time, () => {
      this.operations++;
      afterBoundary();
    });
  }

  /** When something happened, as a number that only grows: what a sync covers has a smaller one than the sync. */
  stamp(): number {
    return ++this.#stamp;
  }

  opened(file: FileContents): void {
    this.openFiles.set(file, (this.openFiles.get(file) ?? 0) + 1);
  }

  closed(file: FileContents): void {
    const left = (this.openFiles.get(file) ?? 0) - 1;
    if (left > 0) this.openFiles.set(file, left);
    else this.openFiles.delete(file);
  }

  note(line: string): void {
    this.trace.push(`${this.operations} ${line}`);
  }

  /** Enters something that was done to the program into the fault log. */
  record(kind: string, event: Omit<FaultEvent, "operation" | "kind"> = {}): FaultEvent {
    const entry = { operation: this.operations, kind, ...event };
    this.faultLog.push(entry);
    return entry;
  }

  /** Counts a call against the faults that were asked for; the one that strikes. */
  strike(
    operation: FaultOperation,
    syscall: string,
    path: string,
    range?: { readonly offset: number; readonly length: number },
  ): FaultRule | undefined {
    const rule = this.faults.strike(operation, path);
    if (rule === undefined) return undefined;
    this.note(`fault ${syscall} ${path}: ${rule.effect ?? "none"} ${rule.errno ?? "EIO"}`);
    this.record(kindOf(rule), { path, ...(range && { offset: range.offset, length: range.length }) });
    return rule;
  }

  /** Lets a call be slow, if that is what struck it. */
  *delay(rule: FaultRule | undefined): Operation<void> {
    if (rule?.effect !== "slow") return;
    if (rule.ms !== undefined) yield { due: this.time.elapsed + rule.ms };
    else for (let i = 0; i < SLOW_BOUNDARIES; i++) yield;
  }

  /** How far a file may reach before the disk is full. */
  room(file: FileContents): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    let free = this.capacityBytes;
    const taken = this.tree.listed();
    // What has no name any more takes its space until the last process has closed it.
    for (const open of this.openFiles.keys()) taken.add(open);
    for (const other of taken) if (other !== file) free -= this.#allocated(other);
    return Math.max(file.length, Math.floor(Math.max(0, free) / file.sectorBytes) * file.sectorBytes);
  }

  #allocated(file: FileContents): number {
    let length = file.length;
    for (const write of file.inFlight) length = Math.max(length, write.offset + write.length);
    return Math.ceil(length / file.sectorBytes) * file.sectorBytes;
  }

  /** An operation of one boundary, that no fault is for. */
  // biome-ignore lint/correctness/useYield: nothing can come in between
  *single<T>(line: string, act: () => T): Operation<T> {
    this.note(line);
    return act();
  }

  /** A call of one boundary, unless it is slow: it is done whole or not at all. */
  *call<T>(
    operation: FaultOperation,
    about: { readonly line: string; readonly syscall: string; readonly path: string },
    act: (fault: FaultRule | undefined) => T,
  ): Operation<T> {
    const { line, syscall, path } = about;
    this.note(line);
    const fault = this.strike(operation, syscall, path);
    yield* this.delay(fault);
    if (fault !== undefined && isFailure(fault)) throw injected(fault, syscall, path);
    return act(fault);
  }
}

export function noSpace(path: string): IoError {
  return new IoError("IO_NO_SPACE", `${path}: the simulated disk is full`, {
    errno: "ENOSPC",
    syscall: "pwritev2",
    path,
  });
}
