// What a file's file system and device can do, asked of the kernel.
#pragma once

#include <cstdint>
#include <string>

#include "failure.h"

namespace stonewal {

// Arenas start at a multiple of this. No known device wants more for its memory; one that does is refused.
constexpr uint32_t kArenaAlignment = 4096;

// What writes of one open file must look like. Untorn ones (RWF_ATOMIC): lengths from `untorn_min` to `untorn_max`; zeros
// where nothing is promised.
struct WriteLimits {
  uint32_t alignment = 1;
  uint32_t untorn_min = 0;
  uint32_t untorn_max = 0;
};

// Switches an open file to direct I/O and tells what that needs, and what it offers. EINVAL where the file system has
// none.
Failure MakeDirect(int fd, WriteLimits* limits);

struct DirectoryFacts {
  uint64_t file_system_type = 0;   // f_type of statfs (Linux)
  std::string file_system_name;    // f_fstypename (macOS); empty on Linux
  uint32_t physical_block = 0;     // 0: unknown
  uint32_t direct_alignment = 0;   // 0: no direct I/O, see direct_failure
  uint32_t atomic_write_max = 0;   // 0: none promised
  bool dsync = false;              // RWF_DSYNC works
  Failure direct_failure;
};

Failure ProbeDirectory(const std::string& path, DirectoryFacts* facts);
// Only file_system_type and file_system_name.
Failure FileSystemOf(const std::string& path, DirectoryFacts* facts);

}  // namespace stonewal
