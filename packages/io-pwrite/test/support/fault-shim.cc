// Makes the system calls of a process fail, for tests: preloaded (LD_PRELOAD) into a program that calls libc.
// `fault-shim.mjs` beside this file builds it and makes the environment.
//
// What to do is in the environment variable STONEWAL_FAULTS: rules, separated by ';', each
//
//     call:path:when:effect
//
//   call    write     pwrite, pwritev, pwritev2
//           sync      fsync, fdatasync, and a pwritev2 with RWF_DSYNC (of a directory too)
//           read      pread, preadv
//           open      open, openat; by name, so also what does not exist yet
//           rename    rename, renameat, renameat2; by the new name
//           unlink    unlink, unlinkat
//           truncate  ftruncate
//           any       each of them
//   path    part of the file's path; empty: every file
//   when    n: the n-th matching call, counted from 1 for each rule; n+: that and every later one; n-m: those
//   effect  EIO, ENOSPC, ...     fails with it, and does nothing
//           short=N              writes or reads at most N bytes (0: returns 0)
//           kill                 SIGKILL before the call
//           kill-after           SIGKILL after it
//           torn=N               writes the first N bytes, then SIGKILL
//           delay=MS             sleeps, then goes on as usual
//
// The first rule that matches a call decides; each rule counts every call that it matches, whether it decides or not. A
// durable write matches a `write` rule as well as a `sync` rule. `STONEWAL_FAULTS='write:.wal:3:short=512;write:.wal:4:ENOSPC'`
// cuts the third write to a segment short and fails the fourth.
//
// A running process can be given new rules: STONEWAL_FAULTS_CONTROL names a file of 8,192 bytes, mapped here:
//   0     u32 generation: when it changes, the rules below replace the ones in force, and all counts start again
//   8     rules, as above, ended by a zero byte
//   4096  u64 how many effects were applied
//   4104  u64 how many syncs of a file began while another sync of the same file was running
//   4112  u64 how many intercepted calls there were
//
// What goes through io_uring can't be intercepted, so there is none in such a process: a back end that wants one is
// refused, and `auto` takes the next.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

