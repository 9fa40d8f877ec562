// The floor under a commit: the system calls that the log makes for one, in a loop, with nothing around them.
//
//   floor LOG LOG_BYTES DWB DWB_BYTES DIRECT MILLISECONDS MAX_BYTES
//
// A round: until the time or MAX_BYTES is up, DWB_BYTES made durable in the file DWB (none where DWB_BYTES is 0), then
// LOG_BYTES in the file LOG. Prints what each pair took, in nanoseconds, one to a line. The files are filled with zeros
// first where they are not there yet, so that a write allocates nothing.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <vector>

namespace {

constexpr size_t kFileBytes = size_t{16} << 20;
constexpr size_t kAlignment = 4096;

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

void* Memory(size_t bytes, int byte) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, bytes) != 0) Fail("posix_memalign");
  memset(memory, byte, bytes);
  return memory;
}

// Writes `bytes` again and again, durably, behind each other; from the start again at the file's end.
class Target {
 public:
  Target(const char* path, size_t bytes, size_t stride, bool direct) : bytes_(bytes), stride_(stride) {
    if (bytes == 0) return;
    fd_ = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (direct ? O_DIRECT : 0), 0666);
    if (fd_ < 0) Fail(path);
    if (lseek(fd_, 0, SEEK_END) < static_cast<off_t>(kFileBytes)) {
      void* const zeros = Memory(kFileBytes, 0);
      if (pwrite(fd_, zeros, kFileBytes, 0) != static_cast<ssize_t>(kFileBytes)) Fail("pwrite");
      if (fdatasync(fd_) != 0) Fail("fdatasync");
      free(zeros);
    }
    vector_.iov_base = Memory(bytes, 0x5a);
    vector_.iov_len = bytes;
  }

  void Write() {
    if (bytes_ == 0) return;
    if (offset_ + bytes_ > kFileBytes) offset_ = 0;
    ssize_t written;
    do {
      written = pwritev2(fd_, &vector_, 1, static_cast<off_t>(offset_), RWF_DSYNC);
    } while (written < 0 && errno == EINTR);
    if (written != static_cast<ssize_t>(bytes_)) Fail("pwritev2");
    offset_ += (bytes_ + stride_ - 1) / stride_ * stride_;
  }

 private:
  int fd_ = -1;
  size_t bytes_;
  size_t stride_;
  size_t offset_ = 0;
  iovec vector_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    fputs("floor LOG LOG_BYTES DWB DWB_BYTES DIRECT MILLISECONDS MAX_BYTES\n", stderr);
    return 2;
  }
  const size_t log_bytes = strtoull(argv[2], nullptr, 10);
  const size_t dwb_bytes = strtoull(argv[4], nullptr, 10);
  const bool direct = strcmp(argv[5], "1") == 0;
  const int64_t nanoseconds = strtoll(argv[6], nullptr, 10) * 1000000;
  const size_t max_bytes = strtoull(argv[7], nullptr, 10);

  Target log(argv[1], log_bytes, kAlignment, direct);
  // As the double-write buffer's slots lie: 64 KiB and a header block.
  Target dwb(argv[3], dwb_bytes, 65536 + kAlignment, direct);

  std::vector<int64_t> took;
  took.reserve(1 << 20);
  size_t written = 0;
  int64_t before = Now();
  const int64_t end = before + nanoseconds;
  while (before < end && written < max_bytes) {
    dwb.Write();
    log.Write();
    written += log_bytes;
    const int64_t after = Now();
    took.push_back(after - before);
    before = after;
  }
  for (const int64_t each : took) printf("%lld\n", static_cast<long long>(each));
  return 0;
}
