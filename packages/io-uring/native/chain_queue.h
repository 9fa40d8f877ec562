// Which chains may be with the kernel at the same time.
//
// Syncs of one open file never overlap, because the kernel reports a write-back error once per open file: of two that
// overlap one could take the report of the other's failure, and the other return success. A chain is handed to the
// kernel whole, in one submission, so it can't stop in its middle for another chain's sync; it waits before it starts:
//
//   - a chain with a sync (or a durable write) of a file has that file alone;
//   - a chain that writes to a file, and then goes on to a later step, shares it with others that do: a sync of
//     another chain that fails meanwhile must be able to keep the later step from starting;
//   - a chain whose last step is a plain write, and a read, go beside anything: whether a sync has failed meanwhile is
//     looked at when they are back.
//
// A chain gets all its files at once or none, and never before one that asked earlier and shares a file with it:
// no chain waits for ever, and no two wait for each other. Syncs of different files run side by side.
#pragma once

#include <cstdint>
#include <deque>

#include "chain.h"

namespace stonewal {

class ChainQueue {
 public:
  void Add(Chain* chain) { waiting_.push_back(chain); }
  // The next chain, in order, that may start; null when none may. It has its files until Release.
  Chain* Next();
  void Release(Chain* chain);

 private:
  std::deque<Chain*> waiting_;
  uint64_t pass_ = 0;
};

}  // namespace stonewal
