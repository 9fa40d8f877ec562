import type { DirectoryFacts } from "./native.js";

/** f_type of statfs(2) on Linux, from the kernel's `include/uapi/linux/magic.h` and the file systems' own headers. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
  [0x794c7630, "overlayfs"],
  [0xf2f52010, "f2fs"],
  [0x2fc12fc1, "zfs"],
  [0xca451a4e, "bcachefs"],
  [0x3153464a, "jfs"],
  [0x52654973, "reiserfs"],
  [0x4d44, "vfat"],
  [0x2011bab0, "exfat"],
  [0x5346544e, "ntfs"],
  [0x7366746e, "ntfs3"],
  [0x9660, "iso9660"],
  [0x73717368, "squashfs"],
  [0xe0f5e1e2, "erofs"],
  [0xf15f, "ecryptfs"],
  [0x9fa0, "proc"],
  [0x62656572, "sysfs"],
  [0x63677270, "cgroup2"],
  [0x6969, "nfs"],
  [0xff534d42, "cifs"],
  [0xfe534d42, "smb2"],
  [0x517b, "smb"],
  [0x65735546, "fuse"],
  [0x01021997, "9p"],
  [0x00c36400, "ceph"],
  [0x5346414f, "afs"],
  [0x6b414653, "kafs"],
  [0x73757245, "coda"],
  [0x01161970, "gfs2"],
  [0x7461636f, "ocfs2"],
  [0x0bd00bd0, "lustre"],
  [0x47504653, "gpfs"],
  [0x013111a8, "ibrix"],
  [0x786f4256, "vboxsf"],
  [0xbacbacbc, "vmhgfs"],
]);

/**
 * On a network, shared between machines, or answered by a user-space program: what fsync and a lock mean there is
 * somebody else's promise.
 */
const REMOTE: ReadonlySet<string> = new Set([
  "nfs",
  "cifs",
  "smb2",
  "smb",
  "fuse",
  "9p",
  "ceph",
  "afs",
  "kafs",
  "coda",
  "gfs2",
  "ocfs2",
  "lustre",
  "gpfs",
  "ibrix",
  "vboxsf",
  "vmhgfs",
  // macOS
  "smbfs",
  "afpfs",
  "webdav",
  "macfuse",
  "osxfuse",
]);

export function fileSystemName(facts: DirectoryFacts): string {
  if (facts.fileSystemName !== "") return facts.fileSystemName;
  return NAMES.get(facts.fileSystemType) ?? `0x${facts.fileSystemType.toString(16)}`;
}

export function isRemote(name: string): boolean {
  return REMOTE.has(name);
}
