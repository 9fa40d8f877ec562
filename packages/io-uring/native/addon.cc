// How this addon moves data: requests to an io_uring, on the JavaScript thread. The rest of its exports is that of every
// addon.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "faults.h"
#include "registered_arena.h"
#include "ring_loop.h"

namespace stonewal {

std::shared_ptr<OpenFile> MakeFile(int descriptor, bool direct, const WriteLimits& limits) {
  return std::make_shared<RingFile>(descriptor, direct, limits);
}

namespace {

constexpr unsigned kMaxEntries = 4096;

// The JavaScript handle of a ring. Collected without having been ended, it ends it.
struct RingHandle {
  explicit RingHandle(std::shared_ptr<RingLoop> ring_loop) : loop(std::move(ring_loop)) {}
  ~RingHandle() { loop->End(); }
  RingHandle(const RingHandle&) = delete;
  RingHandle& operator=(const RingHandle&) = delete;
  const std::shared_ptr<RingLoop> loop;
};

using RingShare = std::unique_ptr<RingHandle>;

// Null, with an error thrown, when the argument is no ring.
std::shared_ptr<RingLoop> RingOf(const Napi::CallbackInfo& info) {
  RingShare* const ring = HandleOf<RingShare>(info.Env(), info[0]);
  if (ring != nullptr) return (*ring)->loop;
  Misuse(info.Env(), "not a ring");
  return nullptr;
}

std::shared_ptr<RingFile> RingFileOf(const Napi::CallbackInfo& info) {
  return std::static_pointer_cast<RingFile>(FileOf(info, 1));
}

// openRing(entries): [ring, mode], or [undefined, errno, syscall, what is missing]
Napi::Value OpenRing(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const double entries = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
  if (!IsCount(entries) || entries < 1 || entries > kMaxEntries) {
    Misuse(env, "openRing(entries)");
    return env.Undefined();
  }
  Napi::Array result = Napi::Array::New(env);
  RingRefusal refusal;
  const std::shared_ptr<RingLoop> loop = RingLoop::Open(env, static_cast<unsigned>(entries), &refusal);
  if (loop) {
    const napi_value handle = MakeHandle<RingShare>(env, std::make_unique<RingHandle>(loop));
    if (handle == nullptr) return env.Undefined();
    result.Set(0u, Napi::Value(env, handle));
    result.Set(1u, loop->ring().mode());
    return result;
  }
  result.Set(0u, env.Undefined());
  result.Set(1u, refusal.error);
  result.Set(2u, refusal.syscall);
  result.Set(3u, refusal.missing);
  return result;
}

// end(ring)
Napi::Value End(const Napi::CallbackInfo& info) {
  const auto loop = RingOf(info);
  if (loop) loop->End();
  return info.Env().Undefined();
}

// The chain's number; 0 with an error thrown.
uint64_t StartChain(const Napi::CallbackInfo& info, const std::shared_ptr<RingLoop>& loop,
                    std::unique_ptr<Chain> chain, Napi::Value keep) {
  Napi::Value done;
  if (!CompletionOf(info, &done)) return 0;
  for (const Step& step : chain->steps()) loop->Register(step.file.get());
  const uint64_t number = loop->Start(std::move(chain), keep, done);
  if (number == 0) Misuse(info.Env(), "the ring is closed");
  return number;
}

uint64_t StartSubmitted(const Napi::CallbackInfo& info, const std::shared_ptr<RingLoop>& loop) {
  const Napi::Env env = info.Env();
  std::vector<ChainStep> chain;
  if (!loop || !ChainOf(info, 1, &chain)) return 0;
  const bool busy = loop->Busy();
  bool for_lane = false;
  std::vector<Step> steps;
  steps.reserve(chain.size());
  for (ChainStep& from : chain) {
    Step step;
    step.file = std::static_pointer_cast<RingFile>(std::move(from.file));
    if (from.write) {
      step.move = from.durable ? Move::kDurableWrite : Move::kWrite;
      step.data = from.data;
      step.length = from.length;
      step.offset = from.offset;
      step.untorn = from.untorn;
      // The kernel takes RWF_ATOMIC from plain memory only, and answers EINVAL to a registered buffer.
      if (step.file->direct() && !step.untorn) step.registered_arena = UseArena(env, loop, from.arena);
    }
    for_lane = for_lane || (busy && step.move == Move::kDurableWrite && step.file->direct());
    steps.push_back(std::move(step));
  }
#ifdef STONEWAL_FAULTS
  for_lane = for_lane || faults::Lanes();
#endif
  auto started = std::make_unique<Chain>(std::move(steps), true);
  started->for_lane = for_lane;
  return StartChain(info, loop, std::move(started), info[2]);
}

// submit(ring, files, arenas, steps, count, done): the chain's number
Napi::Value Submit(const Napi::CallbackInfo& info) {
  const uint64_t number = StartSubmitted(info, RingOf(info));
  return number == 0 ? info.Env().Undefined() : Napi::Value(info.Env(), Number(info.Env(), static_cast<double>(number)));
}

// submitNow(ring, files, arenas, steps, count, done): blocks; `done` is called before it returns
Napi::Value SubmitNow(const Napi::CallbackInfo& info) {
  const auto loop = RingOf(info);
  const uint64_t number = StartSubmitted(info, loop);
  if (number != 0) loop->Finish(number);
  return info.Env().Undefined();
}

// finish(ring, number): blocks until that chain is over and its `done` has been called
Napi::Value Finish(const Napi::CallbackInfo& info) {
  const auto loop = RingOf(info);
  int64_t number;
  if (loop && CountsOf(info, 1, 1, &number)) loop->Finish(static_cast<uint64_t>(number));
  return info.Env().Undefined();
}

// read(ring, file, bytes, start, length, offset, done(…, bytes read))
Napi::Value Read(const Napi::CallbackInfo& info) {
  const auto loop = RingOf(info);
  const auto file = loop ? RingFileOf(info) : nullptr;
  Step step;
  size_t length;
  if (!file || !RegionOf(info, 2, &step.data, &length, &step.offset)) return info.Env().Undefined();
  step.file = file;
  step.move = Move::kRead;
  step.length = length;
  if (file->direct()) step.registered_arena = UseArena(info.Env(), loop, info[2]);
  StartChain(info, loop, std::make_unique<Chain>(std::vector<Step>{step}, false), info[2]);
  return info.Env().Undefined();
}

// writeZeros(ring, file, offset, length, done)
Napi::Value WriteZeros(const Napi::CallbackInfo& info) {
  const auto loop = RingOf(info);
  const auto file = loop ? RingFileOf(info) : nullptr;
  int64_t counts[2];
  if (!file || !CountsOf(info, 2, 2, counts)) return info.Env().Undefined();
  if (Zeros() == nullptr) {
    Misuse(info.Env(), "no memory for zeros");
    return info.Env().Undefined();
  }
  Step zeros;
  zeros.file = file;
  zeros.move = Move::kZeros;
  zeros.offset = counts[0];
  zeros.length = static_cast<uint64_t>(counts[1]);
  Step sync;
  sync.file = file;
  StartChain(info, loop, std::make_unique<Chain>(std::vector<Step>{zeros, sync}, false), info[1]);
  return info.Env().Undefined();
}

// sync(ring, file, done)
Napi::Value Sync(const Napi::CallbackInfo& info) {
  const auto loop = RingOf(info);
  const auto file = loop ? RingFileOf(info) : nullptr;
  if (!file) return info.Env().Undefined();
  Step sync;
  sync.file = file;
  StartChain(info, loop, std::make_unique<Chain>(std::vector<Step>{sync}, false), info[1]);
  return info.Env().Undefined();
}

// forget(ring, file): before the file is closed. The ring would keep it open.
Napi::Value Forget(const Napi::CallbackInfo& info) {
  const auto loop = RingOf(info);
  const auto file = loop ? RingFileOf(info) : nullptr;
  if (file) loop->Unregister(file.get());
  return info.Env().Undefined();
}

#ifdef STONEWAL_FAULTS

// setFaults(rules)
Napi::Value SetFaults(const Napi::CallbackInfo& info) {
  if (!info[0].IsString() || !faults::SetRules(info[0].As<Napi::String>())) Misuse(info.Env(), "not understood");
  return info.Env().Undefined();
}

// setLanes(always)
Napi::Value SetLanes(const Napi::CallbackInfo& info) {
  faults::SetLanes(info[0].ToBoolean());
  return info.Env().Undefined();
}

// faultCounts(): [applied, overlapped syncs, runs given to a lane]
Napi::Value FaultCounts(const Napi::CallbackInfo& info) {
  const faults::Counts counts = faults::CountsSoFar();
  Napi::Array result = Napi::Array::New(info.Env());
  result.Set(0u, static_cast<double>(counts.applied));
  result.Set(1u, static_cast<double>(counts.overlapped));
  result.Set(2u, static_cast<double>(counts.in_lanes));
  return result;
}

#endif

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  AddSharedBindings(env, exports);
  exports.Set("openRing", Napi::Function::New<OpenRing>(env));
  exports.Set("end", Napi::Function::New<End>(env));
  exports.Set("submit", Napi::Function::New<Submit>(env));
  exports.Set("submitNow", Napi::Function::New<SubmitNow>(env));
  exports.Set("finish", Napi::Function::New<Finish>(env));
  exports.Set("read", Napi::Function::New<Read>(env));
  exports.Set("writeZeros", Napi::Function::New<WriteZeros>(env));
  exports.Set("sync", Napi::Function::New<Sync>(env));
  exports.Set("forget", Napi::Function::New<Forget>(env));
#ifdef STONEWAL_FAULTS
  exports.Set("setFaults", Napi::Function::New<SetFaults>(env));
  exports.Set("setLanes", Napi::Function::New<SetLanes>(env));
  exports.Set("faultCounts", Napi::Function::New<FaultCounts>(env));
#endif
  return exports;
}

}  // namespace

}  // namespace stonewal

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) { return stonewal::Init(env, exports); }

NODE_API_MODULE(NODE_GYP_MODULE_NAME, InitModule)
