// One trip to Node's thread pool.
//
// A task is made on the JavaScript thread, runs once on a pool thread, and is finished and deleted on the JavaScript
// thread again. It owns, until then: a strong reference to `keep` (the arenas' views, so that the garbage collector
// does not free memory that the kernel reads or writes), one to `done`, and whatever `work` has captured (shared
// ownership of the open file).
//
// When an environment ends (worker.terminate(), the end of a worker) Node waits for the tasks in flight before it
// frees the heap, and still calls Finish. JavaScript can't be called any more then: every call just fails, and what
// matters is that nothing throws or aborts and that the references are let go. At process.exit() the pool finishes
// what is queued and the process ends without Finish.
#pragma once

#include <node_api.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "failure.h"

namespace stonewal {

// How every call ends: done(errno, operation, syscall, step, poisoned, value). `value` may be null. False when the
// environment can't make them any more.
constexpr size_t kCompletionArguments = 6;
bool CompletionArguments(napi_env env, const Failure& failure, napi_value value, napi_value* arguments);
// Calls done with them, from a call that JavaScript has made.
void CallDone(napi_env env, napi_value done, const Failure& failure, napi_value value = nullptr);

class Task;

// The tasks of one environment that are not deleted yet, by number; touched on its JavaScript thread only.
struct Tasks {
  std::unordered_map<uint64_t, Task*> by_number;
  uint64_t last_number = 0;
};

class Task {
 public:
  // On a pool thread; may block; must not touch any JavaScript value.
  using Work = std::function<Failure()>;
  // On the JavaScript thread after `work` succeeded: what `done` is given. Null when it can't be made.
  using Result = std::function<napi_value(napi_env)>;

  // Calls done(errno, operation, syscall, step, poisoned, value) once, later. `keep` may be null. Returns false, with
  // nothing started and nothing kept, when the environment can't start a task any more.
  static bool Start(napi_env env, napi_value keep, napi_value done, Work work, Result result = nullptr);

  // The same, under a number that Await takes.
  static bool StartNumbered(napi_env env, const std::shared_ptr<Tasks>& tasks, napi_value keep, napi_value done,
                            Work work, uint64_t* number);
  // Blocks the JavaScript thread until the task's work is done, wherever in the pool's queue it still is, and calls
  // `done`, which Finish then does not. Nothing to do for a number whose `done` has been called.
  static void Await(napi_env env, const Tasks& tasks, uint64_t number);

 private:
  Task(Work work, Result result) : work_(std::move(work)), result_(std::move(result)) {}

  bool Queue(napi_env env, napi_value keep, napi_value done);

  static void Run(napi_env env, void* data);
  static void Finish(napi_env env, napi_status status, void* data);
  void CallDone(napi_env env);
  void Release(napi_env env);

  Work work_;
  Result result_;
  Failure failure_;
  std::mutex mutex_;
  std::condition_variable ran_changed_;
  bool ran_ = false;
  bool told_ = false;
  // Where the task is to be found, if it has a number. A share, because an environment that ends may free its own first.
  std::shared_ptr<Tasks> tasks_;
  uint64_t number_ = 0;
  napi_async_work handle_ = nullptr;
  napi_ref keep_ = nullptr;
  napi_ref done_ = nullptr;
};

}  // namespace stonewal
