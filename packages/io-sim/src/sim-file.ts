import { IoError, type IoFile, type Region, type UntornLimits } from "@stonewal/io";
import { injected, isFailure } from "./faults.js";
import type { FileContents } from "./file-contents.js";
import type { Machine } from "./machine.js";
import { closedFile, rangeProblem, regionProblem } from "./refusals.js";
import type { Operation } from "./scheduler.js";
import { flipBit } from "./silent-faults.js";
import { assertBelievable, type OpenState, syncOperation, writeOperation } from "./write-operation.js";

/** The process that opened a file. */
export interface FileOwner {
  /** Runs an operation, unless the process is closed or dead. */
  run<T>(operation: () => Operation<T>): Promise<T>;
}

export class SimFile implements IoFile, OpenState {
  readonly path: string;
  readonly direct: boolean;
  readonly alignment: number;
  readonly untornWriteBytes: UntornLimits | undefined;
  readonly contents: FileContents;
  readonly owner: FileOwner;
  readonly #machine: Machine;
  readonly #writable: boolean;
  poison: IoError | undefined;
  errorsSeen: number;
  closed = false;
  inFlight = 0;
  #closing: Promise<void> | undefined;
  #released = false;

  constructor(
    machine: Machine,
    owner: FileOwner,
    contents: FileContents,
    about: { readonly path: string; readonly direct: boolean; readonly writable: boolean },
  ) {
    this.#machine = machine;
    this.owner = owner;
    this.contents = contents;
    this.path = about.path;
    this.direct = about.direct;
    this.alignment = about.direct ? machine.shape.directAlignment : 1;
    this.untornWriteBytes = about.direct ? machine.shape.untornWriteBytes : undefined;
    this.#writable = about.writable;
    // A new open file is told of failures from now on only: that is why an earlier one can be missed.
    this.errorsSeen = contents.writeBackErrors;
  }

  size(): Promise<number> {
    return this.run("size", () => this.contents.length);
  }

  read(region: Region, offset: number): Promise<number> {
    const problem = regionProblem(region, 0, this.path) ?? this.#problem(region.start, region.length, offset);
    if (problem !== undefined) return Promise.reject(problem);
    return this.enter(() => this.#read(region, offset));
  }

  /** One system call, or more where one comes back short. */
  *#read(region: Region, offset: number): Operation<number> {
    const { contents, path } = this;
    const { arena, start, length } = region;
    let done = 0;
    for (;;) {
      const range = { offset: offset + done, length: length - done };
      this.#machine.note(`read ${path} ${range.offset}+${range.length}`);
      const fault = this.#machine.strike("read", "pread", path, range);
      if (fault?.effect === "interrupted") {
        yield;
        continue;
      }
      yield* this.#machine.delay(fault);
      if (fault !== undefined && isFailure(fault)) throw injected(fault, "pread", path);
      const bad = contents.unreadableIn(range.offset, range.length);
      if (bad !== undefined)
        throw new IoError("IO_READ_FAILED", `pread ${path}: EIO at ${bad}`, {
          errno: "EIO",
          syscall: "pread",
          path,
        });
      const count = fault?.effect === "short" ? Math.min(fault.bytes ?? 1, range.length) : range.length;
      const into = arena.bytes.subarray(start + done, start + done + count);
      const view = fault?.effect === "stale" ? "stale" : this.direct ? "device" : "cache";
      const got = contents.read(into, range.offset, view);
      if (fault?.effect === "rot") flipBit(into.subarray(0, got), this.#machine.fate);
      done += got;
      if (fault?.effect !== "short" || done === length) return done;
      yield;
    }
  }

  writeZeros(offset: number, length: number): Promise<void> {
    const problem = this.#problem(0, length, offset) ?? this.notWritable();
    if (problem !== undefined) return Promise.reject(problem);
    const { contents } = this;
    return this.enter(() => this.#zeros(offset, Math.max(0, length), contents.sectorBytes));
  }

  *#zeros(offset: number, length: number, sectorBytes: number): Operation<void> {
    // In pieces, as a real one writes: a disk that fills up, or a crash, leaves the file partly extended.
    const piece = Math.max(1 << 20, sectorBytes);
    for (let at = offset; at < offset + length; at += piece) {
      const write = {
        offset: at,
        bytes: undefined,
        length: Math.min(piece, offset + length - at),
        direct: this.direct,
      };
      yield* writeOperation(this.#machine, this, write, false, () => undefined);
      yield;
    }
    yield* syncOperation(this.#machine, this);
  }

  truncate(length: number): Promise<void> {
    const problem = rangeProblem(0, length, this.path) ?? this.notWritable();
    if (problem !== undefined) return Promise.reject(problem);
    return this.run("truncate", () => {
      assertBelievable(this);
      this.contents.setLength(length, this.#machine.stamp());
    });
  }

  sync(): Promise<void> {
    return this.enter(() => syncOperation(this.#machine, this));
  }

  dropCache(): Promise<void> {
    return this.run("dropCache", () => this.contents.dropCache());
  }

  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    // Its back end has closed it.
    if (this.closed) return Promise.resolve();
    this.closed = true;
    this.#closing = this.owner.run(() => this.#close());
    return this.#closing;
  }

  *#close(): Operation<void> {
    if (this.inFlight > 0) yield () => this.inFlight === 0;
    this.#machine.note(`close ${this.path}`);
    this.release();
  }

  /** Nobody has it open any more: closed, or its process is over. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#machine.closed(this.contents);
  }

  /** Runs an operation on this file, which closing waits for. */
  async enter<T>(operation: () => Operation<T>): Promise<T> {
    if (this.closed) throw closedFile(this.path);
    this.inFlight++;
    try {
      return await this.owner.run(operation);
    } finally {
      this.inFlight--;
    }
  }

  private run<T>(operation: "size" | "truncate" | "dropCache", act: () => T): Promise<T> {
    return this.enter(() =>
      this.#machine.call(
        operation,
        { line: `${operation} ${this.path}`, syscall: operation, path: this.path },
        act,
      ),
    );
  }

  #problem(start: number, length: number, offset: number): IoError | undefined {
    return rangeProblem(offset, length, this.path) ?? this.misalignment(start, length, offset);
  }

  misalignment(start: number, length: number, offset: number, step?: number): IoError | undefined {
    const { alignment, path } = this;
    if (start % alignment === 0 && length % alignment === 0 && offset % alignment === 0) return undefined;
    return new IoError(
      "IO_ALIGNMENT",
      `${path}: region start ${start}, length ${length} and file offset ${offset} must be multiples of ${alignment}`,
      { path, step },
    );
  }

  notWritable(step?: number): IoError | undefined {
    if (this.#writable) return undefined;
    return new IoError("IO_ARGUMENT", `${this.path} is open for reading`, { path: this.path, step });
  }
}
