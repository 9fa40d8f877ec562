// Whether the thread of an event loop works most of the time, or waits most of the time. Node has its loops count how long
// they wait (uv_metrics_idle_time; performance.eventLoopUtilization() is made of it). Used on the loop's own thread.
#pragma once

#include <cstdint>

#include "uv_poll.h"

namespace stonewal {

class LoopLoad {
 public:
  explicit LoopLoad(uv_loop_s* loop) : loop_(loop), since_(uv_hrtime()), idle_(uv_metrics_idle_time(loop)) {}

  // What the last two milliseconds or more were like.
  bool Busy() {
    const uint64_t now = uv_hrtime();
    if (now - since_ < kWindowNs) return busy_;
    const uint64_t idle = uv_metrics_idle_time(loop_);
    busy_ = (idle - idle_) * kBusyIdleShare < now - since_;
    since_ = now;
    idle_ = idle;
    return busy_;
  }

 private:
  static constexpr uint64_t kWindowNs = 2 * 1000 * 1000;
  // Busy: it waits for less than a quarter of the time.
  static constexpr uint64_t kBusyIdleShare = 4;

  uv_loop_s* const loop_;
  uint64_t since_;
  uint64_t idle_;
  bool busy_ = false;
};

}  // namespace stonewal
