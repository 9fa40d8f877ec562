import { expect, test } from "vitest";
import { fileSystemName, isRemote } from "../src/addon/file-systems.js";
import type { DirectoryFacts } from "../src/addon/native.js";

function facts(fileSystemType: number, name = ""): DirectoryFacts {
  return {
    fileSystemType,
    fileSystemName: name,
    physicalBlock: 0,
    directAlignment: 0,
    atomicWriteMax: 0,
    dsync: 0,
    directErrno: 0,
    directSyscall: "",
  };
}

test("network and user-space file systems are remote, those of a disk are not", () => {
  const cases: [type: number, name: string, remote: boolean][] = [
    [0xef53, "ext4", false],
    [0x58465342, "xfs", false],
    [0x9123683e, "btrfs", false],
    [0x01021994, "tmpfs", false],
    [0x794c7630, "overlayfs", false],
    [0x6969, "nfs", true],
    [0xff534d42, "cifs", true],
    [0xfe534d42, "smb2", true],
    [0x65735546, "fuse", true],
    [0x01021997, "9p", true],
    [0x00c36400, "ceph", true],
    // Unknown: named by its number, so that a report can be looked up.
    [0x12345, "0x12345", false],
  ];
  for (const [type, name, remote] of cases) {
    expect(fileSystemName(facts(type))).toBe(name);
    expect(isRemote(name)).toBe(remote);
  }
  expect(fileSystemName(facts(0, "apfs"))).toBe("apfs");
});
