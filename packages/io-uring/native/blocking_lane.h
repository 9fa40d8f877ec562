// A thread that does what the kernel does with a chain's requests, by calls that block: one after another, each only when
// the one before was done in full. Their completions arrive in the ring as the kernel's own do (IORING_OP_MSG_RING), so
// whoever waits for a chain need not know which of the two had it.
//
// For a JavaScript thread that never rests. A request that doesn't block is passed on inside the kernel: a direct write is
// ended by a worker that is bound to the processor which took the interrupt, a sync is made by another. Where that is the
// processor that JavaScript keeps busy they wait for the scheduler, 4 ms or more each time, for what takes the disk 0.1 ms,
// and a chain is passed on up to six times. A call that blocks is ended by the thread that made it. It may run wherever the
// JavaScript thread may, but not where that runs: the scheduler was seen to put it there, behind a thread that does not stop,
// with another processor idle.
// A thread that rests now and then is better off with the ring itself, which is a hop less.
#pragma once

#include <liburing.h>
#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "chain.h"
#include "uv.h"

namespace stonewal {

// user_data of a completion that tells nothing.
constexpr uint64_t kNobody = UINT64_MAX;
// Of one that tells only that a lane may have results which have to be fetched.
constexpr uint64_t kBell = UINT64_MAX - 1;

class BlockingLane {
 public:
  struct Request {
    uint64_t id;  // the completion's user_data
    int descriptor;
    Move move;  // not kRead, not kZeros
    uint8_t* data;
    uint32_t length;
    int64_t offset;
    bool untorn;
    int32_t result = 0;
#ifdef STONEWAL_FAULTS
    int64_t delay_ms = 0;
    // What follows is cancelled, as if not all had been done.
    bool breaks = false;
#endif
  };

  BlockingLane() = default;
  ~BlockingLane() { Stop(); }
  BlockingLane(const BlockingLane&) = delete;
  BlockingLane& operator=(const BlockingLane&) = delete;

  // Whether it can take a run for that ring, of so many requests at most: it has none to do. The thread starts with the first
  // call, when what it needs of the kernel has been tried; where it can't, no later one tries again.
  bool Ready(int ring, unsigned entries);
  // The requests of one run, for which Ready has said yes: false where that does not hold any more, and nothing is done. Their memory
  // stays until their completions are in the ring.
  bool Give(const std::vector<Request>& run);
  // What has not begun comes back as ECANCELED, from now on.
  void Cancel();
  // Returns when the thread has ended. Nothing may be given that has not come back.
  void Stop();

  // Readable from when there is something to fetch, once: the kernel refused a message for good, and the lane is never ready
  // again. Of what is fetched some may have arrived as well.
  int bell() const { return bell_; }
  std::vector<Request> Fetch();
  // Whether the ring hears the bell.
  bool watched = false;

 private:
  enum class State { kNotStarted, kRunning, kRefused };

  static void Main(void* lane);
  bool Start(unsigned entries);
  bool Message();
  void CloseDescriptors();
  bool Next(std::vector<Request>* run);
  bool Cancelled();
  void KeepOff(int processor);
  void Do(std::vector<Request>* run);
  void Report(const std::vector<Request>& run);
  void LeaveToFetch(const std::vector<const Request*>& results);

  State state_ = State::kNotStarted;
  int target_ = -1;
  int bell_ = -1;
  // For messages to the target; the thread's own once it runs.
  io_uring messages_ = {};
  uv_thread_t thread_ = {};

  std::mutex mutex_;
  std::condition_variable changed_;
  // Of the thread, once it runs.
  pid_t id_ = 0;
  // The processor that it keeps off.
  int kept_off_ = -1;
  // Given, and not begun.
  std::vector<Request> run_;
  // From when a run is given until it is about to be reported.
  bool working_ = false;
  bool refused_ = false;
  std::vector<Request> to_fetch_;
  bool cancelled_ = false;
  bool stopping_ = false;
};

}  // namespace stonewal
