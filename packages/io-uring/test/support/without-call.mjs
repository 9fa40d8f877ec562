import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("without-call.c", import.meta.url));
const BUILD = fileURLToPath(new URL("../../build", import.meta.url));

/** In front of a command: it runs where a seccomp filter refuses that system call with that error, EPERM or ENOSYS. */
export function withoutCall(call, errno) {
  const launcher = `${BUILD}/without-call-${process.pid}`;
  mkdirSync(BUILD, { recursive: true });
  const built = spawnSync("cc", ["-O1", "-Wall", "-Wextra", "-o", launcher, SOURCE], { encoding: "utf8" });
  if (built.status !== 0)
    throw new Error(`cc cannot build ${SOURCE}:\n${built.error?.message ?? built.stderr}`);
  return [launcher, call, String(constants.errno[errno])];
}
