import type { IoBackend } from "@stonewal/io";
import { openBackend, type UringOptions } from "./backend.js";
import { loadAddon } from "./loader.js";

export type { UringOptions };

/**
 * A back end that hands each chain to the kernel's io_uring, in one system call. It has a ring of its own, on the event
 * loop of the thread that called this. Any number may be open, in any number of worker threads; what is in flight keeps the
 * process alive.
 *
 * Throws `IO_UNSUPPORTED` where io_uring can't be had; the message says why: an old kernel, the sysctl
 * `kernel.io_uring_disabled`, a seccomp filter, or no addon (none for this platform, or it was built without
 * liburing). `IO_FAILED` where there is no memory or descriptor for a ring just now, and `IO_ARGUMENT` for an `entries`
 * that is no such number.
 */
export function uring(options: UringOptions = {}): IoBackend {
  return openBackend(loadAddon(), options);
}
