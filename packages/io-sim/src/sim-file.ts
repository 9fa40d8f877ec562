import { IoError, type IoFile, type Region } from "@stonewal/io";
import type { FileContents } from "./file-contents.js";
import type { Machine } from "./machine.js";
import type { Operation } from "./scheduler.js";
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
  readonly contents: FileContents;
  readonly owner: FileOwner;
  readonly #machine: Machine;
  readonly #writable: boolean;
  poisoned = false;
  errorsSeen: number;
  closed = false;
  inFlight = 0;
  #closing: Promise<void> | undefined;

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
    this.#writable = about.writable;
    // A new open file is told of failures from now on only: that is why an earlier one can be missed.
    this.errorsSeen = contents.writeBackErrors;
  }

  size(): Promise<number> {
    return this.run("size", () => this.contents.length);
  }

  read(region: Region, offset: number): Promise<number> {
    const problem = this.#problem(region.start, region.length, offset) ?? regionProblem(region, 0, this.path);
    if (problem !== undefined) return Promise.reject(problem);
    return this.run("read", () => {
      const { contents } = this;
      const bad = contents.unreadableIn(offset, region.length);
      if (bad !== undefined)
        throw new IoError("IO_READ_FAILED", `pread ${this.path}: EIO at ${bad}`, {
          errno: "EIO",
          syscall: "pread",
          path: this.path,
        });
      const into = region.arena.bytes.subarray(region.start, region.start + region.length);
      return contents.read(into, offset, !this.direct);
    });
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
      const write = { offset: at, bytes: undefined, length: Math.min(piece, offset + length - at) };
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

  private run<T>(operation: "size" | "read" | "truncate" | "dropCache", act: () => T): Promise<T> {
    return this.enter(() =>
      this.#machine.single(`${operation} ${this.path}`, () => {
        const rule = this.#machine.strike(operation, operation, this.path);
        if (rule !== undefined) throw new RangeError(`effect ${rule.effect} does not apply to ${operation}`);
        return act();
      }),
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
    return new IoError("IO_ACCESS", `${this.path} was opened for reading`, {
      errno: "EACCES",
      path: this.path,
      step,
    });
  }
}

export function closedFile(path: string, step?: number): IoError {
  return new IoError("IO_CLOSED", `${path} is closed`, { path, step });
}

export function rangeProblem(
  offset: number,
  length: number,
  path: string,
  step?: number,
): IoError | undefined {
  const bad =
    !Number.isSafeInteger(offset) ||
    offset < 0 ||
    !Number.isSafeInteger(length) ||
    length < 0 ||
    !Number.isSafeInteger(offset + length);
  return bad
    ? new IoError("IO_ARGUMENT", `${path}: not a range of a file: ${offset}+${length}`, { path, step })
    : undefined;
}

export function regionProblem(
  region: Region,
  atLeast: number,
  path: string,
  step?: number,
): IoError | undefined {
  const { start, length, arena } = region;
  const bad =
    !Number.isSafeInteger(start) ||
    start < 0 ||
    !Number.isSafeInteger(length) ||
    length < atLeast ||
    start + length > arena.bytes.length;
  return bad
    ? new IoError("IO_ARGUMENT", `${path}: region ${start}+${length} of an arena of ${arena.bytes.length}`, {
        path,
        step,
      })
    : undefined;
}
