#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

namespace stonewal {

namespace {

int OpenRetrying(const std::string& path, int flags) {
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

}  // namespace

Failure RenameNoReplace(const std::string& from, const std::string& to) {
#if defined(__APPLE__)
  if (renamex_np(from.c_str(), to.c_str(), RENAME_EXCL) == 0) return Failure();
  if (errno != ENOTSUP) return Failed(errno, "rename", "renamex_np");
#else
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return Failure();
  // EINVAL is also how a file system without the flag refuses it.
  if (errno != EINVAL && errno != ENOSYS) return Failed(errno, "rename", "renameat2");
#endif
  // A new name never replaces either. In two steps: after a crash in between both names are there, and the file is
  // whole under each.
  if (link(from.c_str(), to.c_str()) != 0) return Failed(errno, "rename", "link");
  if (unlink(from.c_str()) != 0) return Failed(errno, "rename", "unlink");
  return Failure();
}

Failure SyncDirectory(const std::string& path) {
  const int fd = OpenRetrying(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return Failed(errno, "open", "open");
  int result;
  do {
#if defined(__APPLE__)
    result = fcntl(fd, F_FULLFSYNC);
#else
    result = fsync(fd);
#endif
  } while (result != 0 && errno == EINTR);
  const Failure failure = result == 0 ? Failure() : Failed(errno, "sync", "fsync");
  close(fd);
  return failure;
}

#if defined(__linux__)

namespace {

struct flock WholeFile(short type) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  return range;
}

}  // namespace

// O_NONBLOCK: nothing is read or written, and a pipe of that name is not waited for until somebody opens its other end.
Failure FileLock::Take(const std::string& path, std::unique_ptr<FileLock>* out) {
  const int fd = OpenRetrying(path, O_RDWR | O_CREAT | O_NONBLOCK);
  if (fd < 0) return Failed(errno, "open", "open");
  struct flock range = WholeFile(F_WRLCK);
  if (fcntl(fd, F_OFD_SETLK, &range) != 0) {
    const Failure failure = Failed(errno, "lock", "fcntl(F_OFD_SETLK)");
    close(fd);
    return failure;
  }
  *out = std::make_unique<FileLock>(fd);
  return Failure();
}

Failure FileLock::Held(const std::string& path, bool* held) {
  *held = false;
  const int fd = OpenRetrying(path, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return errno == ENOENT ? Failure() : Failed(errno, "open", "open");
  struct flock range = WholeFile(F_WRLCK);
  const int result = fcntl(fd, F_OFD_GETLK, &range);
  const Failure failure = result == 0 ? Failure() : Failed(errno, "probe", "fcntl(F_OFD_GETLK)");
  close(fd);
  *held = result == 0 && range.l_type != F_UNLCK;
  return failure;
}

void FileLock::Release() {
  if (fd_ < 0) return;
  // By name before closing: a child forked just now may still hold a duplicate of the descriptor.
  struct flock range = WholeFile(F_UNLCK);
  fcntl(fd_, F_OFD_SETLK, &range);
  close(fd_);
  fd_ = -1;
}

#else

Failure FileLock::Take(const std::string& path, std::unique_ptr<FileLock>* out) {
  const int fd = OpenRetrying(path, O_RDWR | O_CREAT | O_NONBLOCK);
  if (fd < 0) return Failed(errno, "open", "open");
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const Failure failure = Failed(errno, "lock", "flock");
    close(fd);
    return failure;
  }
  *out = std::make_unique<FileLock>(fd);
  return Failure();
}

Failure FileLock::Held(const std::string& path, bool* held) {
  *held = false;
  const int fd = OpenRetrying(path, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return errno == ENOENT ? Failure() : Failed(errno, "open", "open");
  // flock can only be asked by trying. Shared, and for an instant: two that ask don't get in each other's way.
  Failure failure;
  if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
    flock(fd, LOCK_UN);
  } else if (errno == EWOULDBLOCK) {
    *held = true;
  } else {
    failure = Failed(errno, "probe", "flock");
  }
  close(fd);
  return failure;
}

void FileLock::Release() {
  if (fd_ < 0) return;
  flock(fd_, LOCK_UN);
  close(fd_);
  fd_ = -1;
}

#endif

}  // namespace stonewal
