// An open file whose data goes through blocking calls, each made by a thread of Node's pool.
#pragma once

#include <mutex>

#include "bindings.h"
#include "open_file.h"

namespace stonewal {

class PwriteFile : public OpenFile {
 public:
  using OpenFile::OpenFile;

  // All of these block; they run on pool threads, any number of them at a time.
  Failure Write(const ChainStep& step);
  Failure Sync();
  Failure Read(uint8_t* data, size_t length, int64_t offset, size_t* done);
  Failure WriteZeros(int64_t offset, int64_t length);

 private:
  Failure WriteOut(const uint8_t* data, size_t length, int64_t offset, bool dsync);
  Failure WriteOnce(const uint8_t* data, size_t length, int64_t offset, bool dsync);
  Failure SyncLocked();

  // Held for every sync and every write that syncs: the kernel reports a write-back error once per open file, so
  // of two that overlap one could take the report of the other's failure and the other return success.
  std::mutex syncing_;
};

}  // namespace stonewal
