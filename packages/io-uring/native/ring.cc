#include "ring.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "faults.h"

#ifndef RWF_DSYNC
#define RWF_DSYNC 0x2
#endif
#ifndef RWF_ATOMIC
#define RWF_ATOMIC 0x40
#endif

// Younger than the liburing that this may be built with. The kernel refuses what it does not know, and is then asked
// without.
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif

namespace stonewal {

namespace {

// In place of a slot: a request whose completion nobody waits for.
constexpr uint32_t kNoSlot = UINT32_MAX;

// A direct read pins its pages before it is queued, and pages of fresh memory are made then, by the thread that submits. From
// this length on the ring's own threads do that: a replay of 4 KiB records, read 1 MiB at a time, then takes 1.8 to 2.1 GiB/s in
// place of 0.6 to 1.7.
constexpr uint32_t kReadAsideBytes = 128 * 1024;
constexpr unsigned kCompletionsPerEntry = 4;
// How often, and how far apart, the kernel is asked again when it has no memory for requests just now.
constexpr int kEnterTries = 100;
constexpr long kEnterPauseNs = 100 * 1000;

constexpr int kFileTable = 64;
constexpr int kBufferTable = 64;

struct Mode {
  unsigned flags;
  const char* name;
};

// The figures in this file: medians of 1,500, in random order, on two cores, ext4 on a virtio disk, kernel 6.18, over
// preallocated blocks; an epoll loop in C in the place of the JavaScript thread. A commit is a chain of two durable
// writes of 4 KiB, to two files.
//
// The best mode first:
//
//                                              buffered    direct     times the loop wakes up
//   plain                                      217.6 us    192.5 us   2
//   COOP_TASKRUN | SINGLE_ISSUER               216.4       191.8      2
//   DEFER_TASKRUN | SINGLE_ISSUER              239.8       191.3      4
//
// With DEFER_TASKRUN the kernel goes on to the next request of a chain only when this thread comes by and lets it: a
// chain would stand still while JavaScript computes, and one commit would be as many system calls as it has steps. It
// is made for a thread that does nothing but wait in the ring. With COOP_TASKRUN a chain runs by itself, and nothing
// interrupts JavaScript. SQPOLL would take a processor.
const Mode kModes[] = {
    {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL, "COOP_TASKRUN | SINGLE_ISSUER"},
    {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL, "COOP_TASKRUN"},  // before 6.0
    {0, "plain"},                                                          // before 5.19
};

}  // namespace

bool Ring::Open(unsigned entries, RingRefusal* refusal) {
  utsname system;
  unsigned major = 0;
  unsigned minor = 0;
  if (uname(&system) == 0 && sscanf(system.release, "%u.%u", &major, &minor) == 2 &&
      (major < 5 || (major == 5 && minor < 10))) {
    refusal->error = ENOSYS;
    refusal->missing = std::string("Linux 5.10 or later is needed, this is ") + system.release;
    return false;
  }
  int result = -ENOSYS;
  for (const Mode& mode : kModes) {
    io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = mode.flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = entries * kCompletionsPerEntry;
#ifdef STONEWAL_FAULTS
    result = -faults::Setup();
    if (result == 0)
#endif
    result = io_uring_queue_init_params(entries, &ring_, &params);
    if (result == 0) {
      open_ = true;
      mode_ = mode.name;
      entries_ = params.sq_entries;
      slots_.resize(params.cq_entries);
      free_.reserve(slots_.size());
      for (size_t i = slots_.size(); i > 0; i--) free_.push_back(static_cast<uint32_t>(i - 1));
      break;
    }
    if (result != -EINVAL) break;
  }
  if (result != 0) {
    refusal->error = -result;
    refusal->syscall = "io_uring_setup";
    return false;
  }
  if (Probe(refusal)) return true;
  Close();
  return false;
}

bool Ring::Probe(RingRefusal* refusal) {
  io_uring_probe* const probe = io_uring_get_probe_ring(&ring_);
  if (probe == nullptr) {
    refusal->error = EOPNOTSUPP;
    refusal->syscall = "io_uring_register";
    refusal->missing = "it does not say which operations it has";
    return false;
  }
  for (const auto& [operation, name] : {std::pair<int, const char*>{IORING_OP_WRITE, "IORING_OP_WRITE"},
                                        {IORING_OP_READ, "IORING_OP_READ"},
                                        {IORING_OP_FSYNC, "IORING_OP_FSYNC"}}) {
    if (!io_uring_opcode_supported(probe, operation)) refusal->missing += std::string(" ") + name;
  }
  takes_messages_ = io_uring_opcode_supported(probe, IORING_OP_MSG_RING);
  io_uring_free_probe(probe);
  if (refusal->missing.empty()) return true;
  refusal->error = EOPNOTSUPP;
  refusal->syscall = "io_uring_register";
  refusal->missing = "it lacks" + refusal->missing;
  return false;
}

void Ring::Close() {
  if (!open_) return;
  open_ = false;
  for (BlockingLane& lane : lanes_) lane.Stop();
  io_uring_queue_exit(&ring_);
}

bool Ring::HasRoom(size_t pieces) const {
  return pieces <= entries_ / faults::kRequestsPerPiece && pieces * faults::kRequestsPerPiece <= free_.size();
}

uint64_t Ring::TakeSlot(Chain* chain, uint32_t piece) {
  const uint32_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.chain = chain;
  slot.piece = piece;
  queued_.push_back(index);
  return uint64_t{slot.generation} << 32 | index;
}

void Ring::FreeSlot(uint32_t index) {
  Slot& slot = slots_[index];
  slot.chain = nullptr;
  slot.generation++;
  free_.push_back(index);
}

void Ring::Prepare(io_uring_sqe* request, const Step& step, const Piece& piece) {
  const RingFile& file = *step.file;
  const int fd = file.registered >= 0 ? file.registered : file.descriptor();
  const uint64_t offset = static_cast<uint64_t>(step.offset) + piece.from;
  uint8_t* const data = step.data == nullptr ? nullptr : step.data + piece.from;
  switch (step.move) {
    case Move::kSync:
      io_uring_prep_fsync(request, fd, IORING_FSYNC_DATASYNC);
      break;
    case Move::kRead:
      if (step.registered_arena >= 0) {
        io_uring_prep_read_fixed(request, fd, data, piece.length, offset, step.registered_arena);
      } else {
        io_uring_prep_read(request, fd, data, piece.length, offset);
        if (piece.length >= kReadAsideBytes) request->flags |= IOSQE_ASYNC;
      }
      break;
    case Move::kZeros:
      io_uring_prep_write(request, fd, Zeros(), piece.length, offset);
      break;
    case Move::kWrite:
    case Move::kDurableWrite:
      if (step.registered_arena >= 0) {
        io_uring_prep_write_fixed(request, fd, data, piece.length, offset, step.registered_arena);
      } else {
        io_uring_prep_write(request, fd, data, piece.length, offset);
      }
      // One request, where a write and a linked fdatasync are two. 216.4 us against 222.8 buffered, 191.8 against 209.8
      // direct; with one write of 256 KiB 167.6 against 173.6, and 156.6 against 168.7. And a device that has FUA need
      // not flush its whole cache.
      if (step.move == Move::kDurableWrite) request->rw_flags |= RWF_DSYNC;
      if (step.untorn) request->rw_flags |= RWF_ATOMIC;
      break;
  }
  if (file.registered >= 0) request->flags |= IOSQE_FIXED_FILE;
}

// Each request reports its own completion, the ones in the middle of a chain too. IOSQE_CQE_SKIP_SUCCESS would leave those
// out and wake the loop once (215.2 us in place of 216.4 buffered, 188.1 in place of 191.8 direct), but then a chain of which
// the kernel took only a part could be done without anybody being told.
void Ring::Queue(Chain* chain) {
  queued_chain_ = chain;
  chain->in_lane = false;
  const auto& run = chain->run();
  for (uint32_t i = 0; i < run.size(); i++) {
    const unsigned link = i + 1 < run.size() ? IOSQE_IO_LINK : 0;
#ifdef STONEWAL_FAULTS
    if (QueueFaulty(chain, i, link)) continue;
#endif
    io_uring_sqe* const request = io_uring_get_sqe(&ring_);
    Prepare(request, chain->step_of(run[i]), run[i]);
    request->flags |= link | (chain->blocking() ? IOSQE_ASYNC : 0);
    io_uring_sqe_set_data64(request, TakeSlot(chain, i));
  }
}

#ifdef STONEWAL_FAULTS

namespace {

bool NothingDone(const faults::Effect& effect) { return effect.kind == faults::Effect::kShort && effect.value == 0; }

// At least as many bytes as asked for, in whole blocks.
uint32_t PartOf(const Piece& piece, const Step& step, const faults::Effect& effect) {
  const uint32_t unit = step.file->alignment();
  const uint64_t bytes = (static_cast<uint64_t>(effect.value) + unit - 1) / unit * unit;
  return static_cast<uint32_t>(std::min<uint64_t>(bytes, piece.length));
}

}  // namespace

#endif

bool Ring::GiveToLane(Chain* chain) {
  if (!takes_messages_) return false;
  const auto lane = std::find_if(lanes_.begin(), lanes_.end(), [&](BlockingLane& one) {
    return one.Ready(descriptor(), entries_) && (one.watched || Watch(&one));
  });
  if (lane == lanes_.end()) return false;
  const auto& run = chain->run();
  std::vector<BlockingLane::Request> requests;
  requests.reserve(run.size());
  for (uint32_t i = 0; i < run.size(); i++) {
    const Piece& piece = run[i];
    const Step& step = chain->step_of(piece);
    BlockingLane::Request request;
    request.id = TakeSlot(chain, i);
    request.descriptor = step.file->descriptor();
    request.move = step.move;
    request.data = step.data == nullptr ? nullptr : step.data + piece.from;
    request.length = piece.length;
    request.offset = step.offset + static_cast<int64_t>(piece.from);
    request.untorn = step.untorn;
#ifdef STONEWAL_FAULTS
    const faults::Effect effect = faults::Decide(*chain, i);
    if (effect.kind == faults::Effect::kError || NothingDone(effect)) request.descriptor = -1;
    if (effect.kind == faults::Effect::kSlow) request.delay_ms = effect.value;
    if (effect.kind == faults::Effect::kShort && !NothingDone(effect)) {
      request.length = PartOf(piece, step, effect);
      request.breaks = true;
    }
#endif
    requests.push_back(request);
  }
  queued_.clear();
#ifdef STONEWAL_FAULTS
  usleep(static_cast<useconds_t>(faults::GiveDelay()) * 1000);
#endif
  if (!lane->Give(requests)) {
    for (uint32_t i = 0; i < run.size(); i++) {
#ifdef STONEWAL_FAULTS
      faults::Completed(*chain, i, -ECANCELED);
#endif
      FreeSlot(static_cast<uint32_t>(requests[i].id));
    }
    return false;
  }
  // Nothing is reaped before this thread comes to it: it is not too late.
  chain->in_lane = true;
  chain->outstanding = static_cast<uint32_t>(run.size());
#ifdef STONEWAL_FAULTS
  faults::InLane();
#endif
  return true;
}

#ifdef STONEWAL_FAULTS

// A request of no piece.
io_uring_sqe* Ring::QueueExtra() {
  queued_.push_back(kNoSlot);
  return io_uring_get_sqe(&ring_);
}

// The kernel itself does what goes wrong, links broken included; only the number of the error is put in its place later.
bool Ring::QueueFaulty(Chain* chain, uint32_t index, unsigned link) {
  const Piece& piece = chain->run()[index];
  const Step& step = chain->step_of(piece);
  const faults::Effect effect = faults::Decide(*chain, index);
  if (effect.kind == faults::Effect::kNone) return false;
  if (effect.kind == faults::Effect::kSlow) {
    static const __u64 kEtimeIsSuccess = IORING_TIMEOUT_ETIME_SUCCESS;
    __kernel_timespec* const time = faults::Delay(effect.value);
    io_uring_sqe* const timeout = QueueExtra();
    io_uring_prep_timeout(timeout, time, 0, kEtimeIsSuccess);
    timeout->flags |= IOSQE_IO_LINK;
    io_uring_sqe_set_data64(timeout, kNobody);
    return false;
  }
  io_uring_sqe* const request = io_uring_get_sqe(&ring_);
  if (effect.kind == faults::Effect::kError || NothingDone(effect)) {
    Prepare(request, step, piece);
    request->fd = -1;
    request->flags &= ~IOSQE_FIXED_FILE;
    request->flags |= link;
    io_uring_sqe_set_data64(request, TakeSlot(chain, index));
    return true;
  }
  // A part, done in full; then one that fails, so that the link breaks there.
  Piece part = piece;
  part.length = PartOf(piece, step, effect);
  Prepare(request, step, part);
  request->flags |= IOSQE_IO_LINK;
  io_uring_sqe_set_data64(request, TakeSlot(chain, index));
  io_uring_sqe* const breaker = QueueExtra();
  io_uring_prep_fsync(breaker, -1, 0);
  breaker->flags |= link;
  io_uring_sqe_set_data64(breaker, kNobody);
  return true;
}

#endif

int Ring::Enter() {
#ifdef STONEWAL_FAULTS
  int injected;
  if (faults::Enter(&ring_, &injected)) return injected;
#endif
  return io_uring_submit(&ring_);
}

// Takes the last requests back, which the kernel has not seen: without SQPOLL it looks at the queue only in io_uring_enter.
// They must not stay: the kernel ends a chain of links with the call that it came in, so that what is left of one, sent
// in the next call, would start at once, beside the part before it.
void Ring::Withdraw(unsigned requests) {
  io_uring_sq& queue = ring_.sq;
  queue.sqe_tail -= requests;
  queue.sqe_head = queue.sqe_tail;
  io_uring_smp_store_release(queue.ktail, queue.sqe_tail);
}

size_t Ring::Submit(int* error) {
  const unsigned total = io_uring_sq_ready(&ring_);
  int taken = 0;
  for (int tries = 0; tries < kEnterTries; tries++) {
    taken = Enter();
    if (taken > 0) break;
    if (taken == -EINTR) continue;
    // No memory for requests (EAGAIN, ENOMEM), or completions that nobody has taken yet (EBUSY), which a try with room
    // in the completion queue takes care of.
    if (taken != 0 && taken != -EAGAIN && taken != -EBUSY && taken != -ENOMEM) break;
    const timespec pause = {0, kEnterPauseNs};
    nanosleep(&pause, nullptr);
  }
  *error = taken > 0 ? 0 : taken == 0 ? EAGAIN : -taken;
  const unsigned left = total - static_cast<unsigned>(std::max(taken, 0));
  if (left > 0) Withdraw(left);
  size_t pieces = 0;
  for (size_t i = 0; i < queued_.size(); i++) {
    if (queued_[i] == kNoSlot) continue;
    if (i < total - left) {
      pieces++;
      continue;
    }
#ifdef STONEWAL_FAULTS
    faults::Completed(*queued_chain_, slots_[queued_[i]].piece, -ECANCELED);
#endif
    FreeSlot(queued_[i]);
  }
  queued_chain_->outstanding = static_cast<uint32_t>(pieces);
  if (pieces < queued_chain_->run().size()) queued_chain_->Shorten(pieces);
  queued_.clear();
  queued_chain_ = nullptr;
  return pieces;
}

// Once is enough: its bell rings once at most.
bool Ring::Watch(BlockingLane* lane) {
  io_uring_sqe* const request = io_uring_get_sqe(&ring_);
  if (request == nullptr) return false;
  io_uring_prep_poll_add(request, lane->bell(), POLLIN);
  io_uring_sqe_set_data64(request, kBell);
  int result;
  do {
    result = io_uring_submit(&ring_);
  } while (result == -EINTR);
  lane->watched = result > 0;
  if (!lane->watched) Withdraw(1);
  return lane->watched;
}

void Ring::Reap(std::vector<Chain*>* back) {
  io_uring_cqe* completion;
  while (io_uring_peek_cqe(&ring_, &completion) == 0) {
    const uint64_t id = io_uring_cqe_get_data64(completion);
    const int32_t result = completion->res;
    io_uring_cqe_seen(&ring_, completion);
    if (id != kBell) {
      Complete(id, result, back);
      continue;
    }
    for (BlockingLane& lane : lanes_) {
      for (const BlockingLane::Request& request : lane.Fetch()) Complete(request.id, request.result, back);
    }
  }
}

void Ring::Complete(uint64_t id, int32_t result, std::vector<Chain*>* back) {
  const uint32_t index = static_cast<uint32_t>(id);
  if (id == kNobody || index >= slots_.size()) return;
  Slot& slot = slots_[index];
  if (slot.chain == nullptr || slot.generation != static_cast<uint32_t>(id >> 32)) return;
  Chain* const chain = slot.chain;
  Piece& piece = chain->run()[slot.piece];
  piece.result = result;
#ifdef STONEWAL_FAULTS
  piece.result = faults::Completed(*chain, slot.piece, result);
#endif
  FreeSlot(index);
  if (--chain->outstanding == 0) back->push_back(chain);
}

void Ring::CancelAll() {
  for (BlockingLane& lane : lanes_) lane.Cancel();
#if defined(IORING_ASYNC_CANCEL_ANY) && defined(IORING_ASYNC_CANCEL_ALL)
  io_uring_sqe* const request = io_uring_get_sqe(&ring_);
  if (request == nullptr) return;
  io_uring_prep_cancel64(request, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
  io_uring_sqe_set_data64(request, kNobody);
  // Before 5.19 the kernel refuses it: then everything runs to its end.
  int result;
  do {
    result = io_uring_submit(&ring_);
  } while (result == -EINTR);
  // It was cancelled as well.
  for (BlockingLane& lane : lanes_) {
    if (lane.watched) Watch(&lane);
  }
#endif
}

void Ring::Wait() {
  io_uring_cqe* completion;
  // Any error but EINTR would be a ring that isn't one, and waiting for ever; the caller looks at the queue again.
  io_uring_wait_cqe(&ring_, &completion);
}

int Ring::RegisterFile(int descriptor) {
  if (files_ == Table::kNotTried) {
    const std::vector<int> empty(kFileTable, -1);
#ifdef STONEWAL_FAULTS
    if (faults::Register() != 0) files_ = Table::kRefused;
    else
#endif
    files_ = io_uring_register_files(&ring_, empty.data(), kFileTable) == 0 ? Table::kThere : Table::kRefused;
    if (files_ == Table::kThere) {
      for (int i = kFileTable; i > 0; i--) free_files_.push_back(i - 1);
    }
  }
  if (files_ != Table::kThere || free_files_.empty()) return -1;
  const int index = free_files_.back();
  if (io_uring_register_files_update(&ring_, static_cast<unsigned>(index), &descriptor, 1) != 1) return -1;
  free_files_.pop_back();
  return index;
}

void Ring::UnregisterFile(int index) {
  const int none = -1;
  if (!open_) return;
  // A place that can't be emptied is not used again.
  if (io_uring_register_files_update(&ring_, static_cast<unsigned>(index), &none, 1) == 1) free_files_.push_back(index);
}

int Ring::RegisterBuffer(void* memory, size_t bytes) {
  if (buffers_ == Table::kNotTried) {
#ifdef STONEWAL_FAULTS
    if (faults::Register() != 0) buffers_ = Table::kRefused;
    else
#endif
    buffers_ = io_uring_register_buffers_sparse(&ring_, kBufferTable) == 0 ? Table::kThere : Table::kRefused;
    if (buffers_ == Table::kThere) {
      for (int i = kBufferTable; i > 0; i--) free_buffers_.push_back(i - 1);
    }
  }
  if (buffers_ != Table::kThere || free_buffers_.empty()) return -1;
  const int index = free_buffers_.back();
  const iovec range = {memory, bytes};
  const __u64 tag = 0;
  // Refused beyond RLIMIT_MEMLOCK.
  if (io_uring_register_buffers_update_tag(&ring_, static_cast<unsigned>(index), &range, &tag, 1) != 1) return -1;
  free_buffers_.pop_back();
  return index;
}

void Ring::UnregisterBuffer(int index) {
  const iovec none = {nullptr, 0};
  const __u64 tag = 0;
  if (!open_) return;
  if (io_uring_register_buffers_update_tag(&ring_, static_cast<unsigned>(index), &none, &tag, 1) == 1) {
    free_buffers_.push_back(index);
  }
}

}  // namespace stonewal
