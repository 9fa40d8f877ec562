#include "faults.h"

#ifdef STONEWAL_FAULTS

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace stonewal {
namespace faults {

namespace {

enum Call : unsigned { kWrite = 1, kSync = 2, kRead = 4, kEnter = 8, kSetup = 16, kRegister = 32, kMessage = 64, kGive = 128 };

struct Rule {
  unsigned calls = 0;
  std::string path;
  uint64_t first = 0;
  uint64_t last = 0;
  Effect effect;
  uint64_t seen = 0;
};

struct Decided {
  Effect effect;
  std::vector<size_t> matched;
  bool syncs = false;
  const RingFile* file = nullptr;
  uint64_t rules = 0;
};

// Of the whole process, because rules are; the rings of several threads may use it.
struct State {
  std::mutex mutex;
  std::vector<Rule> rules;
  bool lanes = false;
  uint64_t generation = 0;
  Counts counts = {0, 0, 0};
  std::map<std::pair<const Chain*, uint32_t>, Decided> decided;
  std::map<const RingFile*, std::multiset<const Chain*>> syncing;
};

State& TheState() {
  static State& state = *new State();
  return state;
}

bool ParseRule(const std::string& text, Rule* rule) {
  std::vector<std::string> parts;
  for (size_t at = 0;;) {
    const size_t end = text.find(':', at);
    parts.push_back(text.substr(at, end - at));
    if (end == std::string::npos) break;
    at = end + 1;
  }
  if (parts.size() != 4) return false;
  const std::pair<const char*, Call> calls[] = {{"write", kWrite}, {"sync", kSync},   {"read", kRead},
                                                {"enter", kEnter}, {"setup", kSetup}, {"register", kRegister},
                                                {"message", kMessage}, {"give", kGive}};
  for (const auto& [name, call] : calls) {
    if (parts[0] == name) rule->calls = call;
  }
  rule->path = parts[1];
  char* rest;
  rule->first = rule->last = strtoull(parts[2].c_str(), &rest, 10);
  if (*rest == '+') {
    rule->last = UINT64_MAX;
    rest++;
  } else if (*rest == '-') {
    rule->last = strtoull(rest + 1, &rest, 10);
  }
  if (rule->calls == 0 || rule->first == 0 || *rest != '\0') return false;
  const std::string& effect = parts[3];
  if (effect.rfind("short=", 0) == 0) {
    rule->effect = {Effect::kShort, strtol(effect.c_str() + 6, nullptr, 10)};
    return true;
  }
  if (effect.rfind("delay=", 0) == 0) {
    rule->effect = {Effect::kSlow, strtol(effect.c_str() + 6, nullptr, 10)};
    return true;
  }
  const std::pair<const char*, int> errors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
                                                {"EINTR", EINTR},   {"EAGAIN", EAGAIN}, {"EBUSY", EBUSY},
                                                {"ENOMEM", ENOMEM}, {"EINVAL", EINVAL}, {"ECANCELED", ECANCELED}};
  for (const auto& [name, value] : errors) {
    if (effect == name) rule->effect = {Effect::kError, value};
  }
  return rule->effect.kind != Effect::kNone;
}

std::string PathOf(int fd) {
  char link[64];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path);
  return std::string(path, length < 0 ? 0 : static_cast<size_t>(length));
}

unsigned CallsOf(Move move) {
  switch (move) {
    case Move::kSync:
      return kSync;
    case Move::kRead:
      return kRead;
    case Move::kDurableWrite:
      return kWrite | kSync;
    default:
      return kWrite;
  }
}

}  // namespace

bool SetRules(const std::string& text) {
  std::vector<Rule> rules;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(';', at), text.size());
    Rule rule;
    if (end > at && !ParseRule(text.substr(at, end - at), &rule)) return false;
    if (end > at) rules.push_back(rule);
    at = end + 1;
  }
  State& state = TheState();
  std::lock_guard<std::mutex> lock(state.mutex);
  state.rules = std::move(rules);
  state.generation++;
  state.counts = {0, 0, state.counts.in_lanes};
  return true;
}

void InLane() {
  State& state = TheState();
  std::lock_guard<std::mutex> lock(state.mutex);
  state.counts.in_lanes++;
}

void SetLanes(bool always) {
  State& state = TheState();
  std::lock_guard<std::mutex> lock(state.mutex);
  if (state.lanes == always) return;
  state.lanes = always;
  state.counts.in_lanes = 0;
}

bool Lanes() {
  State& state = TheState();
  std::lock_guard<std::mutex> lock(state.mutex);
  return state.lanes;
}

