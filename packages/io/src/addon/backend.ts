import { randomFillSync } from "node:crypto";
import { mkdir, readdir, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type {
  Arena,
  BlockingChains,
  Capabilities,
  ChecksumRanges,
  Clock,
  IoBackend,
  IoFile,
  IoLock,
  OpenOptions,
  Step,
} from "../backend.js";
import { IoError, type IoOperation } from "../errors.js";
import { AlignedArena } from "./arena.js";
import { ChainRunner } from "./chain.js";
import { systemClock } from "./clock.js";
import { argumentError, complete, fsFailure } from "./failure.js";
import { AddonFile, type FileOwner } from "./file.js";
import { fileSystemName } from "./file-systems.js";
import { InFlight } from "./in-flight.js";
import { AddonLock } from "./lock.js";
import { ACCESS, type DirectoryFacts, type Handle, type NativeAddon, type OpenedFile } from "./native.js";
import { type DurableWriteName, probeDirectory } from "./probe.js";

const MAX_RANDOM_BYTES = 2 ** 31 - 1;

export interface AddonBackendOptions {
  readonly name: string;
  readonly native: NativeAddon;
  /** Whether to offer the processor's CRC32C instructions, where it has them. */
  readonly hardwareChecksum: boolean;
  readonly durableWrite: DurableWriteName;
}

/** A back end whose system calls a native addon makes. What it can check or do without the addon is done here. */
export class AddonBackend implements IoBackend, FileOwner {
  readonly name: string;
  readonly clock: Clock = systemClock;
  readonly checksum?: ChecksumRanges;
  readonly now: BlockingChains;
  readonly inFlight = new InFlight();
  readonly #native: NativeAddon;
  readonly #durableWrite: DurableWriteName;
  readonly #chains: ChainRunner;
  /** Kept reachable until they are closed: a collected handle is closed by the addon. */
  readonly #files = new Set<AddonFile>();
  readonly #locks = new Set<AddonLock>();
  #closing: Promise<void> | undefined;

  constructor({ name, native, hardwareChecksum, durableWrite }: AddonBackendOptions) {
    this.name = name;
    this.#native = native;
    this.#durableWrite = durableWrite;
    this.#chains = new ChainRunner(native, this);
    this.now = {
      submit: (chain) => {
        if (this.closed) throw closedBackend();
        this.#chains.runNow(chain);
      },
      finish: (submitted) => this.#chains.finishNow(submitted),
    };
    if (hardwareChecksum && native.hardwareChecksum) this.checksum = checksumOf(native);
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  forget(file: AddonFile): void {
    this.#files.delete(file);
  }

  arena(bytes: number): Arena {
    if (this.closed) throw closedBackend();
    return new AlignedArena(this.#native, bytes);
  }

  random(bytes: number): Uint8Array {
    if (this.closed) throw closedBackend();
    if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > MAX_RANDOM_BYTES) {
      throw argumentError(`${bytes} random bytes: 0 to 2^31 - 1 are expected`);
    }
    return randomFillSync(new Uint8Array(bytes));
  }

  probe(directory: string): Promise<Capabilities> {
    return this.#run([directory], () => probeDirectory(this.#native, directory, this.#durableWrite));
  }

  open(path: string, options: OpenOptions): Promise<IoFile> {
    return this.#run([path], async () => {
      const access = Object.hasOwn(ACCESS, options.access) ? ACCESS[options.access] : undefined;
      if (access === undefined) throw argumentError(`open: access ${String(options.access)}`, { path });
      const direct = options.direct === true;
      const opened = await this.#openHandle(path, access, direct);
      const file = new AddonFile(this.#native, this, {
        path,
        direct,
        readOnly: options.access === "read",
        opened,
      });
      this.#files.add(file);
      return file;
    });
  }

  submit(chain: readonly Step[]): Promise<void> {
    if (this.closed) return this.#chains.refuse(closedBackend());
    return this.#chains.run(chain);
  }

  makeDirectory(path: string): Promise<void> {
    return this.#runFs("directory", path, () => mkdir(path));
  }

  list(path: string): Promise<string[]> {
    return this.#runFs("directory", path, async () => (await readdir(path)).sort());
  }

  unlink(path: string): Promise<void> {
    return this.#runFs("directory", path, () => unlink(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run([from, to], () =>
      complete<undefined>(from, (done) => this.#native.rename(from, to, done)),
    );
  }

  syncDirectory(path: string): Promise<void> {
    return this.#run([path], () =>
      complete<undefined>(path, (done) => this.#native.syncDirectory(path, done)),
    );
  }

  lock(path: string): Promise<IoLock> {
    return this.#run([path], async () => {
      const handle = await complete<Handle>(path, (done) => this.#native.lock(path, done));
      const lock = new AddonLock(this.#native, path, handle, () => this.#locks.delete(lock));
      this.#locks.add(lock);
      return lock;
    });
  }

  isLocked(path: string): Promise<boolean> {
    return this.#run([path], () => complete<boolean>(path, (done) => this.#native.isLocked(path, done)));
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    await this.inFlight.idle();
    const results = await Promise.allSettled([
      ...[...this.#files].map((file) => file.close()),
      ...[...this.#locks].map((lock) => lock.release()),
    ]);
    this.#native.end?.();
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async #openHandle(path: string, access: number, direct: boolean): Promise<OpenedFile> {
    try {
      return await complete<OpenedFile>(path, (done) => this.#native.open(path, access, direct, done));
    } catch (error) {
      if (!direct || !(error instanceof IoError) || error.errno !== "EINVAL") throw error;
      const facts = await complete<DirectoryFacts>(path, (done) =>
        this.#native.fileSystem(dirname(path), done),
      );
      throw new IoError(
        "IO_UNSUPPORTED",
        `${path}: ${fileSystemName(facts)} does not do direct I/O on this file (${error.syscall} failed with EINVAL)`,
        { errno: "EINVAL", syscall: error.syscall, path, cause: error },
      );
    }
  }

  /** Runs a call that takes paths; closing the back end waits for it. */
  async #run<T>(paths: readonly string[], call: () => Promise<T>): Promise<T> {
    if (this.closed) throw closedBackend();
    for (const path of paths) {
      if (typeof path !== "string" || path === "" || path.includes("\0")) {
        throw argumentError(`not a path: ${JSON.stringify(path)}`);
      }
    }
    this.inFlight.enter();
    try {
      return await call();
    } finally {
      this.inFlight.leave();
    }
  }

  #runFs<T>(operation: IoOperation, path: string, call: () => Promise<T>): Promise<T> {
    return this.#run([path], async () => {
      try {
        return await call();
      } catch (cause) {
        throw fsFailure(cause, operation, path);
      }
    });
  }
}

function checksumOf(native: NativeAddon): ChecksumRanges {
  const { checksum } = native;
  return (bytes, ranges, count, out) => {
    if (!checksum(bytes, ranges, count, out)) {
      throw argumentError(
        "checksum: a range outside the bytes, or a count larger than the ranges or results",
      );
    }
  };
}

function closedBackend(): IoError {
  return new IoError("IO_CLOSED", "the back end is closed");
}
