import { readFileSync } from "node:fs";
import { release } from "node:os";
import { IoError } from "@stonewal/io";
import { errnoName } from "@stonewal/io/addon";

/** What the system says about itself; a test can say something else. */
export interface SystemFacts {
  /** Contents of a file of /proc; `undefined` where it can't be read. */
  read(path: string): string | undefined;
  readonly release: string;
}

const THIS_SYSTEM: SystemFacts = {
  read(path) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  },
  release: release(),
};

const SYSCTL = "/proc/sys/kernel/io_uring_disabled";

/** The error for a ring that could not be opened: which of the reasons it is. */
export function ringRefusal(
  errno: number,
  syscall: string,
  missing: string,
  system: SystemFacts = THIS_SYSTEM,
): IoError {
  const name = errnoName(errno);
  const details = { errno: name, syscall: syscall || undefined };
  const unsupported = (why: string) => new IoError("IO_UNSUPPORTED", `no io_uring here: ${why}`, details);
  if (missing !== "")
    return unsupported(syscall === "" ? missing : `this kernel's (${system.release}) ${missing}`);
  if (name === "ENOSYS") {
    return unsupported(
      `the kernel (${system.release}) has no ${syscall}; it was built without io_uring, is older than 5.10, or a seccomp filter hides it`,
    );
  }
  if (name === "EPERM" || name === "EACCES") return unsupported(refusedBy(system, syscall, name));
  const what = `an io_uring could not be opened: ${syscall} failed with ${name}`;
  if (name === "ENOMEM") {
    return new IoError(
      "IO_FAILED",
      `${what}; before Linux 5.12 a ring counts as locked memory (ulimit -l), and a process or its container may have no more`,
      details,
    );
  }
  if (name === "EMFILE" || name === "ENFILE") {
    return new IoError(
      "IO_FAILED",
      `${what}; there are too many open files (ulimit -n), and a ring is one`,
      details,
    );
  }
  return new IoError("IO_FAILED", what, details);
}

function refusedBy(system: SystemFacts, syscall: string, name: string): string {
  const failed = `${syscall} failed with ${name}`;
  const sysctl = system.read(SYSCTL)?.trim();
  if (sysctl === "2") {
    return `the sysctl kernel.io_uring_disabled is 2, for every process (${failed})`;
  }
  const group = system.read("/proc/sys/kernel/io_uring_group")?.trim();
  if (sysctl === "1" && !mayAnyway(system, group)) {
    return (
      `the sysctl kernel.io_uring_disabled is 1: only for processes with CAP_SYS_ADMIN` +
      `${group !== undefined && group !== "-1" ? `, or in group ${group}` : ""} (${failed})`
    );
  }
  if (/^Seccomp:\s*2$/m.test(system.read("/proc/self/status") ?? "")) {
    return (
      `a seccomp filter refuses it, as Docker's default profile does (${failed}); ` +
      "a profile that allows io_uring_setup, io_uring_enter and io_uring_register lets it"
    );
  }
  return `a security module or a policy of the system refuses it (${failed})`;
}

const CAP_SYS_ADMIN = 21n;

/** With `io_uring_disabled` at 1, whether this process is one of those that may still. */
function mayAnyway(system: SystemFacts, group: string | undefined): boolean {
  const status = system.read("/proc/self/status") ?? "";
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (capabilities !== undefined && (BigInt(`0x${capabilities}`) >> CAP_SYS_ADMIN) & 1n) return true;
  const groups = /^(?:Gid|Groups):.*$/gm;
  const mine = (status.match(groups) ?? []).flatMap((line) => line.split(/\s+/).slice(1));
  return group !== undefined && mine.includes(group);
}
