#include "device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>

#include "open_file.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#else
#include <sys/mount.h>
#include <sys/param.h>
#endif

namespace stonewal {

namespace {

// What statx says of one open file; zeros where the kernel says nothing.
struct FileFacts {
  bool direct_known = false;
  uint32_t direct_memory = 0;
  uint32_t direct_offset = 0;
  uint32_t atomic_write_min = 0;
  uint32_t atomic_write_max = 0;
};

#if defined(__linux__)

// The kernel's struct statx. Declared here because the fields wanted are younger than the C library this is built
// with (direct I/O: Linux 6.1, atomic writes: 6.11, their optimum: 6.16). The layout is fixed; older kernels leave the tail zero.
struct KernelStatx {
  uint32_t mask;
  uint8_t until_direct[148];
  uint32_t dio_mem_align;     // offset 152
  uint32_t dio_offset_align;  // 156
  uint64_t subvol;            // 160
  uint32_t atomic_unit_min;   // 168
  uint32_t atomic_unit_max;   // 172
  uint32_t until_optimum[2];  // 176
  uint32_t atomic_unit_opt;   // 184
  uint8_t rest[68];
};
static_assert(sizeof(KernelStatx) == 256, "struct statx is 256 bytes");
static_assert(offsetof(KernelStatx, dio_mem_align) == 152, "layout of struct statx");
static_assert(offsetof(KernelStatx, atomic_unit_max) == 172, "layout of struct statx");
static_assert(offsetof(KernelStatx, atomic_unit_opt) == 184, "layout of struct statx");

constexpr unsigned kStatxDioAlign = 0x2000;
constexpr unsigned kStatxWriteAtomic = 0x10000;

FileFacts FactsOf(int fd) {
  FileFacts facts;
  KernelStatx answer;
  memset(&answer, 0, sizeof answer);
  // Through syscall(): a kernel or a seccomp filter without it says ENOSYS, which only means "not known".
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, kStatxDioAlign | kStatxWriteAtomic, &answer) != 0) return facts;
  if (answer.mask & kStatxDioAlign) {
    facts.direct_known = true;
    facts.direct_memory = answer.dio_mem_align;
    facts.direct_offset = answer.dio_offset_align;
  }
  if (answer.mask & kStatxWriteAtomic) {
    facts.atomic_write_min = answer.atomic_unit_min;
    facts.atomic_write_max = answer.atomic_unit_max;
    // Up to here the device does it; beyond, XFS writes elsewhere and swaps extents, which costs more than a second copy.
    if (answer.atomic_unit_opt != 0) facts.atomic_write_max = std::min(facts.atomic_write_max, answer.atomic_unit_opt);
    const bool sane = facts.atomic_write_min != 0 && facts.atomic_write_min <= facts.atomic_write_max;
    if (!sane) facts.atomic_write_min = facts.atomic_write_max = 0;
  }
  return facts;
}

// A number from the queue directory of the block device behind `device`, or of the disk its partition is on; 0 where
// there is none (network, overlay, anonymous devices).
uint32_t QueueLimit(dev_t device, const char* name) {
  for (const char* queue : {"queue", "../queue"}) {
    char path[128];
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%s/%s", major(device), minor(device), queue, name);
    std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path, "re"), fclose);
    unsigned value = 0;
    if (file && fscanf(file.get(), "%u", &value) == 1 && value <= (1u << 30)) return value;
  }
  return 0;
}

#endif

bool PowerOfTwo(uint32_t value) { return value != 0 && (value & (value - 1)) == 0; }

// A file in the directory to ask about: unnamed where the file system can (nothing to be seen, nothing to clean up),
// else one whose name is removed at once, else, so that a read-only directory can be asked about too, one that is
// there already.
int OpenProbeFile(const std::string& directory, bool* writable) {
  *writable = true;
#if defined(O_TMPFILE)
  const int unnamed = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (unnamed >= 0) return unnamed;
#endif
  std::string path = directory + "/.stonewal-probe-XXXXXX";
  const int named = mkostemp(&path[0], O_CLOEXEC);
  if (named >= 0) {
    unlink(path.c_str());
    return named;
  }
  const int refused = errno;
  *writable = false;
  if (DIR* listing = opendir(directory.c_str())) {
    while (const struct dirent* entry = readdir(listing)) {
      struct stat facts;
      if (fstatat(dirfd(listing), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(facts.st_mode)) continue;
      const int existing = openat(dirfd(listing), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
      if (existing < 0) continue;
      closedir(listing);
      return existing;
    }
    closedir(listing);
  }
  errno = refused;
  return -1;
}

// One real write, because a file that accepts O_DIRECT does not promise that a write does. A full disk says nothing
// about it either way.
bool TryWrite(int fd, size_t length, bool dsync) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kArenaAlignment, length) != 0) {
    errno = ENOMEM;
    return false;
  }
  memset(memory, 0, length);
  int64_t written;
  do {
    written = dsync ? WriteDsync(fd, static_cast<uint8_t*>(memory), length, 0) : pwrite(fd, memory, length, 0);
  } while (written < 0 && errno == EINTR);
  const int error = written < 0 ? errno : 0;
  free(memory);
  errno = error;
  return written == static_cast<int64_t>(length) || error == ENOSPC || error == EDQUOT;
}

}  // namespace

