#include "open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device.h"

namespace stonewal {

namespace {

std::atomic<bool> dsync_refused{false};

#if defined(__linux__)

// As the kernel has them; RWF_ATOMIC is younger than most headers.
constexpr int kRwfDsync = 0x2;
constexpr int kRwfAtomic = 0x40;

// From one buffer: RWF_ATOMIC is refused for a list of them.
ssize_t WriteWith(int flags, int fd, const uint8_t* data, size_t length, int64_t offset) {
  struct iovec vector;
  vector.iov_base = const_cast<uint8_t*>(data);
  vector.iov_len = length;
  return pwritev2(fd, &vector, 1, offset, flags);
}

#endif

// A directory, pipe or device: none of the promises (size, zeros, truncate, sync) hold there.
Failure NotRegular(const struct stat& facts) {
  return Failed(S_ISDIR(facts.st_mode) ? EISDIR : EOPNOTSUPP, "open", "open");
}

}  // namespace

int SyncDescriptor(int fd, const char** syscall) {
  int result;
  do {
#if defined(__APPLE__)
    // fsync on macOS leaves the data in the drive's cache.
    *syscall = "fcntl(F_FULLFSYNC)";
    result = fcntl(fd, F_FULLFSYNC);
#else
    *syscall = "fdatasync";
    result = fdatasync(fd);
#endif
  } while (result != 0 && errno == EINTR);
  return result;
}

bool DsyncWrites() {
#if defined(__linux__)
  return !dsync_refused.load(std::memory_order_relaxed);
#else
  return false;
#endif
}

int64_t WriteDsync(int fd, const uint8_t* data, size_t length, int64_t offset) {
#if defined(__linux__)
  const ssize_t written = WriteWith(kRwfDsync, fd, data, length, offset);
  if (written < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
    dsync_refused.store(true, std::memory_order_relaxed);
    errno = EOPNOTSUPP;
  }
  return written;
#else
  (void)fd;
  (void)data;
  (void)length;
  (void)offset;
  errno = EOPNOTSUPP;
  return -1;
#endif
}

int64_t WriteUntorn(int fd, const uint8_t* data, size_t length, int64_t offset, bool dsync) {
#if defined(__linux__)
  const ssize_t written = WriteWith(kRwfAtomic | (dsync ? kRwfDsync : 0), fd, data, length, offset);
  if (written < 0 && errno == ENOSYS) errno = EOPNOTSUPP;
  return written;
#else
  (void)fd;
  (void)data;
  (void)length;
  (void)offset;
  (void)dsync;
  errno = EOPNOTSUPP;
  return -1;
#endif
}

Failure OpenFile::Open(const std::string& path, Access access, bool direct, std::shared_ptr<OpenFile>* out) {
  struct stat facts;
  // Before it is opened: that alone waits for the other end of a pipe, and some devices act on it.
  if (access != Access::kCreate && stat(path.c_str(), &facts) == 0 && !S_ISREG(facts.st_mode)) return NotRegular(facts);

  int flags = O_CLOEXEC | (access == Access::kRead ? O_RDONLY : O_RDWR);
  if (access == Access::kCreate) flags |= O_CREAT | O_EXCL;
  int fd;
  do {
    fd = open(path.c_str(), flags, 0666);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return Failed(errno, "open", "open");

  Failure failure;
  WriteLimits limits;
  if (fstat(fd, &facts) != 0) {
    failure = Failed(errno, "open", "fstat");
  } else if (!S_ISREG(facts.st_mode)) {
    failure = NotRegular(facts);
  } else if (direct) {
    failure = MakeDirect(fd, &limits);
  }
  if (failure) {
    close(fd);
    // O_DIRECT is set after opening and not by it: open(O_CREAT | O_DIRECT) on a file system without it leaves the
    // new file behind. This one was made by O_EXCL a moment ago, so it is ours to remove.
    if (access == Access::kCreate) unlink(path.c_str());
    return failure;
  }
  *out = MakeFile(fd, direct, limits);
  return Failure();
}

OpenFile::~OpenFile() {
  const int fd = fd_.exchange(-1);
  if (fd >= 0) close(fd);
}

Failure OpenFile::Poisoned() const {
  Failure failure;
  failure.error = poison_.load(std::memory_order_acquire);
  failure.operation = "sync";
  failure.poisoned = true;
  return failure;
}

Failure OpenFile::Poison(Failure cause) {
  int none = 0;
  poison_.compare_exchange_strong(none, cause.error, std::memory_order_acq_rel);
  return cause;
}

Failure OpenFile::Truncate(int64_t length) {
  if (Failure poisoned = Poisoned()) return poisoned;
  int result;
  do {
    result = ftruncate(fd_.load(), length);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? Failure() : Failed(errno, "write", "ftruncate");
}

Failure OpenFile::Size(int64_t* size) {
  struct stat facts;
  if (fstat(fd_.load(), &facts) != 0) return Failed(errno, "read", "fstat");
  *size = facts.st_size;
  return Failure();
}

Failure OpenFile::DropCache() {
#if defined(__APPLE__)
  // No posix_fadvise: invalidating a mapping of the file drops its cached pages.
  int64_t size = 0;
  if (Failure failure = Size(&size)) return failure;
  if (size == 0) return Failure();
  void* const mapping = mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_SHARED, fd_.load(), 0);
  if (mapping == MAP_FAILED) return Failed(errno, "read", "mmap");
  const int result = msync(mapping, static_cast<size_t>(size), MS_INVALIDATE);
  const int error = errno;
  munmap(mapping, static_cast<size_t>(size));
  return result == 0 ? Failure() : Failed(error, "read", "msync");
#else
  const int error = posix_fadvise(fd_.load(), 0, 0, POSIX_FADV_DONTNEED);
  return error == 0 ? Failure() : Failed(error, "read", "posix_fadvise");
#endif
}

Failure OpenFile::Close() {
  const int fd = fd_.exchange(-1);
  // Never tried again after EINTR: on Linux the descriptor is gone all the same, and may be somebody else's by then.
  if (fd < 0 || close(fd) == 0 || errno == EINTR) return Failure();
  return Failed(errno, "write", "close");
}

}  // namespace stonewal
