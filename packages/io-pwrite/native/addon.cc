// What the TypeScript side calls. Arguments are read here, on the JavaScript thread, and copied: a pool thread sees
// only plain data. TypeScript has already checked what a user can get wrong; what is checked again here is what would
// otherwise be a write or read outside an arena.
//
// All state hangs on handles of one environment; the module has none of its own but constant tables, so it can be
// loaded in any number of workers.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "crc32c.h"
#include "device.h"
#include "directory.h"
#include "open_file.h"
#include "task.h"

namespace stonewal {

namespace {

using FileHandle = std::shared_ptr<OpenFile>;
using LockHandle = std::shared_ptr<FileLock>;

constexpr double kMaxSafeInteger = 9007199254740991.0;

void Misuse(Napi::Env env, const char* message) { Napi::TypeError::New(env, message).ThrowAsJavaScriptException(); }

bool IsCount(double value) { return value >= 0 && value <= kMaxSafeInteger && std::floor(value) == value; }

// A handle made below by MakeHandle; null when it is something else.
template <typename T>
T* HandleOf(napi_env env, napi_value value) {
  napi_valuetype type;
  void* data = nullptr;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external) return nullptr;
  return napi_get_value_external(env, value, &data) == napi_ok ? static_cast<T*>(data) : nullptr;
}

// The JavaScript handle's own share of the object, let go when the handle is collected or its environment ends.
template <typename T>
napi_value MakeHandle(napi_env env, T object) {
  T* const share = new T(std::move(object));
  napi_value handle = nullptr;
  const napi_finalize finalize = [](napi_env, void* data, void*) { delete static_cast<T*>(data); };
  if (napi_create_external(env, share, finalize, nullptr, &handle) != napi_ok) {
    delete share;
    return nullptr;
  }
  return handle;
}

struct View {
  uint8_t* data = nullptr;
  size_t length = 0;
};

// The memory of a typed array of that kind; false for anything else. A detached one has length 0.
bool ViewOf(napi_env env, napi_value value, napi_typedarray_type wanted, View* view) {
  bool is_typed = false;
  if (napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed) return false;
  napi_typedarray_type type;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &view->length, &data, nullptr, nullptr) != napi_ok) return false;
  view->data = static_cast<uint8_t*>(data);
  return type == wanted;
}

bool Inside(const View& view, double start, double length) {
  return IsCount(start) && IsCount(length) && start + length <= static_cast<double>(view.length);
}

napi_value Number(napi_env env, double value) {
  napi_value number = nullptr;
  return napi_create_double(env, value, &number) == napi_ok ? number : nullptr;
}

void Start(const Napi::CallbackInfo& info, Napi::Value keep, Task::Work work, Task::Result result = nullptr) {
  const Napi::Value done = info[info.Length() - 1];
  if (!done.IsFunction()) return Misuse(info.Env(), "a completion function is expected last");
  if (!Task::Start(info.Env(), keep, done, std::move(work), std::move(result))) {
    Misuse(info.Env(), "the environment is ending");
  }
}

// One step of a chain: which file, and for a write what, from where. The file is a share of its own, so that the
// chain never depends on the JavaScript handle.
struct ChainStep {
  FileHandle file;
  bool write;
  bool durable;
  const uint8_t* data;
  size_t length;
  int64_t offset;
};

enum StepKind { kSync = 0, kWrite = 1, kDurableWrite = 2 };

