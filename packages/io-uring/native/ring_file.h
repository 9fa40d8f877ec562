// An open file whose data goes through a ring.
#pragma once

#include <cstdint>

#include "open_file.h"

namespace stonewal {

class RingFile : public OpenFile {
 public:
  using OpenFile::OpenFile;

  // The rest belongs to the ring loop that the file was first used with, and is touched on its JavaScript thread only.

  // Index in the ring's table of registered files; -1: not in it.
  int registered = -1;
  bool registration_tried = false;

  // Which admitted chains use the file: one that syncs it has it alone, see chain_queue.h.
  uint32_t sharers = 0;
  bool taken = false;
  // The same for the chains that wait, as far as the pass of that number has come.
  uint64_t pass = 0;
  bool pass_shared = false;
  bool pass_taken = false;
};

}  // namespace stonewal
