import { IoError } from "@stonewal/io";
import { type FaultRule, injected } from "./faults.js";
import type { FileContents, WriteInFlight } from "./file-contents.js";
import { type Machine, noSpace } from "./machine.js";
import type { Operation } from "./scheduler.js";

/** An open file as writes and syncs see it. */
export interface OpenState {
  readonly path: string;
  readonly contents: FileContents;
  /** A sync of this open file has failed: nothing about it can be believed any more. */
  poisoned: boolean;
  /** Which failed write-backs of the file this open file has been told of, or is too young to be told of. */
  errorsSeen: number;
}

export function assertBelievable(open: OpenState): void {
  if (open.poisoned)
    throw new IoError("IO_SYNC_POISONED", `${open.path}: an earlier sync of this open file failed`, {
      path: open.path,
    });
}

/**
 * A write, in two boundaries: in between it is in flight, and a crash may leave any of its sectors old, new or torn. `verify` throws if
 * the caller changed the memory meanwhile: the kernel may have taken it before the change, or after, or half of it.
 */
export function* writeOperation(
  machine: Machine,
  open: OpenState,
  write: WriteInFlight,
  durable: boolean,
  verify: () => void,
): Operation<void> {
  assertBelievable(open);
  verify();
  const { contents, path } = open;
  const fault = machine.strike("write", "pwritev2", path);
  const count = fault === undefined ? write.length : partOf(machine, contents, write);
  const fitting = Math.max(0, Math.min(count, machine.room(contents) - write.offset));
  if (fitting > 0)
    yield* inFlight(machine, open, first(write, fitting), durable && fault === undefined, verify);
  if (fitting < count) throw noSpace(path);
  if (fault === undefined) return;
  if (fault.effect !== "short") throw injected(fault, "pwritev2", path);
  yield;
  yield* inFlight(machine, open, rest(write, count), false, verify);
  if (durable) contents.makeDurable(write);
}

function* inFlight(
  machine: Machine,
  open: OpenState,
  write: WriteInFlight,
  durable: boolean,
  verify: () => void,
): Operation<void> {
  const { contents, path } = open;
  const where = `${path} ${write.offset}+${write.length}${durable ? " durable" : ""}`;
  contents.inFlight.add(write);
  machine.note(`write ${where} ${fingerprint(write.bytes)}`);
  try {
    yield;
    verify();
  } finally {
    contents.inFlight.delete(write);
  }
  contents.apply(write, machine.stamp());
  if (durable) contents.makeDurable(write);
  machine.note(`written ${where}`);
  assertBelievable(open);
}

/** A sync, in two boundaries. It covers the writes that had completed when it began, and never overlaps another of the same file. */
export function* syncOperation(machine: Machine, open: OpenState): Operation<void> {
  const { contents, path } = open;
  if (contents.syncing) yield () => !contents.syncing;
  assertBelievable(open);
  contents.syncing = true;
  try {
    const covered = machine.stamp();
    machine.note(`sync ${path}`);
    yield;
    const fault = syncFault(machine, open);
    if (fault !== undefined) {
      const reached = fault.effect === "partial" ? () => machine.fate.below(2) === 1 : () => false;
      contents.dropDirty(covered, reached);
      contents.writeBackErrors++;
      throw injected(fault, "fdatasync", path);
    }
    if (open.errorsSeen !== contents.writeBackErrors)
      throw new IoError("IO_SYNC_FAILED", `fdatasync ${path}: EIO, of an earlier write-back`, {
        errno: "EIO",
        syscall: "fdatasync",
        path,
      });
    contents.sync(covered);
    machine.note(`synced ${path}`);
  } catch (error) {
    open.poisoned = true;
    open.errorsSeen = contents.writeBackErrors;
    throw error;
  } finally {
    contents.syncing = false;
  }
}

function syncFault(machine: Machine, open: OpenState): FaultRule | undefined {
  const rule = machine.faults.strike("sync", open.path);
  if (rule !== undefined)
    machine.note(`fault ${rule.effect ?? "none"} ${rule.errno ?? "EIO"} fdatasync ${open.path}`);
  return rule;
}

/** Bytes, whole sectors, that a write gets done before it fails or comes back short. */
function partOf(machine: Machine, contents: FileContents, write: WriteInFlight): number {
  const sectors = contents.sectorsOf(write);
  if (sectors.length < 2) return 0;
  return (sectors[0]! + 1 + machine.fate.below(sectors.length - 1)) * contents.sectorBytes - write.offset;
}

function first(write: WriteInFlight, length: number): WriteInFlight {
  return { offset: write.offset, bytes: write.bytes?.subarray(0, length), length };
}

function rest(write: WriteInFlight, done: number): WriteInFlight {
  return { offset: write.offset + done, bytes: write.bytes?.subarray(done), length: write.length - done };
}

/** Of a write's bytes, so that two traces agree only if the bytes did (FNV-1a, 32 bits). */
function fingerprint(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "zeros";
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