// submit(files: External[], arenas: (Uint8Array | undefined)[], steps: Float64Array, count, done)
// `steps` holds four numbers per step: kind, start, length, offset.
Napi::Value Submit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  View numbers;
  if (info.Length() != 5 || !info[0].IsArray() || !info[1].IsArray() || !info[3].IsNumber() ||
      !ViewOf(env, info[2], napi_float64_array, &numbers)) {
    Misuse(env, "submit(files, arenas, steps, count, done)");
    return env.Undefined();
  }
  const uint32_t count = info[3].As<Napi::Number>().Uint32Value();
  if (count > numbers.length / 4) {
    Misuse(env, "submit: more steps than numbers");
    return env.Undefined();
  }
  const double* const fields = reinterpret_cast<const double*>(numbers.data);
  std::vector<ChainStep> chain;
  chain.reserve(count);
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    FileHandle* file = nullptr;
    if (napi_get_element(env, info[0], i, &element) == napi_ok) file = HandleOf<FileHandle>(env, element);
    if (file == nullptr) {
      Misuse(env, "submit: not a file");
      return env.Undefined();
    }
    const double kind = fields[4 * i];
    ChainStep step{*file, kind != kSync, kind == kDurableWrite, nullptr, 0, 0};
    if (step.write) {
      View arena;
      const double start = fields[4 * i + 1];
      const double length = fields[4 * i + 2];
      const double offset = fields[4 * i + 3];
      if (napi_get_element(env, info[1], i, &element) != napi_ok || !ViewOf(env, element, napi_uint8_array, &arena) ||
          !Inside(arena, start, length) || !IsCount(offset)) {
        Misuse(env, "submit: a region outside its arena");
        return env.Undefined();
      }
      step.data = arena.data + static_cast<size_t>(start);
      step.length = static_cast<size_t>(length);
      step.offset = static_cast<int64_t>(offset);
    }
    chain.push_back(std::move(step));
  }

  Start(info, info[1], [chain = std::move(chain)]() {
    for (size_t i = 0; i < chain.size(); i++) {
      const ChainStep& step = chain[i];
      Failure failure = step.write ? step.file->Write(step.data, step.length, step.offset, step.durable)
                                   : step.file->Sync();
      if (failure) {
        failure.step = static_cast<int64_t>(i);
        return failure;
      }
    }
    return Failure();
  });
  return env.Undefined();
}

// open(path, access: 0 read | 1 write | 2 create, direct, done(…, [handle, alignment]))
Napi::Value Open(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const Access access = static_cast<Access>(info[1].As<Napi::Number>().Int32Value());
  const bool direct = info[2].As<Napi::Boolean>();
  const auto opened = std::make_shared<FileHandle>();
  Start(
      info, Napi::Value(), [=]() { return OpenFile::Open(path, access, direct, opened.get()); },
      [opened](napi_env env) -> napi_value {
        napi_value pair = nullptr;
        const napi_value handle = MakeHandle<FileHandle>(env, *opened);
        const napi_value alignment = Number(env, (*opened)->alignment());
        if (handle == nullptr || alignment == nullptr || napi_create_array_with_length(env, 2, &pair) != napi_ok ||
            napi_set_element(env, pair, 0, handle) != napi_ok || napi_set_element(env, pair, 1, alignment) != napi_ok) {
          return nullptr;
        }
        return pair;
      });
  return info.Env().Undefined();
}

FileHandle FileOf(const Napi::CallbackInfo& info) {
  FileHandle* const file = HandleOf<FileHandle>(info.Env(), info[0]);
  if (file == nullptr) {
    Misuse(info.Env(), "not a file");
    return nullptr;
  }
  return *file;
}

// read(file, bytes, start, length, offset, done(…, bytes read))
Napi::Value Read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const FileHandle file = FileOf(info);
  if (!file) return env.Undefined();
  View arena;
  const double start = info[2].As<Napi::Number>();
  const double length = info[3].As<Napi::Number>();
  const double offset = info[4].As<Napi::Number>();
  if (!ViewOf(env, info[1], napi_uint8_array, &arena) || !Inside(arena, start, length) || !IsCount(offset)) {
    Misuse(env, "read: a region outside its arena");
    return env.Undefined();
  }
  uint8_t* const data = arena.data + static_cast<size_t>(start);
  const auto filled = std::make_shared<size_t>(0);
  Start(
      info, info[1],
      [=]() { return file->Read(data, static_cast<size_t>(length), static_cast<int64_t>(offset), filled.get()); },
      [filled](napi_env env) { return Number(env, static_cast<double>(*filled)); });
  return env.Undefined();
}

// The calls on a file that take only numbers: name(file, ..., done).
using FileCall = Failure (*)(OpenFile&, int64_t, int64_t);

template <int kNumbers, FileCall kCall>
Napi::Value CallFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const FileHandle file = FileOf(info);
  if (!file) return env.Undefined();
  int64_t numbers[2] = {0, 0};
  for (int i = 0; i < kNumbers; i++) {
    const double value = info[1 + i].As<Napi::Number>();
    if (!IsCount(value)) {
      Misuse(env, "not a count");
      return env.Undefined();
    }
    numbers[i] = static_cast<int64_t>(value);
  }
  const int64_t first = numbers[0];
  const int64_t second = numbers[1];
  Start(info, Napi::Value(), [=]() { return kCall(*file, first, second); });
  return env.Undefined();
}

