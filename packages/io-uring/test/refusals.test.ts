import { rmSync } from "node:fs";
import { constants } from "node:os";
import { afterAll, expect, test } from "vitest";
import { uring } from "../src/index.js";
import { ringRefusal, type SystemFacts } from "../src/refusal.js";
import { runChild } from "./support/child.js";
import { withoutCall } from "./support/without-call.mjs";

const OPEN = `
  let refusal;
  try { uring(); } catch ({ name, code, errno, syscall, message }) { refusal = { name, code, errno, syscall, message }; }
  report(refusal ?? "opened");
`;

const launcher = withoutCall("io_uring_setup", "EPERM")[0] as string;
afterAll(() => rmSync(launcher));

test("a seccomp filter that refuses io_uring is IO_UNSUPPORTED, and the message says that it is a seccomp filter", async () => {
  const refusal = await runChild<{ message: string }>(OPEN, {
    through: withoutCall("io_uring_setup", "EPERM"),
  });
  expect(refusal).toMatchObject({
    name: "IoError",
    code: "IO_UNSUPPORTED",
    errno: "EPERM",
    syscall: "io_uring_setup",
    message: expect.stringContaining("seccomp filter"),
  });
  expect(refusal.message).not.toContain("sysctl");
});

test("a kernel without io_uring is IO_UNSUPPORTED, and the message says so", async () => {
  const refusal = await runChild<object>(OPEN, { through: withoutCall("io_uring_setup", "ENOSYS") });
  expect(refusal).toMatchObject({
    code: "IO_UNSUPPORTED",
    errno: "ENOSYS",
    message: expect.stringContaining("has no io_uring_setup"),
  });
});

test("without a descriptor for a ring it is IO_FAILED, which says what to raise, and works again when there is one", async () => {
  const body = `
    const { openSync, closeSync } = await import("node:fs");
    await uring().close();
    const taken = [];
    try { for (;;) taken.push(openSync("/dev/null")); } catch {}
    let refusal;
    try { uring(); } catch ({ code, errno, message }) { refusal = { code, errno, message }; }
    for (const fd of taken) closeSync(fd);
    const io = uring();
    await io.submit([]);
    await io.close();
    report(refusal);
  `;
  const refusal = await runChild(body, { through: ["/bin/sh", "-c", 'ulimit -n 100; exec "$@"', "sh"] });
  expect(refusal).toMatchObject({
    code: "IO_FAILED",
    errno: "EMFILE",
    message: expect.stringContaining("ulimit -n"),
  });
});

test("entries that are no number of requests are IO_ARGUMENT", () => {
  for (const entries of [0, -1, 1.5, 4097, Number.NaN, "8" as unknown as number]) {
    expect(() => uring({ entries })).toThrow(
      expect.objectContaining({ name: "IoError", code: "IO_ARGUMENT" }),
    );
  }
});

/** A system of which these files can be read. */
function system(files: Readonly<Record<string, string>>): SystemFacts {
  return { release: "6.1.0", read: (path) => files[path] };
}

const { EPERM, ENOSYS, ENOMEM, EIO } = constants.errno;
const SYSCTL = "/proc/sys/kernel/io_uring_disabled";
const GROUP = "/proc/sys/kernel/io_uring_group";
const STATUS = "/proc/self/status";
// Uid 1000 without capabilities.
const PLAIN =
  "Uid:\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\nGroups:\t10 27 \nCapEff:\t0000000000000000\nSeccomp:\t0\n";
const ROOT = PLAIN.replace("CapEff:\t0000000000000000", "CapEff:\t000001ffffffffff");
const FILTERED = ROOT.replace("Seccomp:\t0", "Seccomp:\t2");

test("each reason why there is no io_uring is named", () => {
  const cases: [files: Readonly<Record<string, string>>, said: string, notSaid?: string][] = [
    [{ [SYSCTL]: "2\n", [STATUS]: ROOT }, "kernel.io_uring_disabled is 2"],
    // The sysctl refuses before any filter is asked about.
    [{ [SYSCTL]: "2\n", [STATUS]: FILTERED }, "kernel.io_uring_disabled is 2", "seccomp"],
    [{ [SYSCTL]: "1\n", [GROUP]: "-1\n", [STATUS]: PLAIN }, "only for processes with CAP_SYS_ADMIN", "group"],
    [{ [SYSCTL]: "1\n", [GROUP]: "99\n", [STATUS]: PLAIN }, "or in group 99"],
    // Those whom the sysctl lets through are refused by something else.
    [
      { [SYSCTL]: "1\n", [GROUP]: "27\n", [STATUS]: PLAIN.replace("Seccomp:\t0", "Seccomp:\t2") },
      "a seccomp filter",
      "sysctl",
    ],
    [{ [SYSCTL]: "1\n", [GROUP]: "-1\n", [STATUS]: FILTERED }, "a seccomp filter", "sysctl"],
    [{ [SYSCTL]: "0\n", [STATUS]: FILTERED }, "a seccomp filter"],
    [{ [SYSCTL]: "0\n", [STATUS]: ROOT }, "a security module"],
    [{}, "a security module"],
  ];
  for (const [files, said, notSaid] of cases) {
    const error = ringRefusal(EPERM, "io_uring_setup", "", system(files));
    expect(error).toMatchObject({ code: "IO_UNSUPPORTED", errno: "EPERM" });
    expect(error.message).toContain(said);
    if (notSaid !== undefined) expect(error.message).not.toContain(notSaid);
  }
  expect(ringRefusal(ENOSYS, "io_uring_setup", "", system({})).message).toContain("6.1.0");
  const old = ringRefusal(ENOSYS, "", "Linux 5.10 or later is needed, this is 5.4.0", system({}));
  expect(old).toMatchObject({ code: "IO_UNSUPPORTED", message: expect.stringContaining("this is 5.4.0") });
  const lacking = ringRefusal(ENOSYS, "io_uring_register", "it lacks IORING_OP_WRITE", system({}));
  expect(lacking).toMatchObject({
    code: "IO_UNSUPPORTED",
    message: expect.stringContaining("IORING_OP_WRITE"),
  });
  expect(ringRefusal(ENOMEM, "io_uring_setup", "", system({}))).toMatchObject({
    code: "IO_FAILED",
    message: expect.stringContaining("ulimit -l"),
  });
  expect(ringRefusal(EIO, "io_uring_setup", "", system({}))).toMatchObject({
    code: "IO_FAILED",
    errno: "EIO",
  });
});
