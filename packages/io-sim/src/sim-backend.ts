import {
  type Arena,
  type BlockingChains,
  type Capabilities,
  type Clock,
  type IoBackend,
  IoError,
  type IoFile,
  type IoLock,
  type OpenOptions,
  type Step,
  untornRefusal,
} from "@stonewal/io";
import { Directory } from "./directory-tree.js";
import type { FaultOperation, FaultRule } from "./faults.js";
import { FileContents } from "./file-contents.js";
import type { Machine } from "./machine.js";
import { closedFile, pathProblem, rangeProblem, regionProblem, SimArena } from "./refusals.js";
import type { Operation, Task } from "./scheduler.js";
import { type FileOwner, SimFile } from "./sim-file.js";
import { syncOperation, writeOperation } from "./write-operation.js";

/** A chain that was submitted: what runs it, or why nothing does. */
interface Submitted {
  task?: Task<void> | undefined;
  refused?: unknown;
}

/** One process's life on a simulated machine. Made by `SimDisk.mount()`; ends at a crash, a kill, or `close()`. */
export class SimBackend implements IoBackend, FileOwner {
  readonly name = "sim";
  readonly clock: Clock;
  /** Whatever else is under way goes on meanwhile, up to a crash. */
  readonly now: BlockingChains = {
    submit: (chain) => this.#submitNow(chain),
    finish: (submitted) => this.#finishNow(submitted),
  };
  readonly #submitted = new WeakMap<Promise<void>, Submitted>();
  readonly #machine: Machine;
  readonly #violation: (error: Error) => void;
  readonly #files = new Set<SimFile>();
  readonly #locks = new Set<SimLock>();
  #end: IoError | undefined;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(machine: Machine, violation: (error: Error) => void) {
    this.#machine = machine;
    this.#violation = violation;
    this.clock = machine.time.clockOf(this);
  }

  /** Why the process is over, if it is. */
  get ended(): IoError | undefined {
    return this.#end;
  }

  /** @internal */
  end(message: string): void {
    this.#end ??= new IoError("IO_CLOSED", message, { errno: "EBADF" });
    for (const file of this.#files) file.release();
    this.#machine.time.abandon(this);
    for (const [contents, holder] of this.#machine.locks)
      if (holder === this) this.#machine.locks.delete(contents);
    this.#machine.scheduler.abandon(this);
  }

  async run<T>(operation: () => Operation<T>): Promise<T> {
    if (this.#end !== undefined) throw this.#end;
    return this.#machine.scheduler.run(this, operation());
  }

  arena(bytes: number): Arena {
    if (this.#end !== undefined) throw this.#end;
    return new SimArena(bytes);
  }

  random(bytes: number): Uint8Array {
    if (this.#end !== undefined) throw this.#end;
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new IoError("IO_ARGUMENT", `${bytes} random bytes`);
    return this.#machine.entropy.bytes(bytes);
  }

  probe(directory: string): Promise<Capabilities> {
    const { shape, tree } = this.#machine;
    return this.#call("probe", "statx", directory, () => {
      tree.directory(directory, "statx");
      return {
        direct: shape.direct ? { alignment: shape.directAlignment } : undefined,
        directUnavailable: shape.direct ? undefined : "this simulated disk was made without O_DIRECT",
        physicalBlockBytes: shape.sectorBytes,
        atomicWriteBytes: shape.direct ? (shape.untornWriteBytes?.max ?? 0) : 0,
        fileSystem: "sim",
        remote: false,
        durableWrite: "simulated",
      };
    });
  }

  open(path: string, options: OpenOptions): Promise<IoFile> {
    const { access, direct = false } = options;
    const { shape, tree } = this.#machine;
    return this.#call("open", "open", path, () => {
      if (access !== "read" && access !== "write" && access !== "create")
        throw new IoError("IO_ARGUMENT", `open ${path}: unknown access ${String(access)}`, { path });
      if (direct && !shape.direct)
        throw new IoError("IO_UNSUPPORTED", `${path}: this simulated disk was made without O_DIRECT`, {
          errno: "EINVAL",
          syscall: "open",
          path,
        });
      if (access === "create")
        tree.create(path, new FileContents(shape.sectorBytes, shape.folioBytes), "open");
      const contents = tree.file(path, "open");
      this.#machine.opened(contents);
      const file = new SimFile(this.#machine, this, contents, { path, direct, writable: access !== "read" });
      this.#files.add(file);
      return file;
    });
  }

  submit(chain: readonly Step[]): Promise<void> {
    const submitted: Submitted = {};
    const promise = new Promise<void>((resolve, reject) => {
      try {
        submitted.task = this.#start(chain, resolve, reject);
      } catch (error) {
        submitted.refused = error;
        reject(error);
      }
    });
    this.#submitted.set(promise, submitted);
    return promise;
  }

  #submitNow(chain: readonly Step[]): void {
    const task = this.#start(chain);
    if (task !== undefined) this.#machine.scheduler.finish(task);
  }

  #finishNow(promise: Promise<void>): void {
    const submitted = this.#submitted.get(promise);
    if (submitted === undefined)
      throw new IoError("IO_ARGUMENT", "not a promise that submit of this back end has returned");
    if (submitted.refused !== undefined) throw submitted.refused;
    if (submitted.task !== undefined) this.#machine.scheduler.finish(submitted.task);
  }

  /** `undefined`: there is nothing to do. */
  #start(
    chain: readonly Step[],
    resolve: () => void = () => undefined,
    reject: (error: unknown) => void = () => undefined,
  ): Task<void> | undefined {
    if (this.#end !== undefined) throw this.#end;
    const steps = chain.map((step, index) => this.#prepare(step, index));
    if (steps.length === 0) {
      resolve();
      return undefined;
    }
    const files = new Set(chain.map((step) => step.file as SimFile));
    for (const file of files) file.inFlight++;
    return this.#machine.scheduler.start(this, runChain(steps), (outcome) => {
      for (const file of files) file.inFlight--;
      if ("error" in outcome) reject(outcome.error);
      else resolve();
    });
  }

  /** Checks a step, and takes its bytes: what the caller does to the memory from here on is noticed. */
  #prepare(step: Step, index: number): () => Operation<void> {
    const { file } = step;
    if (!(file instanceof SimFile) || file.owner !== this)
      throw new IoError("IO_ARGUMENT", `step ${index}: the file is not one of this back end`, {
        step: index,
      });
    const { path } = file;
    if (file.closed) throw closedFile(path, index);
    if (step.kind === "sync") return () => syncOperation(this.#machine, file);
    if (step.kind !== "write")
      throw new IoError("IO_ARGUMENT", `step ${index}: unknown kind`, { step: index, path });
    const { region, offset, durable = false, untorn = false } = step;
    const { arena, start, length } = region;
    const problem =
      regionProblem(region, 1, path, index) ??
      rangeProblem(offset, length, path, index) ??
      file.misalignment(start, length, offset, index) ??
      file.notWritable(index) ??
      (untorn ? untornRefusal(file, length, offset, index) : undefined);
    if (problem !== undefined) throw problem;
    const bytes = arena.bytes.slice(start, start + length);
    const verify = (): void => {
      if (same(bytes, arena.bytes, start)) return;
      const error = new IoError(
        "IO_ARGUMENT",
        `${path}: region ${start}+${length} was changed while it was being written to ${offset}`,
        { path },
      );
      this.#violation(error);
      throw error;
    };
    return () =>
      writeOperation(
        this.#machine,
        file,
        { offset, bytes, length, untorn, direct: file.direct },
        durable,
        verify,
      );
  }

  makeDirectory(path: string): Promise<void> {
    return this.#call("makeDirectory", "mkdir", path, () =>
      this.#machine.tree.create(path, new Directory(), "mkdir"),
    );
  }

  list(path: string): Promise<string[]> {
    return this.#call("list", "readdir", path, () =>
      [...this.#machine.tree.directory(path, "readdir").names.keys()].sort(),
    );
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call("rename", "renameat2", from, () => this.#machine.tree.rename(from, to), ` ${to}`);
  }

  unlink(path: string): Promise<void> {
    return this.#call("unlink", "unlink", path, () => this.#machine.tree.unlink(path));
  }

  syncDirectory(path: string): Promise<void> {
    const { tree } = this.#machine;
    return this.#call("syncDirectory", "fsync", path, (fault) => {
      const directory = tree.directory(path, "fsync");
      if (fault?.effect !== "lost") tree.sync(directory);
    });
  }

  lock(path: string): Promise<IoLock> {
    const { tree, locks, shape } = this.#machine;
    return this.#call("lock", "fcntl", path, () => {
      if (tree.find(path) === undefined)
        tree.create(path, new FileContents(shape.sectorBytes, shape.folioBytes), "open");
      const contents = tree.file(path, "open");
      if (locks.has(contents))
        throw new IoError("IO_LOCKED", `${path} is locked`, { errno: "EAGAIN", syscall: "fcntl", path });
      locks.set(contents, this);
      const lock = new SimLock(this, this.#machine, contents, path);
      this.#locks.add(lock);
      return lock;
    });
  }

  isLocked(path: string): Promise<boolean> {
    const { tree, locks } = this.#machine;
    return this.run(() =>
      this.#machine.single(`isLocked ${path}`, () => {
        const node = tree.find(path);
        return node?.kind === "file" && locks.has(node);
      }),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#end !== undefined) return;
    // New calls are refused from here on, and what is in flight is waited for.
    this.#end = new IoError("IO_CLOSED", "the back end is closed");
    const { scheduler } = this.#machine;
    if (scheduler.isBusy(this))
      await scheduler.run(
        new Object(),
        drained(() => !scheduler.isBusy(this)),
      );
    for (const file of this.#files) file.closed = true;
    for (const lock of this.#locks) lock.released();
    this.end("the back end is closed");
  }

  #call<T>(
    operation: FaultOperation,
    syscall: string,
    path: string,
    act: (fault: FaultRule | undefined) => T,
    more = "",
  ): Promise<T> {
    const problem = pathProblem(path);
    if (problem !== undefined) return Promise.reject(problem);
    return this.run(() =>
      this.#machine.call(operation, { line: `${operation} ${path}${more}`, syscall, path }, act),
    );
  }
}

