import { posix } from "node:path";
import { IoError } from "@stonewal/io";
import type { FileContents } from "./file-contents.js";

/**
 * Names. What is listed, and what a crash leaves of it: a creation, rename or unlink is durable once its directory is synced. Until
 * then each is kept or lost by itself, but in order where they concern the same name, and a rename is whole or not at all.
 */

export type Node = FileContents | Directory;

export class Directory {
  readonly kind = "directory";
  names = new Map<string, Node>();
  durableNames = new Map<string, Node>();
}

interface EntryChange {
  readonly directory: Directory;
  readonly name: string;
  /** What the name stands for afterwards; `undefined`: nothing. */
  readonly node: Node | undefined;
}

/** One creation, rename or unlink that is not durable yet. */
interface PendingEntry {
  readonly what: string;
  readonly changes: readonly EntryChange[];
}

interface Place {
  readonly directory: Directory;
  readonly name: string;
}

export class DirectoryTree {
  readonly root: Directory;
  #pending: PendingEntry[] = [];

  constructor(root = new Directory()) {
    this.root = root;
  }

  /** The same tree over copied files. */
  copy(): DirectoryTree {
    const copies = new Map<Node, Node>();
    const copyOf = (node: Node): Node => {
      let copy = copies.get(node);
      if (copy !== undefined) return copy;
      copy = node.kind === "file" ? node.copy() : new Directory();
      copies.set(node, copy);
      if (node.kind === "directory" && copy.kind === "directory") {
        for (const [name, child] of node.names) copy.names.set(name, copyOf(child));
        for (const [name, child] of node.durableNames) copy.durableNames.set(name, copyOf(child));
      }
      return copy;
    };
    const tree = new DirectoryTree(copyOf(this.root) as Directory);
    tree.#pending = this.#pending.map(({ what, changes }) => ({
      what,
      changes: changes.map(({ directory, name, node }) => ({
        directory: copyOf(directory) as Directory,
        name,
        node: node && copyOf(node),
      })),
    }));
    return tree;
  }

  find(path: string): Node | undefined {
    return this.#walk(path, (directory) => directory.names);
  }

  findDurable(path: string): Node | undefined {
    return this.#walk(path, (directory) => directory.durableNames);
  }

  #walk(path: string, names: (directory: Directory) => Map<string, Node>): Node | undefined {
    let node: Node | undefined = this.root;
    for (const part of absolute(path).split("/").filter(Boolean)) {
      if (node?.kind !== "directory") return undefined;
      node = names(node).get(part);
    }
    return node;
  }

  file(path: string, syscall: string): FileContents {
    const node = this.find(path);
    if (node === undefined) throw notFound(path, syscall);
    if (node.kind === "directory") throw isDirectory(path, syscall);
    return node;
  }

  directory(path: string, syscall: string): Directory {
    const node = this.find(path);
    if (node?.kind !== "directory") throw notFound(path, syscall);
    return node;
  }

  create(path: string, node: Node, syscall: string): void {
    const place = this.#place(path, syscall);
    if (place.directory.names.has(place.name)) throw exists(path, syscall);
    this.#change(`create ${path}`, [{ ...place, node }]);
  }

  rename(from: string, to: string): void {
    const source = this.#place(from, "renameat2");
    const target = this.#place(to, "renameat2");
    const node = source.directory.names.get(source.name);
    if (node === undefined) throw notFound(from, "renameat2");
    if (target.directory.names.has(target.name)) throw exists(to, "renameat2");
    this.#change(`rename ${from} ${to}`, [
      { ...source, node: undefined },
      { ...target, node },
    ]);
  }

  unlink(path: string): void {
    const place = this.#place(path, "unlink");
    const node = place.directory.names.get(place.name);
    if (node === undefined) throw notFound(path, "unlink");
    if (node.kind === "directory") throw isDirectory(path, "unlink");
    this.#change(`unlink ${path}`, [{ ...place, node: undefined }]);
  }

  sync(directory: Directory): void {
    this.#settle((entry) => entry.changes.some((change) => change.directory === directory));
  }

  /** A crash: each pending entry is kept or lost as `keep` says, later ones first; what is lost never was. */
  crash(keep: (what: string) => boolean): void {
    this.#settle((entry) => keep(entry.what));
    this.#pending = [];
    const revert = (directory: Directory): void => {
      directory.names = new Map(directory.durableNames);
      for (const node of directory.names.values()) if (node.kind === "directory") revert(node);
    };
    revert(this.root);
  }

  /** Puts something there durably, directories above it included: the work of a test, not of a process. */
  plant(path: string, node: FileContents): void {
    const parts = absolute(path).split("/").filter(Boolean);
    const name = parts.pop();
    if (name === undefined) throw isDirectory(path, "open");
    let directory = this.root;
    for (const part of parts) {
      const next = directory.names.get(part) ?? new Directory();
      if (next.kind !== "directory") throw notFound(path, "open");
      directory.names.set(part, next);
      directory.durableNames.set(part, next);
      directory = next;
    }
    directory.names.set(name, node);
    directory.durableNames.set(name, node);
  }

  /** Every file that has a name, durable or not, and the name, in a fixed order. */
  files(): Map<FileContents, string> {
    const found = new Map<FileContents, string>();
    const visit = (directory: Directory, prefix: string): void => {
      for (const names of [directory.names, directory.durableNames])
        for (const [name, node] of [...names].sort(([a], [b]) => (a < b ? -1 : 1)))
          if (node.kind === "directory") visit(node, `${prefix}/${name}`);
          else if (!found.has(node)) found.set(node, `${prefix}/${name}`);
    };
    visit(this.root, "");
    for (const { what, changes } of this.#pending)
      for (const { node } of changes) if (node?.kind === "file" && !found.has(node)) found.set(node, what);
    return found;
  }

  /** Files that are listed: those that take space. */
  listed(): Set<FileContents> {
    const found = new Set<FileContents>();
    const visit = (directory: Directory): void => {
      for (const node of directory.names.values())
        if (node.kind === "file") found.add(node);
        else visit(node);
    };
    visit(this.root);
    return found;
  }

  /** Durable files by path, sorted. */
  durableFiles(): [path: string, file: FileContents][] {
    const found: [string, FileContents][] = [];
    const visit = (directory: Directory, prefix: string): void => {
      for (const [name, node] of [...directory.durableNames].sort(([a], [b]) => (a < b ? -1 : 1)))
        if (node.kind === "file") found.push([`${prefix}/${name}`, node]);
        else visit(node, `${prefix}/${name}`);
    };
    visit(this.root, "");
    return found;
  }

  #place(path: string, syscall: string): Place {
    const whole = absolute(path);
    if (whole === "/") throw exists(path, syscall);
    return { directory: this.directory(posix.dirname(whole), syscall), name: posix.basename(whole) };
  }

  #change(what: string, changes: readonly EntryChange[]): void {
    for (const { directory, name, node } of changes)
      if (node === undefined) directory.names.delete(name);
      else directory.names.set(name, node);
    this.#pending.push({ what, changes });
  }

  /**
   * Makes pending entries durable: those that `wanted` names, and every earlier one that shares a name with one of them, because a file system
   * orders what happens to one name. Asked from the latest to the earliest.
   */
  #settle(wanted: (entry: PendingEntry) => boolean): void {
    const kept = new Set<PendingEntry>();
    for (const entry of [...this.#pending].reverse()) {
      const needed = [...kept].some((later) => shareName(entry, later));
      if (wanted(entry) || needed) kept.add(entry);
    }
    for (const entry of this.#pending) {
      if (!kept.has(entry)) continue;
      for (const { directory, name, node } of entry.changes)
        if (node === undefined) directory.durableNames.delete(name);
        else directory.durableNames.set(name, node);
    }
    this.#pending = this.#pending.filter((entry) => !kept.has(entry));
  }
}

function shareName(a: PendingEntry, b: PendingEntry): boolean {
  return a.changes.some((x) => b.changes.some((y) => x.directory === y.directory && x.name === y.name));
}

function absolute(path: string): string {
  return posix.resolve("/", path);
}

function notFound(path: string, syscall: string): IoError {
  return new IoError("IO_NOT_FOUND", `${path}: no such file or directory`, {
    errno: "ENOENT",
    syscall,
    path,
  });
}

function exists(path: string, syscall: string): IoError {
  return new IoError("IO_EXISTS", `${path} exists`, { errno: "EEXIST", syscall, path });
}

function isDirectory(path: string, syscall: string): IoError {
  return new IoError("IO_FAILED", `${path} is a directory`, { errno: "EISDIR", syscall, path });
}
