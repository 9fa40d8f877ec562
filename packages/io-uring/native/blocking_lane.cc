#include "blocking_lane.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "faults.h"
#include "open_file.h"

namespace stonewal {

namespace {

// How often, and how far apart, the kernel is asked again: it had no memory just then.
constexpr int kMessageTries = 100;

void Pause() {
  const timespec pause = {0, 100 * 1000};
  nanosleep(&pause, nullptr);
}

int64_t Call(const BlockingLane::Request& request) {
  const int fd = request.descriptor;
  if (request.move == Move::kSync) {
    const char* syscall;
    return SyncDescriptor(fd, &syscall);
  }
  const bool durable = request.move == Move::kDurableWrite;
  if (request.untorn) return WriteUntorn(fd, request.data, request.length, request.offset, durable);
  if (durable) return WriteDsync(fd, request.data, request.length, request.offset);
  return pwrite(fd, request.data, request.length, request.offset);
}

int32_t ResultOf(const BlockingLane::Request& request) {
  const int64_t result = Call(request);
  return result < 0 ? -errno : static_cast<int32_t>(result);
}

// A filter of system calls may allow a ring and not these: then the kernel is given the chains, and no file is blamed.
bool MakesCalls() {
  const char* syscall;
  return DsyncWrites() && WriteDsync(-1, nullptr, 0, 0) < 0 && errno == EBADF && SyncDescriptor(-1, &syscall) != 0 &&
         errno == EBADF;
}

// Those that are sent. They are the program's, for threads that it knows; what a thread causes itself, it gets.
sigset_t SignalsOfOthers() {
  sigset_t signals;
  sigfillset(&signals);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) sigdelset(&signals, own);
  return signals;
}

}  // namespace

bool BlockingLane::Ready(int ring, unsigned entries) {
  if (state_ == State::kNotStarted) {
    target_ = ring;
    state_ = Start(entries) ? State::kRunning : State::kRefused;
  }
  if (state_ == State::kRefused) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  return !working_ && !refused_;
}

bool BlockingLane::Start(unsigned entries) {
#ifdef STONEWAL_FAULTS
  if (faults::Setup() != 0) return false;
#endif
  if (!MakesCalls() || io_uring_queue_init(entries, &messages_, IORING_SETUP_CLAMP) != 0) return false;
  bell_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  // The thread starts with this one's mask.
  sigset_t before;
  const sigset_t others = SignalsOfOthers();
  sigprocmask(SIG_BLOCK, &others, &before);
  const bool started = bell_ >= 0 && Message() && uv_thread_create(&thread_, &BlockingLane::Main, this) == 0;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (!started) CloseDescriptors();
  return started;
}

// One that nobody waits for. What is refused by the kernel, an emulator or a filter is refused from the start.
bool BlockingLane::Message() {
  io_uring_prep_msg_ring(io_uring_get_sqe(&messages_), target_, 0, kNobody, 0);
  io_uring_cqe* completion;
  if (io_uring_submit(&messages_) != 1 || io_uring_wait_cqe(&messages_, &completion) != 0) return false;
  const bool taken = completion->res >= 0;
  io_uring_cqe_seen(&messages_, completion);
  return taken;
}

bool BlockingLane::Give(const std::vector<Request>& run) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Since Ready looked: what it was still telling then has been refused for good.
    if (refused_) return false;
    run_ = run;
    working_ = true;
    KeepOff(sched_getcpu());
  }
  changed_.notify_one();
  return true;
}

void BlockingLane::KeepOff(int processor) {
  if (processor == kept_off_ || processor < 0 || id_ == 0) return;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  CPU_CLR(processor, &allowed);
  // Where there is one processor, or only one is allowed, it has to do.
  if (CPU_COUNT(&allowed) > 0) sched_setaffinity(id_, sizeof allowed, &allowed);
  kept_off_ = processor;
}

void BlockingLane::Cancel() {
  const std::lock_guard<std::mutex> lock(mutex_);
  cancelled_ = true;
}

