// One open file: its descriptor, what direct I/O on it needs, and whether its syncs can still be believed.
//
// Ownership: shared. The JavaScript handle (a napi external) holds one reference until it is collected or its
// environment ends, and every task in flight on the file holds another. The descriptor is closed by Close(), which
// the JavaScript side calls only when nothing is in flight, or else by the destructor of the last owner: so a worker
// that is terminated in flight gives its descriptors and locks back once its tasks are done.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "device.h"
#include "failure.h"

namespace stonewal {

enum class Access { kRead, kWrite, kCreate };

class OpenFile {
 public:
  static Failure Open(const std::string& path, Access access, bool direct, std::shared_ptr<OpenFile>* out);

  OpenFile(int descriptor, bool direct, const WriteLimits& limits)
      : fd_(descriptor), direct_(direct), limits_(limits) {}
  virtual ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int descriptor() const { return fd_.load(); }
  bool direct() const { return direct_; }
  uint32_t alignment() const { return limits_.alignment; }
  const WriteLimits& limits() const { return limits_; }

  // Why nothing more may be done with the file: an earlier sync of it failed. No failure while none has.
  Failure Poisoned() const;
  // From the first call on, for ever. Returns `cause`.
  Failure Poison(Failure cause);

  // All of these block; they run on pool threads, any number of them at a time.
  Failure Truncate(int64_t length);
  Failure Size(int64_t* size);
  Failure DropCache();
  Failure Close();

 private:
  std::atomic<int> fd_;
  const bool direct_;
  const WriteLimits limits_;
  // errno of the first sync that failed, 0 while none has. Never cleared.
  std::atomic<int> poison_{0};
};

// Defined by each addon: an open file as it wants them, which knows how it moves data.
std::shared_ptr<OpenFile> MakeFile(int descriptor, bool direct, const WriteLimits& limits);

// fdatasync, or where that does not reach the medium, what does.
int SyncDescriptor(int fd, const char** syscall);

// Whether a direct durable write is one RWF_DSYNC call; false once the kernel has refused the flag.
bool DsyncWrites();
// One write with RWF_DSYNC; -1 and EOPNOTSUPP where the kernel has none.
int64_t WriteDsync(int fd, const uint8_t* data, size_t length, int64_t offset);
// One write with RWF_ATOMIC, and RWF_DSYNC if `dsync`; -1 and EOPNOTSUPP where the kernel has none.
int64_t WriteUntorn(int fd, const uint8_t* data, size_t length, int64_t offset, bool dsync);

}  // namespace stonewal
