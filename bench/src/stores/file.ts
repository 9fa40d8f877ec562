import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import type { Store, StoreKind } from "./store.js";

/** A payload as a line of a file would be: with its length in front. */
function framed(payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(4 + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.set(payload, 4);
  return frame;
}

function manyFramed(payloads: () => Uint8Array, count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => framed(payloads())));
}

class BlockingFile implements Store {
  readonly name = blockingFile.name;
  readonly #fd: number;

  constructor(directory: string) {
    this.#fd = openSync(path.join(directory, "log"), "a");
  }

  commit(payload: Uint8Array): undefined {
    this.#append(framed(payload));
  }

  bulk(payloads: () => Uint8Array, count: number): undefined {
    this.#append(manyFramed(payloads, count));
  }

  async close(): Promise<void> {
    closeSync(this.#fd);
  }

  #append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    fdatasyncSync(this.#fd);
  }
}

async function appendDurably(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
  await file.datasync();
}

/** One commit after another: who comes meanwhile waits for all before. */
class SerialFile implements Store {
  readonly name = serialFile.name;
  readonly #file: FileHandle;
  #last: Promise<void> = Promise.resolve();

  constructor(file: FileHandle) {
    this.#file = file;
  }

  commit(payload: Uint8Array): Promise<void> {
    return this.#append(framed(payload));
  }

  bulk(payloads: () => Uint8Array, count: number): Promise<void> {
    return this.#append(manyFramed(payloads, count));
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #append(bytes: Uint8Array): Promise<void> {
    this.#last = this.#last.then(() => appendDurably(this.#file, bytes));
    return this.#last;
  }
}

/** What comes while a sync is under way goes to the disk together: group commit in its simplest form. */
class GroupingFile implements Store {
  readonly name = groupingFile.name;
  readonly #file: FileHandle;
  #waiting: Buffer[] = [];
  #next: Promise<void> | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(file: FileHandle) {
    this.#file = file;
  }

  commit(payload: Uint8Array): Promise<void> {
    return this.#append(framed(payload));
  }

  bulk(payloads: () => Uint8Array, count: number): Promise<void> {
    return this.#append(manyFramed(payloads, count));
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #append(bytes: Buffer): Promise<void> {
    this.#waiting.push(bytes);
    if (this.#next === undefined) {
      this.#next = this.#flushing.then(() => {
        const group = this.#waiting;
        this.#waiting = [];
        this.#next = undefined;
        return appendDurably(this.#file, Buffer.concat(group));
      });
      this.#flushing = this.#next;
    }
    return this.#next;
  }
}

const openLogFile = (directory: string) => open(path.join(directory, "log"), "a");

export const blockingFile: StoreKind = {
  name: "fs.writeSync + fdatasyncSync",
  open: async (directory) => new BlockingFile(directory),
};

export const serialFile: StoreKind = {
  name: "fs/promises",
  open: async (directory) => new SerialFile(await openLogFile(directory)),
};

export const groupingFile: StoreKind = {
  name: "fs/promises, grouped",
  open: async (directory) => new GroupingFile(await openLogFile(directory)),
};
