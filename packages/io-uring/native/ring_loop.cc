#include "ring_loop.h"

#include <errno.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "faults.h"
#include "task.h"

namespace stonewal {

namespace {

uv_handle_s* AsHandle(uv_poll_s* poll) { return reinterpret_cast<uv_handle_s*>(poll); }

}  // namespace

std::shared_ptr<RingLoop> RingLoop::Open(napi_env env, unsigned entries, RingRefusal* refusal) {
  std::shared_ptr<RingLoop> loop(new RingLoop(env));
  if (!loop->ring_.Open(entries, refusal)) return nullptr;
  uv_loop_s* events = nullptr;
  napi_value name;
  refusal->error = ECANCELED;
  if (napi_get_uv_event_loop(env, &events) != napi_ok ||
      napi_create_string_utf8(env, "stonewal:io-uring", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, nullptr, name, &loop->async_context_) != napi_ok) {
    refusal->syscall = "napi_async_init";
    return nullptr;
  }
  uv_poll_s* const poll = static_cast<uv_poll_s*>(calloc(1, uv_handle_size(kUvPoll)));
  // The ring itself is watched, and not an eventfd that it signals: one system call less per completion.
  const int result = poll == nullptr ? -ENOMEM : uv_poll_init(events, poll, loop->ring_.descriptor());
  if (result != 0) {
    free(poll);
    refusal->error = -result;
    refusal->syscall = "epoll_ctl";
    return nullptr;
  }
  loop->poll_ = poll;
  loop->self_ = loop;
  uv_handle_set_data(AsHandle(poll), loop.get());
  // Unreferenced first: started, it must not keep the process alive.
  uv_unref(AsHandle(poll));
  const int started = uv_poll_start(poll, kUvReadable, &RingLoop::OnReady);
  if (started != 0 || napi_add_async_cleanup_hook(env, &RingLoop::OnEnvironmentEnd, loop.get(), &loop->hook_) != napi_ok) {
    refusal->error = started != 0 ? -started : ECANCELED;
    refusal->syscall = "uv_poll_start";
    loop->End();
    return nullptr;
  }
  refusal->error = 0;
  return loop;
}

RingLoop::~RingLoop() {
  if (async_context_ != nullptr) napi_async_destroy(env_, async_context_);
}

void RingLoop::Register(RingFile* file) {
  if (file->registration_tried) return;
  file->registration_tried = true;
  file->registered = ring_.RegisterFile(file->descriptor());
}

void RingLoop::Unregister(RingFile* file) {
  if (file->registered < 0) return;
  ring_.UnregisterFile(file->registered);
  file->registered = -1;
}

uint64_t RingLoop::Start(std::unique_ptr<Chain> chain, napi_value keep, napi_value done) {
  if (ended_) return 0;
  Chain* const started = chain.get();
  if (napi_create_reference(env_, done, 1, &started->done) != napi_ok ||
      napi_create_reference(env_, keep, 1, &started->keep) != napi_ok) {
    ReleaseReferences(started);
    return 0;
  }
  const uint64_t number = started->number = ++last_number_;
  if (chains_.empty()) uv_ref(AsHandle(poll_));
  chains_.emplace(started, std::move(chain));
  queue_.Add(started);
  Pump();
  Deliver(true);
  return number;
}

bool RingLoop::IsUnderWay(uint64_t number) const {
  return std::any_of(chains_.begin(), chains_.end(), [=](const auto& entry) { return entry.first->number == number; });
}

void RingLoop::Finish(uint64_t number) {
  // What is called below may end the ring, and drop the last share of it.
  const std::shared_ptr<RingLoop> share = shared_from_this();
  while (IsUnderWay(number)) {
    // Something is with the kernel or a lane: what waits, waits for room there, or for a file that another chain has there.
    ring_.Wait();
    TakeCompletions();
  }
  Deliver(true);
}

// Hands to the kernel whatever may go now.
void RingLoop::Pump() {
  for (;;) {
    StartRuns();
    Chain* const next = queue_.Next();
    if (next == nullptr) return;
    ready_.push_back(next);
  }
}

void RingLoop::StartRuns() {
  while (!ready_.empty()) {
    Chain* const chain = ready_.front();
    chain->Plan(ring_.entries() / faults::kRequestsPerPiece);
    if (chain->run().empty()) {
      ready_.pop_front();
      queue_.Release(chain);
      Over(chain);
      continue;
    }
    // Not a part of it: what is one submission stays one. Completions make room.
    if (!ring_.HasRoom(chain->run().size())) return;
    int error = 0;
    if (chain->for_lane && ring_.GiveToLane(chain)) {
      ready_.pop_front();
      continue;
    }
    ring_.Queue(chain);
    if (ring_.Submit(&error) > 0) {
      ready_.pop_front();
      continue;
    }
    // No memory for requests. What is with the kernel gives some back when it is done; otherwise there is nothing to
    // wait for.
    if (ring_.in_flight() > 0) return;
    chain->Refuse(error);
  }
}

void RingLoop::Over(Chain* chain) {
  const auto found = chains_.find(chain);
  over_.push_back(std::move(found->second));
  chains_.erase(found);
  if (chains_.empty()) uv_unref(AsHandle(poll_));
}

void RingLoop::OnReady(uv_poll_s* handle, int, int) {
  RingLoop* const loop = static_cast<RingLoop*>(uv_handle_get_data(reinterpret_cast<uv_handle_s*>(handle)));
  // What is called below may end the ring, and drop the last share of it.
  const std::shared_ptr<RingLoop> share = loop->shared_from_this();
  // The disk goes on working before JavaScript is told.
  loop->TakeCompletions();
  loop->Deliver(false);
}

void RingLoop::TakeCompletions() {
  std::vector<Chain*> back;
  ring_.Reap(&back);
  for (Chain* const chain : back) {
    chain->Settle();
    // Before those that have not started: they are older.
    ready_.push_front(chain);
  }
  Pump();
}

void RingLoop::Deliver(bool in_javascript) {
  // Functions called here may start chains, and come here again.
  while (!over_.empty()) {
    std::vector<std::unique_ptr<Chain>> over;
    over.swap(over_);
    for (const auto& chain : over) {
      CallDone(chain.get(), in_javascript);
      ReleaseReferences(chain.get());
    }
  }
}

// Raw calls with their status looked at: in an environment that is going away all of them may fail, and nothing may
// throw or abort.
void RingLoop::CallDone(Chain* chain, bool in_javascript) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  napi_value arguments[kCompletionArguments];
  napi_value done;
  napi_value receiver;
  napi_value value = nullptr;
  if (napi_get_reference_value(env_, chain->done, &done) == napi_ok && done != nullptr &&
      napi_get_global(env_, &receiver) == napi_ok &&
      (!chain->is_read() ||
       napi_create_double(env_, static_cast<double>(chain->transferred()), &value) == napi_ok) &&
      CompletionArguments(env_, chain->failure(), value, arguments)) {
    if (in_javascript) {
      napi_call_function(env_, receiver, done, kCompletionArguments, arguments, nullptr);
    } else {
      napi_make_callback(env_, async_context_, receiver, done, kCompletionArguments, arguments, nullptr);
      // Only the end of the environment: the function does not throw.
      napi_value thrown;
      napi_get_and_clear_last_exception(env_, &thrown);
    }
  }
  napi_close_handle_scope(env_, scope);
}

