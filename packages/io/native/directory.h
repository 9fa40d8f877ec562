// Directory entries and the lock file: what node:fs has no call for.
#pragma once

#include <memory>
#include <string>

#include "failure.h"

namespace stonewal {

// Renames without replacing, in one step where the file system can.
Failure RenameNoReplace(const std::string& from, const std::string& to);
Failure SyncDirectory(const std::string& path);

// An exclusive lock that belongs to one open file description: two in one process exclude each other, and it ends
// with the process. Owned by its JavaScript handle, and by the task that takes it until then.
class FileLock {
 public:
  static Failure Take(const std::string& path, std::unique_ptr<FileLock>* out);
  static Failure Held(const std::string& path, bool* held);

  explicit FileLock(int descriptor) : fd_(descriptor) {}
  ~FileLock() { Release(); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  void Release();

 private:
  int fd_;
};

}  // namespace stonewal