void BlockingLane::Stop() {
  if (state_ != State::kRunning) return;
  state_ = State::kRefused;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  uv_thread_join(&thread_);
  CloseDescriptors();
}

void BlockingLane::CloseDescriptors() {
  io_uring_queue_exit(&messages_);
  if (bell_ >= 0) close(bell_);
}

void BlockingLane::Main(void* data) {
  prctl(PR_SET_NAME, "stonewal");
  BlockingLane* const lane = static_cast<BlockingLane*>(data);
  {
    const std::lock_guard<std::mutex> lock(lane->mutex_);
    lane->id_ = static_cast<pid_t>(syscall(SYS_gettid));
  }
  std::vector<Request> run;
  while (lane->Next(&run)) {
    lane->Do(&run);
    lane->Report(run);
  }
}

bool BlockingLane::Next(std::vector<Request>* run) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || !run_.empty(); });
  run->clear();
  run->swap(run_);
  return !run->empty();
}

bool BlockingLane::Cancelled() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return cancelled_;
}

void BlockingLane::Do(std::vector<Request>* run) {
  bool go_on = true;
  for (Request& request : *run) {
    if (!go_on || Cancelled()) {
      request.result = -ECANCELED;
      continue;
    }
#ifdef STONEWAL_FAULTS
    usleep(static_cast<useconds_t>(request.delay_ms) * 1000);
#endif
    request.result = ResultOf(request);
    go_on = request.result == static_cast<int32_t>(request.length);
#ifdef STONEWAL_FAULTS
    go_on = go_on && !request.breaks;
#endif
  }
}

// One call for the run. Whoever waits may give the next one as soon as the last of them has arrived.
void BlockingLane::Report(const std::vector<Request>& run) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    working_ = false;
  }
  std::vector<const Request*> left;
  for (const Request& request : run) left.push_back(&request);
  int tries = 0;
  const auto again = [&tries] {
    Pause();
    return ++tries < kMessageTries;
  };
  while (!left.empty()) {
    unsigned sent = 0;
    for (const Request* request : left) {
#ifdef STONEWAL_FAULTS
      if (faults::Message() != 0) continue;
#endif
      io_uring_sqe* const message = io_uring_get_sqe(&messages_);
      if (message == nullptr) break;
      io_uring_prep_msg_ring(message, target_, static_cast<uint32_t>(request->result), request->id, 0);
      io_uring_sqe_set_data(message, const_cast<Request*>(request));
      sent++;
    }
    for (unsigned taken = 0; taken < sent;) {
      const int result = io_uring_submit(&messages_);
      if (result > 0) {
        taken += static_cast<unsigned>(result);
      } else if (!again()) {
        return LeaveToFetch(left);
      }
    }
    // They were done in the call that took them: there is nothing to wait for.
    for (; sent > 0; sent--) {
      io_uring_cqe* completion;
      while (io_uring_wait_cqe(&messages_, &completion) != 0) Pause();
      if (completion->res >= 0) left.erase(std::find(left.begin(), left.end(), io_uring_cqe_get_data(completion)));
      io_uring_cqe_seen(&messages_, completion);
    }
    if (!left.empty() && !again()) return LeaveToFetch(left);
  }
}

// One message was taken before the thread started, so what they lack is memory, or a filter came later that refuses them. Whoever
// waits is told another way, by a descriptor that the ring itself watches.
void BlockingLane::LeaveToFetch(const std::vector<const Request*>& results) {
  std::vector<Request> meanwhile;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    refused_ = true;
    meanwhile.swap(run_);
  }
  Do(&meanwhile);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    to_fetch_ = std::move(meanwhile);
    for (const Request* result : results) to_fetch_.push_back(*result);
  }
  eventfd_write(bell_, 1);
}

std::vector<BlockingLane::Request> BlockingLane::Fetch() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(to_fetch_, {});
}

}  // namespace stonewal
