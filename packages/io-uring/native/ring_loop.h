// A ring on an environment's event loop.
//
// Everything happens on the JavaScript thread of the environment: it submits, and it takes completions when libuv says
// that the ring is readable. No thread of the pool, and none that waits in the ring and wakes the loop: there is a hop less,
// and nothing that could call into an environment that is gone. What the kernel can't do without waiting it gives to workers
// of its own, so a chain goes on while JavaScript computes; only who waits for it is told late. Where the thread never
// rests, threads of the ring's own take the kernel's place (blocking_lane.h); they touch nothing of JavaScript's, either.
//
// Lives from Open until libuv has closed its handle, whoever holds shares of it: the JavaScript handle (until it is
// collected), the arenas that are registered with it, and, until then, itself. Idle, its handle does not keep the process
// alive; with a chain under way it does.
//
// The end of an environment (worker.terminate(), the end of a worker or the process) comes through a cleanup hook, before
// any of its memory is freed: chains that wait are dropped, what is with the kernel or a lane is cancelled, and every
// completion is waited for. Cancelling alone would not do: a request may go on writing from memory that is somebody else's by
// then. At process.exit() there may be no hook: the kernel then keeps what it needs until it is done, and of a lane's run
// the call that it has made is finished, and no other begun.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "chain.h"
#include "chain_queue.h"
#include "ring.h"
#include "thread_load.h"
#include "uv.h"

namespace stonewal {

class RingLoop : public std::enable_shared_from_this<RingLoop> {
 public:
  // Null, with `refusal` set, where there can be no ring.
  static std::shared_ptr<RingLoop> Open(napi_env env, unsigned entries, RingRefusal* refusal);
  ~RingLoop();
  RingLoop(const RingLoop&) = delete;
  RingLoop& operator=(const RingLoop&) = delete;

  // Runs the chain, then calls done(errno, operation, syscall, step, poisoned, value) once: later, or during this call
  // where the chain is over at once. `keep` is kept from being collected until then. The chain's number, or 0, with nothing
  // started, when the environment or the ring is ending.
  uint64_t Start(std::unique_ptr<Chain> chain, napi_value keep, napi_value done);

  // Blocks until that chain is over and its `done` has been called; those of others that are over by then are called as
  // well. Nothing to do for one whose `done` has been called.
  void Finish(uint64_t number);

  // Closes the ring. With chains under way it waits for what is with the kernel, and tells nobody.
  void End();

  // Whether its JavaScript thread works without a rest.
  bool Busy() { return load_.Busy(); }

  // Bytes of arenas that are registered with the ring: they are pinned.
  size_t pinned_bytes = 0;
  Ring& ring() { return ring_; }
  // Registers the file with the ring, where that can be had and hasn't been tried.
  void Register(RingFile* file);
  void Unregister(RingFile* file);

 private:
  explicit RingLoop(napi_env env) : env_(env) {}

  static void OnReady(uv_poll_s* handle, int status, int events);
  static void OnClosed(uv_handle_s* handle);
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle hook, void* data);

  bool IsUnderWay(uint64_t number) const;
  void TakeCompletions();
  void Pump();
  void StartRuns();
  void Over(Chain* chain);
  void CallDone(Chain* chain, bool in_javascript);
  void Deliver(bool in_javascript);
  void ReleaseReferences(Chain* chain);

  const napi_env env_;
  Ring ring_;
  uv_poll_s* poll_ = nullptr;
  ThreadLoad load_;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  napi_async_context async_context_ = nullptr;
  bool ended_ = false;
  // From Open until OnClosed.
  std::shared_ptr<RingLoop> self_;

  // Every chain under way, by address.
  std::unordered_map<Chain*, std::unique_ptr<Chain>> chains_;
  uint64_t last_number_ = 0;
  // In this order: waits for files; has them, and its next run waits for room in the ring; is over, and nobody has
  // been told.
  ChainQueue queue_;
  std::deque<Chain*> ready_;
  std::vector<std::unique_ptr<Chain>> over_;
};

}  // namespace stonewal