class SimLock implements IoLock {
  readonly #owner: SimBackend;
  readonly #machine: Machine;
  readonly #contents: FileContents;
  readonly #path: string;
  #releasing: Promise<void> | undefined;

  constructor(owner: SimBackend, machine: Machine, contents: FileContents, path: string) {
    this.#owner = owner;
    this.#machine = machine;
    this.#contents = contents;
    this.#path = path;
  }

  /** Its back end has closed, and given it up. */
  released(): void {
    this.#releasing ??= Promise.resolve();
  }

  release(): Promise<void> {
    this.#releasing ??= this.#owner.run(() =>
      this.#machine.single(`unlock ${this.#path}`, () => void this.#machine.locks.delete(this.#contents)),
    );
    return this.#releasing;
  }
}

/** One after another: a step does not begin before the one in front of it has completed. */
function* runChain(steps: readonly (() => Operation<void>)[]): Operation<void> {
  for (const [index, step] of steps.entries()) {
    if (index > 0) yield;
    try {
      yield* step();
    } catch (error) {
      throw error instanceof IoError ? atStep(error, index) : error;
    }
  }
}

function atStep(error: IoError, step: number): IoError {
  const { code, message, errno, syscall, path, cause } = error;
  return new IoError(code, message, { errno, syscall, path, cause, step });
}

function* drained(condition: () => boolean): Operation<void> {
  yield condition;
}

function same(bytes: Uint8Array, memory: Uint8Array, start: number): boolean {
  return Buffer.compare(bytes, memory.subarray(start, start + bytes.length)) === 0;
}