namespace {

enum Call : unsigned { kWrite = 1, kSync = 2, kRead = 4, kOpen = 8, kRename = 16, kUnlink = 32, kTruncate = 64, kAny = 127 };

struct Name {
  const char* text;
  int value;
};

const Name kCalls[] = {{"write", kWrite},   {"sync", kSync},     {"read", kRead},         {"open", kOpen},
                       {"rename", kRename}, {"unlink", kUnlink}, {"truncate", kTruncate}, {"any", kAny}};
const Name kErrors[] = {{"EIO", EIO},     {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EINTR", EINTR},
                        {"EFBIG", EFBIG}, {"EACCES", EACCES}, {"EROFS", EROFS},   {"EOPNOTSUPP", EOPNOTSUPP},
                        {"ENOSYS", ENOSYS}, {"EINVAL", EINVAL}, {"EMFILE", EMFILE}, {"EAGAIN", EAGAIN}};

enum class Effect { kNone, kError, kShort, kKill, kKillAfter, kTorn, kDelay };

struct Rule {
  unsigned calls;
  std::string path;
  uint64_t first;
  uint64_t last;
  Effect effect;
  long value;
  uint64_t seen;
};

struct Action {
  Effect effect = Effect::kNone;
  long value = 0;
};

[[noreturn]] void Bad(const std::string& rule) {
  fprintf(stderr, "fault-shim: not a rule: %s\n", rule.c_str());
  _exit(97);
}

// Never destroyed: calls go on while the process exits.
struct State {
  std::mutex mutex;
  std::vector<Rule> rules;
  uint8_t* control = nullptr;
  uint32_t generation = 0;
  std::vector<std::pair<dev_t, ino_t>> syncing;

  State() {
    if (const char* rules_text = getenv("STONEWAL_FAULTS")) Parse(rules_text);
    if (const char* path = getenv("STONEWAL_FAULTS_CONTROL")) {
      const int fd = static_cast<int>(RealOpen(path));
      void* const mapping = fd < 0 ? MAP_FAILED : mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      if (mapping == MAP_FAILED) {
        fprintf(stderr, "fault-shim: cannot map %s\n", path);
        _exit(97);
      }
      close(fd);
      control = static_cast<uint8_t*>(mapping);
    }
  }

  static long RealOpen(const char* path) {
    using Open = int (*)(const char*, int, ...);
    return reinterpret_cast<Open>(dlsym(RTLD_NEXT, "open"))(path, O_RDWR | O_CLOEXEC);
  }

  std::atomic<uint64_t>* Counter(size_t offset) { return reinterpret_cast<std::atomic<uint64_t>*>(control + offset); }
  void Count(size_t offset) {
    if (control != nullptr) Counter(offset)->fetch_add(1);
  }

  void Refresh() {
    if (control == nullptr) return;
    const uint32_t now = reinterpret_cast<std::atomic<uint32_t>*>(control)->load();
    if (now == generation) return;
    generation = now;
    Parse(reinterpret_cast<const char*>(control + 8));
    for (size_t offset : {4096, 4104, 4112}) Counter(offset)->store(0);
  }

  void Parse(const char* text) {
    rules.clear();
    const std::string all = text;
    for (size_t at = 0; at < all.size();) {
      const size_t end = std::min(all.find(';', at), all.size());
      if (end > at) rules.push_back(ParseRule(all.substr(at, end - at)));
      at = end + 1;
    }
  }

  static Rule ParseRule(const std::string& text) {
    std::vector<std::string> parts;
    for (size_t at = 0;;) {
      const size_t end = text.find(':', at);
      parts.push_back(text.substr(at, end - at));
      if (end == std::string::npos) break;
      at = end + 1;
    }
    if (parts.size() != 4) Bad(text);
    Rule rule{0, parts[1], 0, 0, Effect::kNone, 0, 0};
    for (const Name& call : kCalls) {
      if (parts[0] == call.text) rule.calls = static_cast<unsigned>(call.value);
    }
    char* rest;
    rule.first = rule.last = strtoull(parts[2].c_str(), &rest, 10);
    if (*rest == '+') {
      rule.last = UINT64_MAX;
      rest++;
    } else if (*rest == '-') {
      rule.last = strtoull(rest + 1, &rest, 10);
    }
    if (rule.calls == 0 || rule.first == 0 || *rest != '\0') Bad(text);
    const std::string& effect = parts[3];
    const auto valued = [&](const char* name, Effect kind) {
      if (effect.rfind(name, 0) != 0) return;
      rule.effect = kind;
      rule.value = strtol(effect.c_str() + strlen(name), &rest, 10);
      if (*rest != '\0') Bad(text);
    };
    valued("short=", Effect::kShort);
    valued("torn=", Effect::kTorn);
    valued("delay=", Effect::kDelay);
    if (effect == "kill") rule.effect = Effect::kKill;
    if (effect == "kill-after") rule.effect = Effect::kKillAfter;
    for (const Name& error : kErrors) {
      if (effect != error.text) continue;
      rule.effect = Effect::kError;
      rule.value = error.value;
    }
    if (rule.effect == Effect::kNone) Bad(text);
    return rule;
  }

  Action Decide(unsigned call, const char* path) {
    std::lock_guard<std::mutex> lock(mutex);
    Refresh();
    Count(4112);
    Action action;
    for (Rule& rule : rules) {
      if ((rule.calls & call) == 0 || strstr(path, rule.path.c_str()) == nullptr) continue;
      rule.seen++;
      if (action.effect != Effect::kNone || rule.seen < rule.first || rule.seen > rule.last) continue;
      action.effect = rule.effect;
      action.value = rule.value;
    }
    if (action.effect != Effect::kNone) Count(4096);
    return action;
  }
};

State& TheState() {
  static State& state = *new State();
  return state;
}

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

__attribute__((constructor)) void RefuseIoUring() {
  constexpr unsigned kIoUringSetup = 425;  // on every architecture
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kIoUringSetup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0) return;
  fprintf(stderr, "fault-shim: cannot refuse io_uring\n");
  _exit(97);
}

[[noreturn]] void Die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

void PathOf(int fd, char (&path)[4096]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  path[length < 0 ? 0 : length] = '\0';
}

// The effects that are the same for every call. True: the call is over, with -1.
bool Before(const Action& action) {
  if (action.effect == Effect::kKill) Die();
  if (action.effect == Effect::kDelay) {
    struct timespec time = {action.value / 1000, (action.value % 1000) * 1000000};
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
  }
  if (action.effect != Effect::kError) return false;
  errno = static_cast<int>(action.value);
  return true;
}

template <typename Go>
auto Plain(unsigned call, const char* path, Go go) -> decltype(go()) {
  const Action action = TheState().Decide(call, path);
  if (Before(action)) return -1;
  const auto result = go();
  if (action.effect == Effect::kKillAfter) Die();
  return result;
}

// Counts syncs of one file that overlap. The identity is the inode, so that two descriptors are seen as one file.
struct Syncing {
  explicit Syncing(int fd) {
    struct stat facts;
    if (fstat(fd, &facts) != 0) return;
    id = {facts.st_dev, facts.st_ino};
    State& state = TheState();
    std::lock_guard<std::mutex> lock(state.mutex);
    for (const auto& other : state.syncing) {
      if (other != id) continue;
      state.Count(4104);
      break;
    }
    state.syncing.push_back(id);
    counted = true;
  }
  ~Syncing() {
    if (!counted) return;
    State& state = TheState();
    std::lock_guard<std::mutex> lock(state.mutex);
    for (size_t i = 0; i < state.syncing.size(); i++) {
      if (state.syncing[i] != id) continue;
      state.syncing.erase(state.syncing.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
  }
  std::pair<dev_t, ino_t> id;
  bool counted = false;
};

int SyncCall(int fd, const char* name) {
  char path[4096];
  PathOf(fd, path);
  const int before = errno;
  Syncing syncing(fd);
  errno = before;
  return Plain(kSync, path, [&] { return Real<int (*)(int)>(name)(fd); });
}

// The first `limit` bytes of a vector.
std::vector<iovec> Cut(const iovec* vectors, int count, size_t limit) {
  std::vector<iovec> cut;
  for (int i = 0; i < count && limit > 0; i++) {
    iovec part = vectors[i];
    part.iov_len = std::min(part.iov_len, limit);
    limit -= part.iov_len;
    cut.push_back(part);
  }
  return cut;
}

// Go(vectors, count) makes the real call.
template <typename Go>
ssize_t Transfer(unsigned call, int fd, const iovec* vectors, int count, Go go) {
  char path[4096];
  PathOf(fd, path);
  const Action action = TheState().Decide(call, path);
  if (Before(action)) return -1;
  if (action.effect == Effect::kShort || action.effect == Effect::kTorn) {
    const std::vector<iovec> cut = Cut(vectors, count, static_cast<size_t>(action.value));
    const ssize_t result = cut.empty() ? 0 : go(cut.data(), static_cast<int>(cut.size()));
    if (action.effect == Effect::kTorn) Die();
    return result;
  }
  const ssize_t result = go(vectors, count);
  if (action.effect == Effect::kKillAfter) Die();
  return result;
}

ssize_t Write(int fd, const void* data, size_t length, off_t offset) {
  const iovec vector = {const_cast<void*>(data), length};
  return Transfer(kWrite, fd, &vector, 1, [&](const iovec* part, int) {
    return Real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite64")(fd, part->iov_base, part->iov_len, offset);
  });
}

ssize_t WriteVectors(int fd, const iovec* vectors, int count, off_t offset, int flags) {
  constexpr int kDsync = 2;  // RWF_DSYNC
  const auto go = [&](const iovec* parts, int number) {
    return Real<ssize_t (*)(int, const iovec*, int, off_t, int)>("pwritev64v2")(fd, parts, number, offset, flags);
  };
  if ((flags & kDsync) == 0) return Transfer(kWrite, fd, vectors, count, go);
  Syncing syncing(fd);
  return Transfer(kWrite | kSync, fd, vectors, count, go);
}

// A short read is made whole and told short: a direct read could not ask for a part of a block.
template <typename Go>
ssize_t ReadTransfer(int fd, Go go) {
  char path[4096];
  PathOf(fd, path);
  const Action action = TheState().Decide(kRead, path);
  if (Before(action)) return -1;
  const ssize_t result = go();
  if (action.effect == Effect::kKillAfter) Die();
  return action.effect == Effect::kShort ? std::min<ssize_t>(result, action.value) : result;
}

ssize_t Read(int fd, void* data, size_t length, off_t offset) {
  return ReadTransfer(fd, [&] { return Real<ssize_t (*)(int, void*, size_t, off_t)>("pread64")(fd, data, length, offset); });
}

ssize_t ReadVectors(int fd, const iovec* vectors, int count, off_t offset, int flags) {
  return ReadTransfer(fd, [&] {
    return Real<ssize_t (*)(int, const iovec*, int, off_t, int)>("preadv64v2")(fd, vectors, count, offset, flags);
  });
}

int OpenAt(int directory, const char* path, int flags, unsigned mode) {
  return Plain(kOpen, path, [&] {
    return Real<int (*)(int, const char*, int, ...)>("openat64")(directory, path, flags, mode);
  });
}

unsigned ModeOf(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, unsigned) : 0;
}

}  // namespace

extern "C" {

#define EXPORT __attribute__((visibility("default")))

EXPORT ssize_t pwrite(int fd, const void* data, size_t length, off_t offset) { return Write(fd, data, length, offset); }
EXPORT ssize_t pwrite64(int fd, const void* data, size_t length, off64_t offset) { return Write(fd, data, length, offset); }
EXPORT ssize_t pwritev(int fd, const iovec* vectors, int count, off_t offset) { return WriteVectors(fd, vectors, count, offset, 0); }
EXPORT ssize_t pwritev64(int fd, const iovec* vectors, int count, off64_t offset) { return WriteVectors(fd, vectors, count, offset, 0); }
EXPORT ssize_t pwritev2(int fd, const iovec* vectors, int count, off_t offset, int flags) { return WriteVectors(fd, vectors, count, offset, flags); }
EXPORT ssize_t pwritev64v2(int fd, const iovec* vectors, int count, off64_t offset, int flags) { return WriteVectors(fd, vectors, count, offset, flags); }
EXPORT ssize_t pread(int fd, void* data, size_t length, off_t offset) { return Read(fd, data, length, offset); }
EXPORT ssize_t pread64(int fd, void* data, size_t length, off64_t offset) { return Read(fd, data, length, offset); }
EXPORT ssize_t preadv(int fd, const iovec* vectors, int count, off_t offset) { return ReadVectors(fd, vectors, count, offset, 0); }
EXPORT ssize_t preadv64(int fd, const iovec* vectors, int count, off64_t offset) { return ReadVectors(fd, vectors, count, offset, 0); }

EXPORT int fsync(int fd) { return SyncCall(fd, "fsync"); }
EXPORT int fdatasync(int fd) { return SyncCall(fd, "fdatasync"); }

EXPORT int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const unsigned mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt(AT_FDCWD, path, flags, mode);
}
EXPORT int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const unsigned mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt(AT_FDCWD, path, flags, mode);
}
EXPORT int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const unsigned mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt(directory, path, flags, mode);
}
EXPORT int openat64(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const unsigned mode = ModeOf(flags, arguments);
  va_end(arguments);
  return OpenAt(directory, path, flags, mode);
}

