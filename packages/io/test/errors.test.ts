import { expect, test } from "vitest";
import { IoError, type IoErrorCode, type IoOperation, ioErrorCode } from "../src/index.js";

test("the same errno means different things to a read, a write, a sync and a lock", () => {
  const cases: [errno: string, operation: IoOperation, code: IoErrorCode][] = [
    ["EIO", "read", "IO_READ_FAILED"],
    ["EIO", "write", "IO_WRITE_FAILED"],
    ["EIO", "sync", "IO_SYNC_FAILED"],
    ["ENOSPC", "write", "IO_NO_SPACE"],
    // A sync that is told of a full disk has lost data just as one that is told of a broken one.
    ["ENOSPC", "sync", "IO_SYNC_FAILED"],
    ["EDQUOT", "write", "IO_NO_SPACE"],
    ["EDQUOT", "sync", "IO_SYNC_FAILED"],
    ["EBADF", "sync", "IO_CLOSED"],
    ["EFBIG", "write", "IO_FILE_LIMIT"],
    ["EAGAIN", "lock", "IO_LOCKED"],
    ["EACCES", "lock", "IO_LOCKED"],
    ["EACCES", "open", "IO_ACCESS"],
    ["EAGAIN", "open", "IO_FAILED"],
    ["EEXIST", "rename", "IO_EXISTS"],
    ["ENOENT", "directory", "IO_NOT_FOUND"],
    ["EOPNOTSUPP", "probe", "IO_UNSUPPORTED"],
    ["EMFILE", "open", "IO_FAILED"],
  ];
  for (const [errno, operation, code] of cases) expect(ioErrorCode(errno, operation), errno).toBe(code);
});

test("an IoError carries its details, and a cause only where there is one", () => {
  const cause = new Error("below");
  const error = new IoError("IO_WRITE_FAILED", "what", {
    errno: "EIO",
    syscall: "pwrite",
    path: "/a",
    step: 2,
    cause,
  });
  expect(error).toMatchObject({
    name: "IoError",
    code: "IO_WRITE_FAILED",
    errno: "EIO",
    syscall: "pwrite",
    step: 2,
  });
  expect(error.cause).toBe(cause);
  expect("cause" in new IoError("IO_FAILED", "what")).toBe(false);
});
