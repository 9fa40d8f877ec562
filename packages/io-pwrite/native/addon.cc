// How this addon moves data: blocking calls, on a pool thread or, where that is asked for, on this one. The rest of its exports is that of every addon.
#include <memory>
#include <utility>
#include <vector>

#include "bindings.h"
#include "pwrite_file.h"

namespace stonewal {

namespace {

std::shared_ptr<PwriteFile> PwriteFileOf(const Napi::CallbackInfo& info) {
  return std::static_pointer_cast<PwriteFile>(FileOf(info, 0));
}

Failure Run(const ChainStep& step) {
  PwriteFile& file = static_cast<PwriteFile&>(*step.file);
  return step.write ? file.Write(step) : file.Sync();
}

Failure RunChain(const std::vector<ChainStep>& chain) {
  for (size_t i = 0; i < chain.size(); i++) {
    Failure failure = Run(chain[i]);
    if (failure) {
      failure.step = static_cast<int64_t>(i);
      return failure;
    }
  }
  return Failure();
}

using ChainTasks = std::shared_ptr<Tasks>;

// submit(files, arenas, steps, count, done): the chain's number
Napi::Value Submit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<ChainStep> chain;
  Napi::Value done;
  if (!ChainOf(info, 0, &chain) || !CompletionOf(info, &done)) return env.Undefined();
  uint64_t number;
  const auto& tasks = *env.GetInstanceData<ChainTasks>();
  auto work = [chain = std::move(chain)]() { return RunChain(chain); };
  if (!Task::StartNumbered(env, tasks, info[1], done, std::move(work), &number)) {
    Misuse(env, "the environment is ending");
    return env.Undefined();
  }
  return Napi::Value(env, Number(env, static_cast<double>(number)));
}

// submitNow(files, arenas, steps, count, done): on this thread, and `done` is called before it returns
Napi::Value SubmitNow(const Napi::CallbackInfo& info) {
  std::vector<ChainStep> chain;
  Napi::Value done;
  if (ChainOf(info, 0, &chain) && CompletionOf(info, &done)) CallDone(info.Env(), done, RunChain(chain));
  return info.Env().Undefined();
}

// finish(number): blocks until that chain is over and its `done` has been called
Napi::Value Finish(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int64_t number;
  if (CountsOf(info, 0, 1, &number)) {
    Task::Await(env, **env.GetInstanceData<ChainTasks>(), static_cast<uint64_t>(number));
  }
  return env.Undefined();
}

// read(file, bytes, start, length, offset, done(…, bytes read))
Napi::Value Read(const Napi::CallbackInfo& info) {
  const auto file = PwriteFileOf(info);
  uint8_t* data;
  size_t length;
  int64_t offset;
  if (!file || !RegionOf(info, 1, &data, &length, &offset)) return info.Env().Undefined();
  const auto filled = std::make_shared<size_t>(0);
  Start(
      info, info[1], [=]() { return file->Read(data, length, offset, filled.get()); },
      [filled](napi_env env) { return Number(env, static_cast<double>(*filled)); });
  return info.Env().Undefined();
}

// writeZeros(file, offset, length, done)
Napi::Value WriteZeros(const Napi::CallbackInfo& info) {
  const auto file = PwriteFileOf(info);
  int64_t counts[2];
  if (!file || !CountsOf(info, 1, 2, counts)) return info.Env().Undefined();
  const int64_t offset = counts[0];
  const int64_t length = counts[1];
  Start(info, Napi::Value(), [=]() { return file->WriteZeros(offset, length); });
  return info.Env().Undefined();
}

// sync(file, done)
Napi::Value Sync(const Napi::CallbackInfo& info) {
  const auto file = PwriteFileOf(info);
  if (file) Start(info, Napi::Value(), [=]() { return file->Sync(); });
  return info.Env().Undefined();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  AddSharedBindings(env, exports);
  env.SetInstanceData(new ChainTasks(std::make_shared<Tasks>()));
  exports.Set("submit", Napi::Function::New<Submit>(env));
  exports.Set("submitNow", Napi::Function::New<SubmitNow>(env));
  exports.Set("finish", Napi::Function::New<Finish>(env));
  exports.Set("read", Napi::Function::New<Read>(env));
  exports.Set("writeZeros", Napi::Function::New<WriteZeros>(env));
  exports.Set("sync", Napi::Function::New<Sync>(env));
  return exports;
}

}  // namespace

}  // namespace stonewal

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) { return stonewal::Init(env, exports); }

NODE_API_MODULE(NODE_GYP_MODULE_NAME, InitModule)
