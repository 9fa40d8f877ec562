// Requests from somewhere else: tells, at a fixed rate, how many have come, and sleeps between.
//
//   arrivals PER_SECOND TOTAL TICK_MICROSECONDS
//
// Begins when a byte can be read from standard input. Writes, in 8 bytes, when that was (CLOCK_MONOTONIC, nanoseconds), and then a
// byte for each arrival: arrival n is due n / PER_SECOND seconds after the start, or at the end of the tick in which that is.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <vector>

namespace {

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "arrivals: %s: %s\n", what, strerror(errno));
  exit(1);
}

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

void SleepUntil(int64_t at) {
  for (int64_t left = at - Now(); left > 0; left = at - Now()) {
    const timespec pause{static_cast<time_t>(left / 1000000000), static_cast<long>(left % 1000000000)};
    nanosleep(&pause, nullptr);
  }
}

void Write(const void* bytes, size_t count) {
  const char* at = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = write(STDOUT_FILENO, at, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Fail("write");
    at += written;
    count -= static_cast<size_t>(written);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fputs("arrivals PER_SECOND TOTAL TICK_MICROSECONDS\n", stderr);
    return 2;
  }
  const int64_t per_second = strtoll(argv[1], nullptr, 10);
  const int64_t total = strtoll(argv[2], nullptr, 10);
  const int64_t tick = strtoll(argv[3], nullptr, 10) * 1000;
#ifdef __linux__
  // Else a timer may be 50 microseconds late, to share a wakeup with others.
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
#endif
  const std::vector<char> arrivals(static_cast<size_t>(total), 'a');
  const auto due = [&](int64_t arrival) {
    const int64_t exactly = arrival * 1000000000 / per_second;
    return (exactly + tick - 1) / tick * tick;
  };

  char go;
  if (read(STDIN_FILENO, &go, 1) != 1) return 1;
  const int64_t start = Now();
  Write(&start, sizeof start);
  for (int64_t sent = 0; sent < total;) {
    SleepUntil(start + due(sent));
    const int64_t elapsed = Now() - start;
    int64_t came = sent + 1;
    while (came < total && due(came) <= elapsed) came += 1;
    Write(arrivals.data(), static_cast<size_t>(came - sent));
    sent = came;
  }
  return 0;
}
