#include "chain.h"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>

namespace stonewal {

namespace {

// A single call may not be larger than 0x7ffff000 bytes.
constexpr uint64_t kMaxCallBytes = uint64_t{1} << 30;
// A bound, so that a kernel that keeps saying "again" ends as an error and not as a loop.
constexpr unsigned kMaxStalls = 100;

const char* NameOf(Move move, bool in_lane) {
  switch (move) {
    case Move::kSync:
      return in_lane ? "fdatasync" : "io_uring fdatasync";
    case Move::kDurableWrite:
      return in_lane ? "pwritev2(RWF_DSYNC)" : "io_uring write (RWF_DSYNC)";
    case Move::kRead:
      return "io_uring read";
    default:
      return in_lane ? "pwrite" : "io_uring write";
  }
}

const char* OperationOf(Move move) {
  if (move == Move::kSync) return "sync";
  return move == Move::kRead ? "read" : "write";
}

}  // namespace

const uint8_t* Zeros() {
  // Pages that nobody has written are the kernel's one page of zeros: this costs no memory.
  static const uint8_t* const zeros = []() -> const uint8_t* {
    void* const pages = mmap(nullptr, kZerosBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? nullptr : static_cast<const uint8_t*>(pages);
  }();
  return zeros;
}

void Chain::Plan(size_t limit) {
  run_.clear();
  if (failure_) return;
  uint32_t at = step_;
  uint64_t from = bytes_;
  while (at < steps_.size() && run_.size() < limit) {
    const Step& step = steps_[at];
    if (step.move != Move::kRead) {
      if (const Failure poisoned = step.file->Poisoned()) {
        // What comes before it is still run.
        if (run_.empty()) Fail(poisoned);
        return;
      }
    }
    const uint64_t left = step.length - from;
    if (step.move == Move::kSync || left > 0) {
      const uint64_t most = step.move == Move::kZeros ? kZerosBytes : kMaxCallBytes;
      const uint32_t length = static_cast<uint32_t>(std::min(left, most));
      run_.push_back({at, from, length, 0});
      from += length;
    }
    if (from == step.length) {
      at++;
      from = 0;
    }
  }
}

void Chain::Shorten(size_t count) { run_.resize(count); }

void Chain::Refuse(int error) {
  run_.clear();
  Fail(Failed(error, "", "io_uring_enter"));
}

void Chain::Settle() {
  const uint32_t step_before = step_;
  const uint64_t bytes_before = bytes_;
  for (const Piece& piece : run_) {
    if (Judge(piece) != Verdict::kFull) break;
  }
  const bool stalled = step_ == step_before && bytes_ == bytes_before;
  stalls_ = stalled ? stalls_ + 1 : 0;
  if (!stalled) blocking_ = false;
  run_.clear();
}

Chain::Verdict Chain::Fail(Failure failure) {
  if (numbered_) failure.step = step_;
  failure_ = failure;
  return Verdict::kOver;
}

// The chain has come `bytes` bytes of the piece further.
void Chain::Advance(const Piece& piece, uint64_t bytes) {
  step_ = piece.step;
  bytes_ = piece.from + bytes;
  if (bytes_ < steps_[piece.step].length) return;
  step_++;
  bytes_ = 0;
}

Chain::Verdict Chain::Again(const Piece& piece, int error) {
  if (stalls_ < kMaxStalls) {
    // EAGAIN: what can't be had without waiting has to wait in a worker.
    if (error == EAGAIN) blocking_ = true;
    return Verdict::kGoOn;
  }
  const Move move = step_of(piece).move;
  return Fail(Failed(error, OperationOf(move), NameOf(move, in_lane)));
}

Chain::Verdict Chain::Judge(const Piece& piece) {
  const Step& step = step_of(piece);
  const int error = piece.result < 0 ? -piece.result : 0;
  // The piece to go on from, should it not be done.
  step_ = piece.step;
  bytes_ = piece.from;
  // Cancelled though nothing before it went wrong: the kernel gave the request up, not the device.
  if (error == EINTR || error == ECANCELED) return Again(piece, error);
  if (step.move == Move::kSync) {
    if (error != 0) return Fail(step.file->Poison(Failed(error, "sync", NameOf(step.move, in_lane))));
    Advance(piece, 0);
    return Verdict::kFull;
  }
  if (error == EAGAIN) return Again(piece, error);
  return step.move == Move::kRead ? JudgeRead(piece) : JudgeWrite(piece);
}

Chain::Verdict Chain::JudgeWrite(const Piece& piece) {
  const Step& step = step_of(piece);
  RingFile& file = *step.file;
  if (piece.result < 0) {
    Failure failure = Failed(-piece.result, "write", NameOf(step.move, in_lane));
    if (step.move != Move::kDurableWrite) return Fail(failure);
    switch (failure.error) {
      case EINVAL:
      case EBADF:
      case EFBIG:
      case EOPNOTSUPP:
        return Fail(failure);  // refused before anything was synced
      default:
        // Whether the write or its sync failed can't be told from one result: the worse is assumed. Out of space
        // keeps its own code; the rest is what a failed sync is.
        if (failure.error != ENOSPC && failure.error != EDQUOT) failure.operation = "sync";
        return Fail(file.Poison(failure));
    }
  }
  uint32_t written = std::min(static_cast<uint32_t>(piece.result), piece.length);
  // A rest written by a second request would be a write that can be torn between the two.
  if (step.untorn && written < step.length) return Fail(Failed(EIO, "write", NameOf(step.move, in_lane)));
  // A direct write cut short inside a block: go on from the block's start, with the same bytes.
  if (file.direct() && written < piece.length) written -= written % file.alignment();
  if (written == 0) {
    // Once may be the rounding just above; twice without progress would go on for ever.
    return stalls_ > 0 ? Fail(Failed(EIO, "write", NameOf(step.move, in_lane))) : Verdict::kGoOn;
  }
  const bool full = written == piece.length;
  // A sync that failed meanwhile may have been told of this write's pages.
  if (const Failure poisoned = file.Poisoned()) return Fail(poisoned);
  Advance(piece, written);
  return full ? Verdict::kFull : Verdict::kGoOn;
}

Chain::Verdict Chain::JudgeRead(const Piece& piece) {
  const Step& step = step_of(piece);
  RingFile& file = *step.file;
  if (piece.result < 0) return Fail(Failed(-piece.result, "read", NameOf(step.move, in_lane)));
  const uint32_t got = std::min(static_cast<uint32_t>(piece.result), piece.length);
  transferred_ = piece.from + got;
  if (got == piece.length) {
    Advance(piece, got);
    return Verdict::kFull;
  }
  // The end of the file, or cut short before it. A direct read can't ask for the rest from inside a block.
  int64_t size = 0;
  if (const Failure failure = file.Size(&size)) return Fail(failure);
  if (got == 0 || step.offset + static_cast<int64_t>(transferred_) >= size) {
    step_++;
    bytes_ = 0;
    return Verdict::kOver;
  }
  const uint32_t whole = file.direct() ? got - got % file.alignment() : got;
  if (whole == 0 && stalls_ > 0) return Fail(Failed(EIO, "read", NameOf(step.move, in_lane)));
  Advance(piece, whole);
  return Verdict::kGoOn;
}

}  // namespace stonewal