void RingLoop::ReleaseReferences(Chain* chain) {
  if (chain->keep != nullptr) napi_delete_reference(env_, chain->keep);
  if (chain->done != nullptr) napi_delete_reference(env_, chain->done);
  chain->keep = nullptr;
  chain->done = nullptr;
}

void RingLoop::End() {
  if (ended_) return;
  ended_ = true;
  if (ring_.in_flight() > 0) ring_.CancelAll();
  std::vector<Chain*> back;
  ring_.Reap(&back);
  while (ring_.in_flight() > 0) {
    ring_.Wait();
    ring_.Reap(&back);
  }
  // Nothing is with the kernel: now the memory may go.
  for (const auto& [chain, owned] : chains_) ReleaseReferences(chain);
  for (const auto& chain : over_) ReleaseReferences(chain.get());
  chains_.clear();
  ready_.clear();
  over_.clear();
  // Closing stops the watching at once, so that the descriptor may go; the handle's memory only in OnClosed.
  uv_close(AsHandle(poll_), &RingLoop::OnClosed);
  ring_.Close();
}

void RingLoop::OnClosed(uv_handle_s* handle) {
  RingLoop* const loop = static_cast<RingLoop*>(uv_handle_get_data(handle));
  free(handle);
  napi_async_destroy(loop->env_, loop->async_context_);
  loop->async_context_ = nullptr;
  // Lets an environment that is ending go on.
  if (loop->hook_ != nullptr) napi_remove_async_cleanup_hook(loop->hook_);
  loop->hook_ = nullptr;
  const std::shared_ptr<RingLoop> last = std::move(loop->self_);
}

void RingLoop::OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) {
  // Where the handle is closing already, OnClosed is still to come, and the environment waits for it.
  static_cast<RingLoop*>(data)->End();
}

}  // namespace stonewal
