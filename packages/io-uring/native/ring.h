// An io_uring: requests in, completions out, and nothing of JavaScript.
//
// Belongs to one thread, the one that opened it: it submits, and it is where the kernel finishes requests (the ring is
// made for a single issuer). Only what its lanes do is done elsewhere, and reported here. Every request has a slot, whose
// number and generation are in its user_data, so that a completion is taken for nobody else's. There are never more
// requests with the kernel, and with lanes, than the completion queue has room for.
#pragma once

#include <liburing.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "blocking_lane.h"
#include "chain.h"

namespace stonewal {

// Why there is no ring.
struct RingRefusal {
  int error = 0;
  const char* syscall = "";
  // What the kernel lacks, where a call succeeded and its answer was not enough.
  std::string missing;
};

class Ring {
 public:
  Ring() = default;
  ~Ring() { Close(); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // `entries`: how many requests one submission may hold.
  bool Open(unsigned entries, RingRefusal* refusal);
  // Nothing may be in flight.
  void Close();

  int descriptor() const { return ring_.ring_fd; }
  unsigned entries() const { return entries_; }
  size_t in_flight() const { return slots_.size() - free_.size(); }
  // The setup flags that the kernel took.
  const char* mode() const { return mode_; }

  // Whether a run of that many pieces can be queued.
  bool HasRoom(size_t pieces) const;
  // Queues the chain's run as linked requests. HasRoom must have said so, and nothing else may be queued before Submit.
  void Queue(Chain* chain);
  // Has a thread of the ring's own do the chain's run in place of the kernel (see blocking_lane.h), and its completions come
  // here as the kernel's do. HasRoom must have said so. False, with nothing done, where none is free, or to be had.
  bool GiveToLane(Chain* chain);
  // One io_uring_enter for what is queued. Gives how many of the chain's pieces the kernel took, from the front; where
  // it took none, `error` is why.
  size_t Submit(int* error);

  // Takes the completions that are there, and adds to `back` each chain whose run is back.
  void Reap(std::vector<Chain*>* back);
  // Asks for everything to be cancelled that can be. Each request still has to come back by itself.
  void CancelAll();
  // Blocks until a completion is there.
  void Wait();

  // Registered files and buffers: the kernel then need not look up a descriptor, or pin memory page by page, for each
  // request. -1 where it can't be had; a request then goes without. What files gain is too little to measure here (216.9 us
  // and 192.1 against 216.4 and 191.8, see ring.cc), buffers only where registered_arena.h says.
  int RegisterFile(int descriptor);
  void UnregisterFile(int index);
  int RegisterBuffer(void* memory, size_t bytes);
  void UnregisterBuffer(int index);

 private:
  struct Slot {
    Chain* chain = nullptr;
    uint32_t piece = 0;
    uint32_t generation = 0;
  };

  bool Probe(RingRefusal* refusal);
  void Prepare(io_uring_sqe* request, const Step& step, const Piece& piece);
  uint64_t TakeSlot(Chain* chain, uint32_t piece);
  void FreeSlot(uint32_t index);
#ifdef STONEWAL_FAULTS
  bool QueueFaulty(Chain* chain, uint32_t index, unsigned link);
  io_uring_sqe* QueueExtra();
#endif
  int Enter();
  void Withdraw(unsigned requests);
  bool Watch(BlockingLane* lane);
  void Complete(uint64_t id, int32_t result, std::vector<Chain*>* back);

  io_uring ring_ = {};
  bool open_ = false;
  bool takes_messages_ = false;
  // A commit's chain, and beside it that of a batch which follows.
  std::array<BlockingLane, 2> lanes_;
  const char* mode_ = "";
  unsigned entries_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  // What is queued and not submitted: the slot of each request.
  Chain* queued_chain_ = nullptr;
  std::vector<uint32_t> queued_;

  enum class Table { kNotTried, kThere, kRefused };
  Table files_ = Table::kNotTried;
  std::vector<int> free_files_;
  Table buffers_ = Table::kNotTried;
  std::vector<int> free_buffers_;
};

}  // namespace stonewal