EXPORT int rename(const char* from, const char* to) {
  return Plain(kRename, to, [&] { return Real<int (*)(const char*, const char*)>("rename")(from, to); });
}
EXPORT int renameat(int from_directory, const char* from, int to_directory, const char* to) {
  return Plain(kRename, to, [&] {
    return Real<int (*)(int, const char*, int, const char*)>("renameat")(from_directory, from, to_directory, to);
  });
}
EXPORT int renameat2(int from_directory, const char* from, int to_directory, const char* to, unsigned flags) {
  return Plain(kRename, to, [&] {
    return Real<int (*)(int, const char*, int, const char*, unsigned)>("renameat2")(from_directory, from, to_directory, to,
                                                                                   flags);
  });
}
EXPORT int unlink(const char* path) {
  return Plain(kUnlink, path, [&] { return Real<int (*)(const char*)>("unlink")(path); });
}
EXPORT int unlinkat(int directory, const char* path, int flags) {
  return Plain(kUnlink, path, [&] { return Real<int (*)(int, const char*, int)>("unlinkat")(directory, path, flags); });
}
EXPORT int ftruncate(int fd, off_t length) {
  char path[4096];
  PathOf(fd, path);
  return Plain(kTruncate, path, [&] { return Real<int (*)(int, off_t)>("ftruncate64")(fd, length); });
}
EXPORT int ftruncate64(int fd, off64_t length) {
  char path[4096];
  PathOf(fd, path);
  return Plain(kTruncate, path, [&] { return Real<int (*)(int, off64_t)>("ftruncate64")(fd, length); });
}

}  // extern "C"
