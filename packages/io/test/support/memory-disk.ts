import type { ArmedFault, ConformanceFault } from "../../src/conformance.js";

const PAGE_BYTES = 4096;

/** What a memory disk's calls fail with, as a system call would. */
export class CallFailed extends Error {
  constructor(readonly errno: string) {
    super(errno);
  }
}

/** A file's bytes, sparse: tests write at terabytes. */
export class MemoryInode {
  readonly #pages = new Map<number, Uint8Array>();
  size = 0;
  syncing = 0;
  locked = false;

  write(bytes: Uint8Array, offset: number): void {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const page = Math.floor(at / PAGE_BYTES);
      const inPage = at % PAGE_BYTES;
      const part = bytes.subarray(done, done + PAGE_BYTES - inPage);
      let memory = this.#pages.get(page);
      if (memory === undefined) {
        memory = new Uint8Array(PAGE_BYTES);
        this.#pages.set(page, memory);
      }
      memory.set(part, inPage);
      done += part.length;
    }
    this.size = Math.max(this.size, offset + bytes.length);
  }

  read(into: Uint8Array, offset: number): number {
    const length = Math.max(0, Math.min(into.length, this.size - offset));
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const inPage = at % PAGE_BYTES;
      const part = Math.min(PAGE_BYTES - inPage, length - done);
      const memory = this.#pages.get(Math.floor(at / PAGE_BYTES));
      if (memory === undefined) into.fill(0, done, done + part);
      else into.set(memory.subarray(inPage, inPage + part), done);
      done += part;
    }
    return length;
  }

  truncate(length: number): void {
    if (length < this.size) {
      for (const page of this.#pages.keys()) {
        if (page * PAGE_BYTES >= length) this.#pages.delete(page);
        else if ((page + 1) * PAGE_BYTES > length) this.#pages.get(page)?.fill(0, length - page * PAGE_BYTES);
      }
    }
    this.size = length;
  }
}

/** Names, and the faults that were armed. The calls take a turn of the event loop, so that they can overlap. */
export class MemoryDisk {
  readonly files = new Map<string, MemoryInode>();
  readonly directories: Set<string>;
  #faults: { readonly fault: ConformanceFault; seen: number }[] = [];
  #applied = 0;
  #overlapped = 0;

  constructor(root: string) {
    this.directories = new Set([root]);
  }

  newInode(): MemoryInode {
    return new MemoryInode();
  }

  arm(faults: readonly ConformanceFault[]): ArmedFault {
    this.#faults = faults.map((fault) => ({ fault, seen: 0 }));
    this.#applied = 0;
    this.#overlapped = 0;
    return {
      applied: () => this.#applied,
      overlappedSyncs: () => this.#overlapped,
      disarm: () => {
        this.#faults = [];
      },
    };
  }

  /** Bytes written. A durable write is one call that is a sync as well. */
  async write(
    path: string,
    inode: MemoryInode,
    bytes: Uint8Array,
    offset: number,
    durable: boolean,
  ): Promise<number> {
    const limit = await this.#call(durable ? ["write", "sync"] : ["write"], path);
    const part = bytes.subarray(0, limit);
    inode.write(part, offset);
    return part.length;
  }

  async read(path: string, inode: MemoryInode, into: Uint8Array, offset: number): Promise<number> {
    const limit = await this.#call(["read"], path);
    return inode.read(into.subarray(0, limit), offset);
  }

  async sync(path: string, inode: MemoryInode): Promise<void> {
    if (inode.syncing > 0) this.#overlapped += 1;
    inode.syncing += 1;
    try {
      await this.#call(["sync"], path);
    } finally {
      inode.syncing -= 1;
    }
  }

  /** How many bytes may be transferred. */
  async #call(kinds: readonly ConformanceFault["call"][], path: string): Promise<number> {
    const matching = this.#faults.filter(
      ({ fault }) => kinds.includes(fault.call) && path.includes(fault.path),
    );
    let decided: ConformanceFault | undefined;
    for (const one of matching) {
      one.seen += 1;
      const { nth, times = 1 } = one.fault;
      if (one.seen >= nth && one.seen < nth + times) decided ??= one.fault;
    }
    if (decided !== undefined) this.#applied += 1;
    const effect = decided?.effect;
    if (effect?.kind === "slow") await new Promise((resolve) => setTimeout(resolve, effect.ms));
    else await new Promise((resolve) => setImmediate(resolve));
    if (effect === undefined || effect.kind === "slow") return Number.POSITIVE_INFINITY;
    if (effect.kind === "short") return effect.bytes;
    throw new CallFailed(effect.kind);
  }
}