Counts CountsSoFar() {
  State& state = TheState();
  std::lock_guard<std::mutex> lock(state.mutex);
  return state.counts;
}

Effect Decide(const Chain& chain, uint32_t index) {
  const Step& step = chain.step_of(const_cast<Chain&>(chain).run()[index]);
  State& state = TheState();
  std::lock_guard<std::mutex> lock(state.mutex);
  Decided decided;
  decided.rules = state.generation;
  const unsigned calls = CallsOf(step.move);
  for (size_t i = 0; i < state.rules.size(); i++) {
    Rule& rule = state.rules[i];
    if ((rule.calls & calls) == 0) continue;
    if (PathOf(step.file->descriptor()).find(rule.path) == std::string::npos) continue;
    rule.seen++;
    decided.matched.push_back(i);
    if (decided.effect.kind != Effect::kNone || rule.seen < rule.first || rule.seen > rule.last) continue;
    decided.effect = rule.effect;
  }
  if (Syncs(step.move)) {
    decided.syncs = true;
    decided.file = step.file.get();
    auto& syncing = state.syncing[decided.file];
    if (!syncing.empty() && syncing.count(&chain) != syncing.size()) state.counts.overlapped++;
    syncing.insert(&chain);
  }
  const Effect effect = decided.effect;
  state.decided[{&chain, index}] = std::move(decided);
  return effect;
}

int32_t Completed(const Chain& chain, uint32_t index, int32_t result) {
  State& state = TheState();
  std::lock_guard<std::mutex> lock(state.mutex);
  const auto found = state.decided.find({&chain, index});
  if (found == state.decided.end()) return result;
  const Decided decided = std::move(found->second);
  state.decided.erase(found);
  if (decided.syncs) {
    auto& syncing = state.syncing[decided.file];
    syncing.erase(syncing.find(&chain));
    if (syncing.empty()) state.syncing.erase(decided.file);
  }
  const bool current = decided.rules == state.generation;
  if (result == -ECANCELED) {
    if (current) {
      for (const size_t i : decided.matched) state.rules[i].seen--;
    }
    return result;
  }
  const Effect& effect = decided.effect;
  if (effect.kind == Effect::kNone) return result;
  if (current) state.counts.applied++;
  if (effect.kind == Effect::kError) return static_cast<int32_t>(-effect.value);
  if (effect.kind == Effect::kShort && effect.value == 0) return 0;
  return effect.kind == Effect::kShort ? std::min(result, static_cast<int32_t>(effect.value)) : result;
}

__kernel_timespec* Delay(int64_t ms) {
  return new __kernel_timespec{ms / 1000, (ms % 1000) * 1000000};
}

namespace {

// The effect on a call that is about no file.
Effect DecideCall(Call call) {
  State& state = TheState();
  std::lock_guard<std::mutex> lock(state.mutex);
  Effect effect;
  for (Rule& rule : state.rules) {
    if ((rule.calls & call) == 0) continue;
    rule.seen++;
    if (effect.kind == Effect::kNone && rule.seen >= rule.first && rule.seen <= rule.last) effect = rule.effect;
  }
  if (effect.kind != Effect::kNone) state.counts.applied++;
  return effect;
}

int ErrorOf(const Effect& effect) { return effect.kind == Effect::kError ? static_cast<int>(effect.value) : 0; }

}  // namespace

int Setup() { return ErrorOf(DecideCall(kSetup)); }
int Register() { return ErrorOf(DecideCall(kRegister)); }
int Message() { return ErrorOf(DecideCall(kMessage)); }

int64_t GiveDelay() {
  const Effect effect = DecideCall(kGive);
  return effect.kind == Effect::kSlow ? effect.value : 0;
}

bool Enter(io_uring* ring, int* result) {
  const Effect effect = DecideCall(kEnter);
  if (effect.kind != Effect::kError && effect.kind != Effect::kShort) return false;
  // What the library has to do before the call: publish the requests.
  io_uring_sq& queue = ring->sq;
  const unsigned tail = queue.sqe_tail;
  const unsigned mask = *queue.kring_mask;
  for (unsigned at = queue.sqe_head; at != tail; at++) queue.array[at & mask] = at & mask;
  queue.sqe_head = tail;
  io_uring_smp_store_release(queue.ktail, tail);
  if (effect.kind == Effect::kError) {
    *result = static_cast<int>(-effect.value);
    return true;
  }
  const long taken = syscall(SYS_io_uring_enter, ring->ring_fd, static_cast<unsigned>(effect.value), 0, 0, nullptr, 0);
  *result = taken < 0 ? -errno : static_cast<int>(taken);
  return true;
}

}  // namespace faults
}  // namespace stonewal

#endif
