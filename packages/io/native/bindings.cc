#include "bindings.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "crc32c.h"
#include "device.h"
#include "directory.h"

namespace stonewal {

namespace {

using LockHandle = std::shared_ptr<FileLock>;

constexpr double kMaxSafeInteger = 9007199254740991.0;

}  // namespace

void Misuse(Napi::Env env, const char* message) {
  if (!env.IsExceptionPending()) Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
}

bool IsCount(double value) { return value >= 0 && value <= kMaxSafeInteger && std::floor(value) == value; }

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

bool CompletionOf(const Napi::CallbackInfo& info, Napi::Value* done) {
  *done = info.Length() == 0 ? info.Env().Undefined() : info[info.Length() - 1];
  if (done->IsFunction()) return true;
  Misuse(info.Env(), "a completion function is expected last");
  return false;
}

void Start(const Napi::CallbackInfo& info, Napi::Value keep, Task::Work work, Task::Result result) {
  Napi::Value done;
  if (!CompletionOf(info, &done)) return;
  if (!Task::Start(info.Env(), keep, done, std::move(work), std::move(result))) {
    Misuse(info.Env(), "the environment is ending");
  }
}

FileHandle FileOf(const Napi::CallbackInfo& info, size_t index) {
  FileHandle* const file = HandleOf<FileHandle>(info.Env(), info[index]);
  if (file == nullptr) {
    Misuse(info.Env(), "not a file");
    return nullptr;
  }
  return *file;
}

namespace {

// Bits of a step's kind; none: a sync.
enum StepKind : uint32_t { kWrite = 1, kDurable = 2, kUntorn = 4 };

}  // namespace

bool ChainOf(const Napi::CallbackInfo& info, size_t first, std::vector<ChainStep>* chain) {
  const Napi::Env env = info.Env();
  View numbers;
  if (info.Length() != first + 5 || !info[first].IsArray() || !info[first + 1].IsArray() ||
      !info[first + 3].IsNumber() || !ViewOf(env, info[first + 2], napi_float64_array, &numbers)) {
    Misuse(env, "submit(files, arenas, steps, count, done)");
    return false;
  }
  const double count = info[first + 3].As<Napi::Number>();
  if (!IsCount(count) || count > static_cast<double>(numbers.length / 4)) {
    Misuse(env, "submit: more steps than numbers");
    return false;
  }
  const uint32_t steps = static_cast<uint32_t>(count);
  std::vector<napi_value> elements(size_t{2} * steps);
  for (uint32_t i = 0; i < steps; i++) {
    if (napi_get_element(env, info[first], i, &elements[2 * i]) != napi_ok ||
        napi_get_element(env, info[first + 1], i, &elements[2 * i + 1]) != napi_ok) {
      Misuse(env, "submit: a step that can't be read");
      return false;
    }
  }
  // Only from here on no JavaScript runs any more: the getter of an element could have detached what was looked at before.
  if (!ViewOf(env, info[first + 2], napi_float64_array, &numbers) || steps > numbers.length / 4) {
    Misuse(env, "submit: more steps than numbers");
    return false;
  }
  const double* const fields = reinterpret_cast<const double*>(numbers.data);
  chain->reserve(steps);
  for (uint32_t i = 0; i < steps; i++) {
    FileHandle* const file = HandleOf<FileHandle>(env, elements[2 * i]);
    if (file == nullptr) {
      Misuse(env, "submit: not a file");
      return false;
    }
    const double bits = fields[4 * i];
    if (!IsCount(bits) || bits > (kWrite | kDurable | kUntorn)) {
      Misuse(env, "submit: not a kind of step");
      return false;
    }
    const uint32_t kind = static_cast<uint32_t>(bits);
    ChainStep step{
        *file, (kind & kWrite) != 0, (kind & kDurable) != 0, (kind & kUntorn) != 0, nullptr, 0, 0, nullptr};
    if (step.write) {
      View arena;
      const double start = fields[4 * i + 1];
      const double length = fields[4 * i + 2];
      const double offset = fields[4 * i + 3];
      if (!ViewOf(env, elements[2 * i + 1], napi_uint8_array, &arena) || !Inside(arena, start, length) ||
          !IsCount(offset)) {
        Misuse(env, "submit: a region outside its arena");
        return false;
      }
      step.arena = elements[2 * i + 1];
      step.data = arena.data + static_cast<size_t>(start);
      step.length = static_cast<size_t>(length);
      step.offset = static_cast<int64_t>(offset);
    }
    chain->push_back(std::move(step));
  }
  return true;
}

bool RegionOf(const Napi::CallbackInfo& info, size_t first, uint8_t** data, size_t* bytes, int64_t* at) {
  View arena;
  int64_t numbers[3];
  if (!CountsOf(info, first + 1, 3, numbers)) return false;
  const auto [start, length, offset] = numbers;
  if (!ViewOf(info.Env(), info[first], napi_uint8_array, &arena) ||
      !Inside(arena, static_cast<double>(start), static_cast<double>(length))) {
    Misuse(info.Env(), "read: a region outside its arena");
    return false;
  }
  *data = arena.data + start;
  *bytes = static_cast<size_t>(length);
  *at = offset;
  return true;
}

bool CountsOf(const Napi::CallbackInfo& info, size_t first, size_t number, int64_t* counts) {
  for (size_t i = 0; i < number; i++) {
    const double value = info[first + i].IsNumber() ? info[first + i].As<Napi::Number>().DoubleValue() : -1;
    if (!IsCount(value)) {
      Misuse(info.Env(), "not a count");
      return false;
    }
    counts[i] = static_cast<int64_t>(value);
  }
  return true;
}

bool PathOf(const Napi::CallbackInfo& info, size_t index, std::string* path) {
  if (info[index].IsString()) {
    *path = info[index].As<Napi::String>();
    if (!path->empty() && path->find('\0') == std::string::npos) return true;
  }
  Misuse(info.Env(), "not a path");
  return false;
}

namespace {

// open(path, access: 0 read | 1 write | 2 create, direct, done(…, [handle, alignment, untorn min, untorn max]))
Napi::Value Open(const Napi::CallbackInfo& info) {
  std::string path;
  int64_t how;
  if (!PathOf(info, 0, &path) || !CountsOf(info, 1, 1, &how)) return info.Env().Undefined();
  if (how > static_cast<int64_t>(Access::kCreate) || !info[2].IsBoolean()) {
    Misuse(info.Env(), "open(path, access, direct, done)");
    return info.Env().Undefined();
  }
  const Access access = static_cast<Access>(how);
  const bool direct = info[2].As<Napi::Boolean>();
  const auto opened = std::make_shared<FileHandle>();
  Start(
      info, Napi::Value(), [=]() { return OpenFile::Open(path, access, direct, opened.get()); },
      [opened](napi_env env) -> napi_value {
        const WriteLimits& limits = (*opened)->limits();
        const napi_value values[] = {MakeHandle<FileHandle>(env, *opened), Number(env, limits.alignment),
                                     Number(env, limits.untorn_min), Number(env, limits.untorn_max)};
        napi_value answer = nullptr;
        if (napi_create_array_with_length(env, 4, &answer) != napi_ok) return nullptr;
        for (uint32_t i = 0; i < 4; i++) {
          if (values[i] == nullptr || napi_set_element(env, answer, i, values[i]) != napi_ok) return nullptr;
        }
        return answer;
      });
  return info.Env().Undefined();
}

// truncate(file, length, done)
Napi::Value Truncate(const Napi::CallbackInfo& info) {
  const FileHandle file = FileOf(info, 0);
  int64_t length;
  if (file && CountsOf(info, 1, 1, &length)) {
    Start(info, Napi::Value(), [=]() { return file->Truncate(length); });
  }
  return info.Env().Undefined();
}

// dropCache(file, done) and close(file, done)
template <Failure (OpenFile::*kCall)()>
Napi::Value CallFile(const Napi::CallbackInfo& info) {
  const FileHandle file = FileOf(info, 0);
  if (file) Start(info, Napi::Value(), [=]() { return ((*file).*kCall)(); });
  return info.Env().Undefined();
}

// size(file, done(…, bytes))
Napi::Value Size(const Napi::CallbackInfo& info) {
  const FileHandle file = FileOf(info, 0);
  if (!file) return info.Env().Undefined();
  const auto size = std::make_shared<int64_t>(0);
  Start(
      info, Napi::Value(), [=]() { return file->Size(size.get()); },
      [size](napi_env env) { return Number(env, static_cast<double>(*size)); });
  return info.Env().Undefined();
}

Napi::Value Rename(const Napi::CallbackInfo& info) {
  std::string from;
  std::string to;
  if (!PathOf(info, 0, &from) || !PathOf(info, 1, &to)) return info.Env().Undefined();
  Start(info, Napi::Value(), [=]() { return RenameNoReplace(from, to); });
  return info.Env().Undefined();
}

Napi::Value SyncDirectoryAt(const Napi::CallbackInfo& info) {
  std::string path;
  if (!PathOf(info, 0, &path)) return info.Env().Undefined();
  Start(info, Napi::Value(), [=]() { return SyncDirectory(path); });
  return info.Env().Undefined();
}

// lock(path, done(…, handle))
Napi::Value Lock(const Napi::CallbackInfo& info) {
  std::string path;
  if (!PathOf(info, 0, &path)) return info.Env().Undefined();
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
  std::string path;
  if (!PathOf(info, 0, &path)) return info.Env().Undefined();
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
  std::string path;
  if (!PathOf(info, 0, &path)) return info.Env().Undefined();
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

}  // namespace

void AddSharedBindings(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New<Open>(env));
  exports.Set("size", Napi::Function::New<Size>(env));
  exports.Set("truncate", Napi::Function::New<Truncate>(env));
  exports.Set("dropCache", Napi::Function::New<CallFile<&OpenFile::DropCache>>(env));
  exports.Set("close", Napi::Function::New<CallFile<&OpenFile::Close>>(env));
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
}

}  // namespace stonewal