Failure MakeDirect(int fd, WriteLimits* limits) {
#if defined(__APPLE__)
  // Not past the cache by contract as O_DIRECT is, but the nearest there is; it takes any alignment. A page, so that
  // a program that works here works on Linux.
  if (fcntl(fd, F_NOCACHE, 1) != 0) return Failed(errno, "open", "fcntl(F_NOCACHE)");
  limits->alignment = kArenaAlignment;
  return Failure();
#else
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) return Failed(errno, "open", "fcntl(O_DIRECT)");
  const FileFacts facts = FactsOf(fd);
  uint32_t wanted;
  if (facts.direct_known) {
    // Zero: this file can't (encrypted, compressed, inline data), even though O_DIRECT could be set.
    if (facts.direct_offset == 0) return Failed(EINVAL, "open", "statx(STATX_DIOALIGN)");
    wanted = std::max(facts.direct_offset, facts.direct_memory);
  } else {
    struct stat status;
    if (fstat(fd, &status) != 0) return Failed(errno, "open", "fstat");
    wanted = QueueLimit(status.st_dev, "logical_block_size");
    if (wanted == 0) wanted = kArenaAlignment;
  }
  if (!PowerOfTwo(wanted) || facts.direct_memory > kArenaAlignment) {
    return Failed(EINVAL, "open", "statx(STATX_DIOALIGN)");
  }
  limits->alignment = std::max(wanted, 512u);
  limits->untorn_min = facts.atomic_write_min;
  limits->untorn_max = facts.atomic_write_max;
  return Failure();
#endif
}

Failure FileSystemOf(const std::string& path, DirectoryFacts* facts) {
  struct statfs status;
  int result;
  do {
    result = statfs(path.c_str(), &status);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return Failed(errno, "probe", "statfs");
#if defined(__APPLE__)
  facts->file_system_name = status.f_fstypename;
#else
  facts->file_system_type = static_cast<uint32_t>(status.f_type);
#endif
  return Failure();
}

Failure ProbeDirectory(const std::string& path, DirectoryFacts* facts) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return Failed(errno, "probe", "stat");
  if (!S_ISDIR(status.st_mode)) return Failed(ENOTDIR, "probe", "stat");
  if (Failure failure = FileSystemOf(path, facts)) return failure;
#if defined(__linux__)
  facts->physical_block = QueueLimit(status.st_dev, "physical_block_size");
#endif

  bool writable;
  const int fd = OpenProbeFile(path, &writable);
  if (fd < 0) {
    facts->direct_failure = Failed(errno, "probe", "open");
    return Failure();
  }
#if defined(__linux__)
  facts->atomic_write_max = FactsOf(fd).atomic_write_max;
#endif
  WriteLimits limits;
  facts->direct_failure = MakeDirect(fd, &limits);
  const uint32_t alignment = limits.alignment;
  if (!facts->direct_failure && writable && !TryWrite(fd, alignment, false)) {
    const int error = errno == 0 ? EIO : errno;
    // A device that fails has said nothing about what it supports: not to be taken for a "no", or a log would silently
    // be written in another way than before.
    if (error != EINVAL && error != EOPNOTSUPP && error != ENOSYS) {
      close(fd);
      return Failed(error, "write", "pwrite(O_DIRECT)");
    }
    facts->direct_failure = Failed(error, "probe", "pwrite(O_DIRECT)");
  }
  if (!facts->direct_failure) {
    facts->direct_alignment = alignment;
    facts->dsync = DsyncWrites() && (!writable || TryWrite(fd, alignment, true));
  }
  close(fd);
  return Failure();
}

}  // namespace stonewal
