import { IoError } from "@stonewal/io";
import { type FaultRule, injected, isFailure } from "./faults.js";
import type { FileContents, WriteInFlight } from "./file-contents.js";
import { type Machine, noSpace } from "./machine.js";
import type { Operation } from "./scheduler.js";
import { misdirect, rotten } from "./silent-faults.js";

/** An open file as writes and syncs see it. */
export interface OpenState {
  readonly path: string;
  readonly contents: FileContents;
  /** The failed sync of this open file since which nothing about it can be believed. */
  poison: IoError | undefined;
  /** Which failed write-backs of the file this open file has been told of, or is too young to be told of. */
  errorsSeen: number;
}

export function assertBelievable({ path, poison }: OpenState): void {
  if (poison === undefined) return;
  const message = `${path}: an earlier sync of this open file failed: ${poison.message}`;
  throw new IoError("IO_SYNC_POISONED", message, { errno: poison.errno, path, cause: poison });
}

/** Calls in a row that transfer nothing before that is an error. */
const MAX_STALLS = 10;

/**
 * A write: one system call, or more where one comes back short. Each is in flight between two boundaries, and a crash in between may
 * leave any of its sectors old, new or torn. `verify` throws if the caller changed the memory meanwhile: the kernel may have
 * taken it before the change, or after, or half of it.
 */
export function* writeOperation(
  machine: Machine,
  open: OpenState,
  write: WriteInFlight,
  durable: boolean,
  verify: () => void,
): Operation<void> {
  let done = 0;
  for (let stalls = 0; done < write.length; ) {
    assertBelievable(open);
    verify();
    const remaining = part(write, done, write.length);
    const fault = machine.strike("write", "pwritev2", open.path, remaining);
    if (fault?.effect === "interrupted") {
      yield;
      continue;
    }
    const count = transferred(machine, open.contents, remaining, fault);
    const room = Math.max(0, Math.min(count, machine.room(open.contents) - remaining.offset));
    const fitting = write.untorn === true && room < count ? 0 : room;
    if (fitting > 0) yield* inFlight(machine, open, part(remaining, 0, fitting), fault, verify);
    if (fitting < count) throw noSpace(open.path);
    if (fault !== undefined && isFailure(fault)) throw injected(fault, "pwritev2", open.path);
    stalls = count === 0 ? stalls + 1 : 0;
    if (stalls === MAX_STALLS)
      throw new IoError("IO_WRITE_FAILED", `pwritev2 ${open.path}: no progress`, { path: open.path });
    done += count;
    if (done < write.length || durable) yield;
  }
  if (durable) yield* syncOperation(machine, open, write);
}

/** Bytes that one call gets done. */
function transferred(
  machine: Machine,
  contents: FileContents,
  write: WriteInFlight,
  fault: FaultRule | undefined,
): number {
  if (fault === undefined || !(isFailure(fault) || fault.effect === "short")) return write.length;
  // Never in part.
  if (write.untorn === true) return fault.effect === "short" ? write.length : 0;
  if (fault.effect === "short" && fault.bytes !== undefined) return Math.min(fault.bytes, write.length);
  if (fault.effect !== "short" && fault.effect !== "partial") return 0;
  const sectors = contents.sectorsOf(write);
  if (sectors.length < 2) return fault.effect === "short" ? write.length : 0;
  return (sectors[0]! + 1 + machine.fate.below(sectors.length - 1)) * contents.sectorBytes - write.offset;
}

function* inFlight(
  machine: Machine,
  open: OpenState,
  asked: WriteInFlight,
  fault: FaultRule | undefined,
  verify: () => void,
): Operation<void> {
  const { contents, path } = open;
  const write = fault?.effect === "rot" ? rotten(asked, machine.fate) : asked;
  const astray = fault?.effect === "lost" || fault?.effect === "misdirected";
  const where = `${path} ${write.offset}+${write.length}`;
  if (!astray) contents.inFlight.add(write);
  machine.note(`write ${where} ${fingerprint(write.bytes)}${write.untorn === true ? " untorn" : ""}`);
  try {
    yield;
    yield* machine.delay(fault);
    verify();
  } finally {
    contents.inFlight.delete(write);
  }
  if (fault?.effect === "misdirected") misdirect(machine, path, contents, write, fault.to);
  if (astray) contents.applyLost(write, machine.stamp());
  else contents.apply(write, machine.stamp());
  machine.note(`written ${where}`);
  assertBelievable(open);
}

/**
 * A sync, in two boundaries: of the whole file, and then it covers the writes that had completed when it began; or of one durable write's
 * range only. It never overlaps another sync of the same file.
 */
export function* syncOperation(machine: Machine, open: OpenState, range?: WriteInFlight): Operation<void> {
  const { contents, path } = open;
  const syscall = range === undefined ? "fdatasync" : "pwritev2";
  const where = range === undefined ? path : `${path} ${range.offset}+${range.length}`;
  if (contents.syncing) yield () => !contents.syncing;
  assertBelievable(open);
  contents.syncing = true;
  try {
    let fault: FaultRule | undefined;
    do {
      const covered = machine.stamp();
      machine.note(`sync ${where}`);
      contents.writeBack = { stamp: covered, range };
      yield;
      fault = machine.strike("sync", syscall, path, range);
      yield* machine.delay(fault);
      if (fault !== undefined && isFailure(fault)) {
        const reached = fault.effect === "partial" ? () => machine.fate.below(2) === 1 : () => false;
        const kept = () => machine.fate.below(2) === 1;
        contents.dropDirty(covered, reached, kept, range);
        contents.writeBackErrors++;
        throw injected(fault, syscall, path);
      }
      if (open.errorsSeen !== contents.writeBackErrors) throw earlierFailure(path, syscall);
      if (fault?.effect === "interrupted") continue;
      if (fault?.effect === "lost") machine.note(`lost sync ${where}`);
      else if (range === undefined) contents.sync(covered);
      else contents.makeDurable(range);
      machine.note(`synced ${where}`);
    } while (fault?.effect === "interrupted");
  } catch (error) {
    if (error instanceof IoError) open.poison ??= error;
    open.errorsSeen = contents.writeBackErrors;
    throw error;
  } finally {
    contents.syncing = false;
    contents.writeBack = undefined;
  }
}

function earlierFailure(path: string, syscall: string): IoError {
  return new IoError("IO_SYNC_FAILED", `${syscall} ${path}: EIO, of an earlier write-back`, {
    errno: "EIO",
    syscall,
    path,
  });
}

function part(write: WriteInFlight, from: number, to: number): WriteInFlight {
  return { ...write, offset: write.offset + from, bytes: write.bytes?.subarray(from, to), length: to - from };
}

/** Of a write's bytes, so that two traces agree only if the bytes did (FNV-1a, 32 bits). */
function fingerprint(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "zeros";
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
