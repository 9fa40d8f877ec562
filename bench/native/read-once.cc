// The floor under a replay: reads files once, from end to end, and does nothing with what it reads.
//
//   read-once DIRECT MAX_BYTES FILE...
//
// Prints how long it took, in nanoseconds. A megabyte at a time, as a reader with bounded memory would.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr size_t kAlignment = 4096;

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "read-once: %s: %s\n", what, strerror(errno));
  exit(1);
}

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fputs("read-once DIRECT MAX_BYTES FILE...\n", stderr);
    return 2;
  }
  const bool direct = strcmp(argv[1], "1") == 0;
  uint64_t left = strtoull(argv[2], nullptr, 10);
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, kChunkBytes) != 0) Fail("posix_memalign");
  memset(memory, 0, kChunkBytes);

  const int64_t start = Now();
  for (int index = 3; index < argc && left > 0; ++index) {
    const int fd = open(argv[index], O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
    if (fd < 0) Fail(argv[index]);
    off_t offset = 0;
    while (left > 0) {
      const size_t wanted = left < kChunkBytes ? (left + kAlignment - 1) / kAlignment * kAlignment : kChunkBytes;
      const ssize_t count = pread(fd, memory, wanted, offset);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) Fail(argv[index]);
      if (count == 0) break;
      offset += count;
      left -= std::min(left, static_cast<uint64_t>(count));
    }
    close(fd);
  }
  printf("%lld\n", static_cast<long long>(Now() - start));
  return 0;
}