Failure CallWriteZeros(OpenFile& file, int64_t offset, int64_t length) { return file.WriteZeros(offset, length); }
Failure CallTruncate(OpenFile& file, int64_t length, int64_t) { return file.Truncate(length); }
Failure CallSync(OpenFile& file, int64_t, int64_t) { return file.Sync(); }
Failure CallDropCache(OpenFile& file, int64_t, int64_t) { return file.DropCache(); }
Failure CallClose(OpenFile& file, int64_t, int64_t) { return file.Close(); }

// size(file, done(…, bytes))
Napi::Value Size(const Napi::CallbackInfo& info) {
  const FileHandle file = FileOf(info);
  if (!file) return info.Env().Undefined();
  const auto size = std::make_shared<int64_t>(0);
  Start(
      info, Napi::Value(), [=]() { return file->Size(size.get()); },
      [size](napi_env env) { return Number(env, static_cast<double>(*size)); });
  return info.Env().Undefined();
}

Napi::Value Rename(const Napi::CallbackInfo& info) {
  const std::string from = info[0].As<Napi::String>();
  const std::string to = info[1].As<Napi::String>();
  Start(info, Napi::Value(), [=]() { return RenameNoReplace(from, to); });
  return info.Env().Undefined();
}

Napi::Value SyncDirectoryAt(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  Start(info, Napi::Value(), [=]() { return SyncDirectory(path); });
  return info.Env().Undefined();
}

// lock(path, done(…, handle))
Napi::Value Lock(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const auto taken = std::make_shared<std::unique_ptr<FileLock>>();
  Start(
      info, Napi::Value(), [=]() { return FileLock::Take(path, taken.get()); },
      [taken](napi_env env) { return MakeHandle<LockHandle>(env, std::move(*taken)); });
  return info.Env().Undefined();
}

// unlock(handle, done)
Napi::Value Unlock(const Napi::CallbackInfo& info) {
  LockHandle* const lock = HandleOf<LockHandle>(info.Env(), info[0]);
  if (lock == nullptr) {
    Misuse(info.Env(), "not a lock");
    return info.Env().Undefined();
  }
  const LockHandle held = *lock;
  Start(info, Napi::Value(), [held]() {
    held->Release();
    return Failure();
  });
  return info.Env().Undefined();
}

// isLocked(path, done(…, boolean))
Napi::Value IsLocked(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const auto held = std::make_shared<bool>(false);
  Start(
      info, Napi::Value(), [=]() { return FileLock::Held(path, held.get()); },
      [held](napi_env env) {
        napi_value answer = nullptr;
        return napi_get_boolean(env, *held, &answer) == napi_ok ? answer : nullptr;
      });
  return info.Env().Undefined();
}

napi_value FactsObject(napi_env env, const DirectoryFacts& facts) {
  napi_value object = nullptr;
  if (napi_create_object(env, &object) != napi_ok) return nullptr;
  const auto number = [&](const char* name, double value) {
    const napi_value property = Number(env, value);
    return property != nullptr && napi_set_named_property(env, object, name, property) == napi_ok;
  };
  const auto text = [&](const char* name, const std::string& value) {
    napi_value property = nullptr;
    return napi_create_string_utf8(env, value.c_str(), value.size(), &property) == napi_ok &&
           napi_set_named_property(env, object, name, property) == napi_ok;
  };
  const bool complete =
      number("fileSystemType", static_cast<double>(facts.file_system_type)) &&
      text("fileSystemName", facts.file_system_name) && number("physicalBlock", facts.physical_block) &&
      number("directAlignment", facts.direct_alignment) && number("atomicWriteMax", facts.atomic_write_max) &&
      number("dsync", facts.dsync ? 1 : 0) && number("directErrno", facts.direct_failure.error) &&
      text("directSyscall", facts.direct_failure.syscall);
  return complete ? object : nullptr;
}

