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
#include <mutex>
#include <string>

#include "failure.h"

namespace stonewal {

enum class Access { kRead, kWrite, kCreate };

class OpenFile {
 public:
  static Failure Open(const std::string& path, Access access, bool direct, std::shared_ptr<OpenFile>* out);

  OpenFile(int descriptor, bool direct, uint32_t alignment)
      : fd_(descriptor), direct_(direct), alignment_(alignment) {}
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  uint32_t alignment() const { return alignment_; }

  // All of these block; they run on pool threads, any number of them at a time.
  Failure Write(const uint8_t* data, size_t length, int64_t offset, bool durable);
  Failure Sync();
  Failure Read(uint8_t* data, size_t length, int64_t offset, size_t* done);
  Failure WriteZeros(int64_t offset, int64_t length);
  Failure Truncate(int64_t length);
  Failure Size(int64_t* size);
  Failure DropCache();
  Failure Close();

 private:
  Failure WriteOut(const uint8_t* data, size_t length, int64_t offset, bool dsync);
  Failure SyncLocked();
  Failure Poisoned() const;
  Failure Poison(Failure cause);

  std::atomic<int> fd_;
  const bool direct_;
  const uint32_t alignment_;
  // Held for every sync and every write that syncs: the kernel reports a write-back error once per open file, so
  // of two that overlap one could take the report of the other's failure and the other return success.
  std::mutex syncing_;
  // errno of the first sync that failed, 0 while none has. Never cleared.
  std::atomic<int> poison_{0};
};

// fdatasync, or where that does not reach the medium, what does.
int SyncDescriptor(int fd, const char** syscall);

// Whether a direct durable write is one RWF_DSYNC call; false once the kernel has refused the flag.
bool DsyncWrites();
// One write with RWF_DSYNC; -1 and EOPNOTSUPP where the kernel has none.
int64_t WriteDsync(int fd, const uint8_t* data, size_t length, int64_t offset);

}  // namespace stonewal
