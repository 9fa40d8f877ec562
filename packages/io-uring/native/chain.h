// One chain on its way through the ring: what is left to do, what of it is with the kernel, and how it ended.
//
// The kernel, or a lane in its place, is given a run: pieces that follow each other in the chain, linked, so that each starts
// when the one before has completed in full. When every completion of a run is back, it is judged in order: the first piece that
// was not done in full (short, interrupted, cancelled because one before it was) is where the next run goes on. So a
// short write inside a chain is continued before anything behind it starts, and nothing is counted as done that wasn't.
//
// Owned by its ring loop, and touched on that loop's JavaScript thread only. While `outstanding` is not zero the
// memory of the run's pieces may be read or written; the references `keep` hold it (and the files' shares hold the
// descriptors), and they are let go only after the last completion has arrived.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "failure.h"
#include "ring_file.h"

namespace stonewal {

enum class Move { kSync, kWrite, kDurableWrite, kZeros, kRead };

inline bool Syncs(Move move) { return move == Move::kSync || move == Move::kDurableWrite; }

struct Step {
  std::shared_ptr<RingFile> file;
  Move move = Move::kSync;
  uint8_t* data = nullptr;  // null: kSync, kZeros
  uint64_t length = 0;
  int64_t offset = 0;
  bool untorn = false;  // of a write: RWF_ATOMIC
  int registered_arena = -1;  // index in the ring's table of registered buffers
};

// One request to the kernel.
struct Piece {
  uint32_t step;
  uint64_t from;  // of the step's bytes
  uint32_t length;
  int32_t result;
};

class Chain {
 public:
  // `numbered`: a failure names its step, because the caller knows them.
  Chain(std::vector<Step> steps, bool numbered) : steps_(std::move(steps)), numbered_(numbered) {}

  const std::vector<Step>& steps() const { return steps_; }
  const Step& step_of(const Piece& piece) const { return steps_[piece.step]; }

  // Makes the next run, of `limit` pieces at most. Empty when the chain is over: done, or failed.
  void Plan(size_t limit);
  // Judges the run, whose results are all there.
  void Settle();
  // The run's pieces from `count` on never reached the kernel.
  void Shorten(size_t count);
  // The kernel would not take the next run.
  void Refuse(int error);

  std::vector<Piece>& run() { return run_; }
  // Linked requests cannot wait where they would have to: ask the kernel to use a worker from the start.
  bool blocking() const { return blocking_; }
  const Failure& failure() const { return failure_; }
  bool is_read() const { return steps_.size() == 1 && steps_[0].move == Move::kRead; }
  // Of a read that is over: how many bytes.
  uint64_t transferred() const { return transferred_; }

  // For a thread of the ring's own, where one is free (see blocking_lane.h). Writes and syncs only.
  bool for_lane = false;
  // Its last run was a lane's and not the kernel's: failures are named by the calls that were made.
  bool in_lane = false;
  // Of its own among the chains of its ring.
  uint64_t number = 0;
  // Completions that have not arrived.
  uint32_t outstanding = 0;
  // Called when the chain is over, and what keeps the arenas' memory; strong references, released by the ring loop.
  napi_ref done = nullptr;
  napi_ref keep = nullptr;

 private:
  enum class Verdict { kFull, kGoOn, kOver };
  Verdict Judge(const Piece& piece);
  Verdict JudgeWrite(const Piece& piece);
  Verdict JudgeRead(const Piece& piece);
  Verdict Again(const Piece& piece, int error);
  Verdict Fail(Failure failure);
  void Advance(const Piece& piece, uint64_t bytes);

  const std::vector<Step> steps_;
  const bool numbered_;
  std::vector<Piece> run_;
  // Where the next run starts: the step, and how many of its bytes are done.
  uint32_t step_ = 0;
  uint64_t bytes_ = 0;
  // Runs in a row that got nowhere.
  unsigned stalls_ = 0;
  bool blocking_ = false;
  uint64_t transferred_ = 0;
  Failure failure_;
};

// Zeros to write from, kZerosBytes of them, page-aligned, for the whole process and never freed.
constexpr uint32_t kZerosBytes = 1u << 20;
const uint8_t* Zeros();

}  // namespace stonewal
