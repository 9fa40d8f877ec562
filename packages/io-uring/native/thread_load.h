// Whether a thread works without a rest: whether it is ever out of work, and sleeps. Neither processor time tells that, which
// is less where other processes want the processor too, nor what libuv counts as waiting (uv_metrics_idle_time,
// performance.eventLoopUtilization()): that begins anew with each interrupted epoll_wait, and completions of an io_uring
// interrupt it. Used on that thread.
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <cstdint>

namespace stonewal {

class ThreadLoad {
 public:
  // Looks at what has passed since the last look, if that is a millisecond.
  bool Busy() {
    const int64_t now = Now();
    if (now - looked_ < kPeriodNs) return busy_;
    looked_ = now;
    rusage usage = {};
    getrusage(RUSAGE_THREAD, &usage);
    periods_slept_ = periods_slept_ << 1 | (usage.ru_nvcsw != sleeps_ ? 1 : 0);
    sleeps_ = usage.ru_nvcsw;
    // One of the last four without a sleep is enough: garbage collection has a busy thread wait for threads of its own, and one
    // that is taken for resting loses many times what it costs to take a resting one for busy.
    busy_ = (periods_slept_ & 0xf) != 0xf;
    return busy_;
  }

 private:
  static constexpr int64_t kPeriodNs = 1000 * 1000;

  static int64_t Now() {
    timespec time = {};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return int64_t{time.tv_sec} * 1000000000 + time.tv_nsec;
  }

  int64_t looked_ = Now();
  long sleeps_ = 0;
  // The last is the lowest bit.
  uint32_t periods_slept_ = ~uint32_t{0};
  bool busy_ = false;
};

}  // namespace stonewal