// probe(directory, done(…, facts)) and fileSystem(path, done(…, facts))
template <Failure (*kProbe)(const std::string&, DirectoryFacts*)>
Napi::Value Probe(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const auto facts = std::make_shared<DirectoryFacts>();
  Start(
      info, Napi::Value(), [=]() { return kProbe(path, facts.get()); },
      [facts](napi_env env) { return FactsObject(env, *facts); });
  return info.Env().Undefined();
}

// checksum(bytes, ranges, count, out): false, with nothing read, when something is out of range.
template <uint32_t (*kCrc)(const uint8_t*, size_t)>
Napi::Value Checksum(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  View bytes;
  View ranges;
  View out;
  if (!ViewOf(env, info[0], napi_uint8_array, &bytes) || !ViewOf(env, info[1], napi_uint32_array, &ranges) ||
      !info[2].IsNumber() || !ViewOf(env, info[3], napi_uint32_array, &out)) {
    return Napi::Boolean::New(env, false);
  }
  const double count = info[2].As<Napi::Number>();
  if (!IsCount(count) || count > static_cast<double>(ranges.length / 2) || count > static_cast<double>(out.length)) {
    return Napi::Boolean::New(env, false);
  }
  const size_t total = static_cast<size_t>(count);
  const uint32_t* const pairs = reinterpret_cast<const uint32_t*>(ranges.data);
  uint32_t* const results = reinterpret_cast<uint32_t*>(out.data);
  for (size_t i = 0; i < total; i++) {
    if (uint64_t{pairs[2 * i]} + pairs[2 * i + 1] > bytes.length) return Napi::Boolean::New(env, false);
  }
  // Pair and result are read and written once each: `out` may even be `ranges`' own memory without a read outside.
  for (size_t i = 0; i < total; i++) {
    const uint64_t start = pairs[2 * i];
    const uint64_t length = pairs[2 * i + 1];
    if (start + length > bytes.length) return Napi::Boolean::New(env, false);
    results[i] = kCrc(bytes.data + start, length);
  }
  return Napi::Boolean::New(env, true);
}

// addressOf(bytes): where the memory starts, modulo the arena alignment.
Napi::Value AddressOf(const Napi::CallbackInfo& info) {
  View bytes;
  if (!ViewOf(info.Env(), info[0], napi_uint8_array, &bytes)) {
    Misuse(info.Env(), "not a Uint8Array");
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(reinterpret_cast<uintptr_t>(bytes.data) % kArenaAlignment));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("submit", Napi::Function::New<Submit>(env));
  exports.Set("open", Napi::Function::New<Open>(env));
  exports.Set("read", Napi::Function::New<Read>(env));
  exports.Set("size", Napi::Function::New<Size>(env));
  exports.Set("writeZeros", Napi::Function::New<CallFile<2, CallWriteZeros>>(env));
  exports.Set("truncate", Napi::Function::New<CallFile<1, CallTruncate>>(env));
  exports.Set("sync", Napi::Function::New<CallFile<0, CallSync>>(env));
  exports.Set("dropCache", Napi::Function::New<CallFile<0, CallDropCache>>(env));
  exports.Set("close", Napi::Function::New<CallFile<0, CallClose>>(env));
  exports.Set("rename", Napi::Function::New<Rename>(env));
  exports.Set("syncDirectory", Napi::Function::New<SyncDirectoryAt>(env));
  exports.Set("lock", Napi::Function::New<Lock>(env));
  exports.Set("unlock", Napi::Function::New<Unlock>(env));
  exports.Set("isLocked", Napi::Function::New<IsLocked>(env));
  exports.Set("probe", Napi::Function::New<Probe<ProbeDirectory>>(env));
  exports.Set("fileSystem", Napi::Function::New<Probe<FileSystemOf>>(env));
  exports.Set("checksum", Napi::Function::New<Checksum<Crc32c>>(env));
  exports.Set("portableChecksum", Napi::Function::New<Checksum<PortableCrc32c>>(env));
  exports.Set("addressOf", Napi::Function::New<AddressOf>(env));
  exports.Set("hardwareChecksum", Napi::Boolean::New(env, HardwareCrc32c()));
  return exports;
}

}  // namespace

}  // namespace stonewal

static Napi::Object InitModule(Napi::Env env, Napi::Object exports) { return stonewal::Init(env, exports); }

NODE_API_MODULE(NODE_GYP_MODULE_NAME, InitModule)
