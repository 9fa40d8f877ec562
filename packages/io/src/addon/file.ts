import type { IoFile, Region, UntornLimits } from "../backend.js";
import { IoError } from "../errors.js";
import { rangeProblem, regionProblem } from "./arena.js";
import { argumentError, complete } from "./failure.js";
import { InFlight } from "./in-flight.js";
import type { Done, Handle, NativeAddon, OpenedFile } from "./native.js";

export const READ_ONLY = "the file was opened for reading only";

/** The back end that opened a file. */
export interface FileOwner {
  readonly closed: boolean;
  forget(file: AddonFile): void;
}

/** One open file. */
export class AddonFile implements IoFile {
  readonly path: string;
  readonly direct: boolean;
  readonly alignment: number;
  readonly untornWriteBytes: UntornLimits | undefined;
  readonly readOnly: boolean;
  readonly handle: Handle;
  readonly owner: FileOwner;
  readonly #native: NativeAddon;
  readonly #inFlight = new InFlight();
  #closing: Promise<void> | undefined;

  constructor(
    native: NativeAddon,
    owner: FileOwner,
    facts: { path: string; direct: boolean; readOnly: boolean; opened: OpenedFile },
  ) {
    this.#native = native;
    this.owner = owner;
    this.path = facts.path;
    this.direct = facts.direct;
    this.readOnly = facts.readOnly;
    const [handle, alignment, min, max] = facts.opened;
    this.handle = handle;
    this.alignment = alignment;
    this.untornWriteBytes = max > 0 ? { min, max } : undefined;
  }

  get closed(): boolean {
    return this.#closing !== undefined || this.owner.closed;
  }

  /** A chain with a step on this file starts; `leave` when it has ended. Closing waits. */
  enter(): void {
    this.#inFlight.enter();
  }

  leave(): void {
    this.#inFlight.leave();
  }

  /** Whether the three can go to the kernel as they are. */
  misaligned(start: number, length: number, offset: number): boolean {
    const { alignment } = this;
    return alignment > 1 && (start % alignment !== 0 || length % alignment !== 0 || offset % alignment !== 0);
  }

  misalignment(start: number, length: number, offset: number, step?: number): IoError {
    return new IoError(
      "IO_ALIGNMENT",
      `${this.path}: ${step === undefined ? "" : `step ${step}: `}region start ${start}, length ${length} and file ` +
        `offset ${offset} must be multiples of ${this.alignment}`,
      { path: this.path, step },
    );
  }

  async size(): Promise<number> {
    return this.#call<number>((done) => this.#native.size(this.handle, done));
  }

  async read(region: Region, offset: number): Promise<number> {
    const problem = regionProblem(region, 0) ?? rangeProblem(offset, region.length);
    if (problem !== undefined) throw argumentError(`${this.path}: ${problem}`, { path: this.path });
    const { arena, start, length } = region;
    if (this.misaligned(start, length, offset)) throw this.misalignment(start, length, offset);
    return this.#call<number>((done) =>
      this.#native.read(this.handle, arena.bytes, start, length, offset, done),
    );
  }

  async writeZeros(offset: number, length: number): Promise<void> {
    const problem = this.#writeProblem() ?? rangeProblem(offset, length);
    if (problem !== undefined) throw argumentError(`${this.path}: ${problem}`, { path: this.path });
    if (this.misaligned(0, length, offset)) throw this.misalignment(0, length, offset);
    return this.#call<undefined>((done) => this.#native.writeZeros(this.handle, offset, length, done));
  }

  async truncate(length: number): Promise<void> {
    const problem = this.#writeProblem() ?? rangeProblem(0, length);
    if (problem !== undefined) throw argumentError(`${this.path}: ${problem}`, { path: this.path });
    return this.#call<undefined>((done) => this.#native.truncate(this.handle, length, done));
  }

  async sync(): Promise<void> {
    return this.#call<undefined>((done) => this.#native.sync(this.handle, done));
  }

  async dropCache(): Promise<void> {
    return this.#call<undefined>((done) => this.#native.dropCache(this.handle, done));
  }

  close(): Promise<void> {
    this.#closing ??= this.#inFlight
      .idle()
      .then(() => complete<undefined>(this.path, (done) => this.#native.close(this.handle, done)))
      .finally(() => this.owner.forget(this));
    return this.#closing;
  }

  #writeProblem(): string | undefined {
    return this.readOnly ? READ_ONLY : undefined;
  }

  async #call<T>(start: (done: Done<T>) => void): Promise<T> {
    if (this.closed) throw closedFile(this.path);
    this.#inFlight.enter();
    try {
      return await complete(this.path, start);
    } finally {
      this.#inFlight.leave();
    }
  }
}

export function closedFile(path: string, step?: number): IoError {
  return new IoError(
    "IO_CLOSED",
    `${path}: ${step === undefined ? "" : `step ${step}: `}the file is closed`,
    {
      path,
      step,
    },
  );
}
