#include "task.h"

#include <errno.h>

#include <memory>

namespace stonewal {

bool CompletionArguments(napi_env env, const Failure& failure, napi_value value, napi_value* arguments) {
  arguments[5] = value;
  return napi_create_int32(env, failure.error, &arguments[0]) == napi_ok &&
         napi_create_string_utf8(env, failure.operation, NAPI_AUTO_LENGTH, &arguments[1]) == napi_ok &&
         napi_create_string_utf8(env, failure.syscall, NAPI_AUTO_LENGTH, &arguments[2]) == napi_ok &&
         napi_create_double(env, static_cast<double>(failure.step), &arguments[3]) == napi_ok &&
         napi_get_boolean(env, failure.poisoned, &arguments[4]) == napi_ok &&
         (value != nullptr || napi_get_undefined(env, &arguments[5]) == napi_ok);
}

void CallDone(napi_env env, napi_value done, const Failure& failure, napi_value value) {
  napi_value arguments[kCompletionArguments];
  napi_value receiver;
  if (napi_get_undefined(env, &receiver) == napi_ok && CompletionArguments(env, failure, value, arguments)) {
    napi_call_function(env, receiver, done, kCompletionArguments, arguments, nullptr);
  }
}

bool Task::Queue(napi_env env, napi_value keep, napi_value done) {
  napi_value name;
  const bool queued = napi_create_reference(env, done, 1, &done_) == napi_ok &&
                      (keep == nullptr || napi_create_reference(env, keep, 1, &keep_) == napi_ok) &&
                      napi_create_string_utf8(env, "stonewal:io", NAPI_AUTO_LENGTH, &name) == napi_ok &&
                      napi_create_async_work(env, nullptr, name, &Task::Run, &Task::Finish, this, &handle_) == napi_ok &&
                      napi_queue_async_work(env, handle_) == napi_ok;
  if (!queued) Release(env);
  return queued;
}

bool Task::Start(napi_env env, napi_value keep, napi_value done, Work work, Result result) {
  std::unique_ptr<Task> task(new Task(std::move(work), std::move(result)));
  if (!task->Queue(env, keep, done)) return false;
  task.release();  // now the pool's, until Finish
  return true;
}

bool Task::StartNumbered(napi_env env, const std::shared_ptr<Tasks>& tasks, napi_value keep, napi_value done, Work work,
                         uint64_t* number) {
  std::unique_ptr<Task> task(new Task(std::move(work), nullptr));
  if (!task->Queue(env, keep, done)) return false;
  *number = task->number_ = ++tasks->last_number;
  task->tasks_ = tasks;
  tasks->by_number.emplace(*number, task.get());
  task.release();
  return true;
}

void Task::Await(napi_env env, const Tasks& tasks, uint64_t number) {
  const auto found = tasks.by_number.find(number);
  if (found == tasks.by_number.end() || found->second->told_) return;
  Task* const task = found->second;
  {
    std::unique_lock<std::mutex> lock(task->mutex_);
    task->ran_changed_.wait(lock, [task] { return task->ran_; });
  }
  task->told_ = true;
  task->CallDone(env);
}

void Task::Run(napi_env, void* data) {
  Task* const task = static_cast<Task*>(data);
  task->failure_ = task->work_();
  std::lock_guard<std::mutex> lock(task->mutex_);
  task->ran_ = true;
  task->ran_changed_.notify_all();
}

void Task::Finish(napi_env env, napi_status status, void* data) {
  std::unique_ptr<Task> task(static_cast<Task*>(data));
  if (task->tasks_) task->tasks_->by_number.erase(task->number_);
  if (status != napi_ok) task->failure_ = Failed(ECANCELED, "", "uv_queue_work");
  if (!task->told_) task->CallDone(env);
  task->Release(env);
}

// Raw calls with their status looked at, not the C++ wrapper: that one ends the process when an environment that is
// going away answers with an error.
void Task::CallDone(napi_env env) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value done;
  if (napi_get_reference_value(env, done_, &done) == napi_ok && done != nullptr) {
    const bool valued = !failure_ && result_;
    const napi_value value = valued ? result_(env) : nullptr;
    if (!valued || value != nullptr) stonewal::CallDone(env, done, failure_, value);
  }
  napi_close_handle_scope(env, scope);
}

void Task::Release(napi_env env) {
  if (keep_ != nullptr) napi_delete_reference(env, keep_);
  if (done_ != nullptr) napi_delete_reference(env, done_);
  if (handle_ != nullptr) napi_delete_async_work(env, handle_);
  keep_ = nullptr;
  done_ = nullptr;
  handle_ = nullptr;
}

}  // namespace stonewal
