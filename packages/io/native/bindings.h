// What every addon exports to TypeScript, and what it needs for its own exports.
//
// Arguments are read on the JavaScript thread, and copied: a pool thread or the kernel sees only plain data. TypeScript
// has already checked what a user can get wrong, and says it better; here every argument is checked once more before
// anything is started, so that a mistake is a TypeError and never a call with a value that nobody gave.
//
// All state hangs on handles of one environment; the module has none of its own but constant tables, so it can be
// loaded in any number of workers.
#pragma once

#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "failure.h"
#include "open_file.h"
#include "task.h"

namespace stonewal {

using FileHandle = std::shared_ptr<OpenFile>;

// open, size, truncate, dropCache, close, rename, syncDirectory, lock, unlock, isLocked, probe, fileSystem, checksum,
// portableChecksum, addressOf, hardwareChecksum.
void AddSharedBindings(Napi::Env env, Napi::Object exports);

// Throws a TypeError: the TypeScript side has made a mistake. Or lets what a getter among the arguments has thrown stand.
void Misuse(Napi::Env env, const char* message);
// A whole number from 0 to 2^53 - 1.
bool IsCount(double value);
napi_value Number(napi_env env, double value);

struct View {
  uint8_t* data = nullptr;
  size_t length = 0;
};

// The memory of a typed array of that kind; false for anything else. A detached one has length 0.
bool ViewOf(napi_env env, napi_value value, napi_typedarray_type wanted, View* view);
bool Inside(const View& view, double start, double length);

// Tells handles apart: each kind of each addon has its own tag. An external alone does not say what it is, and what another
// addon, or another kind of handle, points to would be taken for a T.
template <typename T>
const napi_type_tag* HandleTag() {
  static const char kind = 0;
  static const napi_type_tag tag = {reinterpret_cast<uintptr_t>(&kind), reinterpret_cast<uintptr_t>(&AddSharedBindings)};
  return &tag;
}

// The object behind a handle made by MakeHandle<T>; null when it is something else.
template <typename T>
T* HandleOf(napi_env env, napi_value value) {
  napi_valuetype type;
  bool tagged = false;
  void* data = nullptr;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external) return nullptr;
  if (napi_check_object_type_tag(env, value, HandleTag<T>(), &tagged) != napi_ok || !tagged) return nullptr;
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
  // From here on the share is the handle's, even if it can't be used as one.
  return napi_type_tag_object(env, handle, HandleTag<T>()) == napi_ok ? handle : nullptr;
}

// One step of a chain: which file, and for a write what, from where. The file is a share of its own, so that the
// chain never depends on the JavaScript handle. The memory is the arena's, which somebody must keep.
struct ChainStep {
  FileHandle file;
  bool write;
  bool durable;
  bool untorn;
  uint8_t* data;
  size_t length;
  int64_t offset;
  napi_value arena;  // of a write; good during the call that was given it
};

// The readers below give false when an argument is wrong; the error is then thrown already.

// The steps in the arguments from `first` on: (files: External[], arenas: (Uint8Array | undefined)[], steps: Float64Array,
// count, done). `steps` holds four numbers per step: kind, start, length, offset.
bool ChainOf(const Napi::CallbackInfo& info, size_t first, std::vector<ChainStep>* chain);
// (bytes, start, length, offset)
bool RegionOf(const Napi::CallbackInfo& info, size_t first, uint8_t** data, size_t* bytes, int64_t* at);
bool CountsOf(const Napi::CallbackInfo& info, size_t first, size_t number, int64_t* counts);
// A path, without the NUL that would end it early.
bool PathOf(const Napi::CallbackInfo& info, size_t index, std::string* path);
// Null when it isn't one.
FileHandle FileOf(const Napi::CallbackInfo& info, size_t index);

// The last argument; throws when it is not a function.
bool CompletionOf(const Napi::CallbackInfo& info, Napi::Value* done);

// Starts a task; the last argument is its completion function.
void Start(const Napi::CallbackInfo& info, Napi::Value keep, Task::Work work, Task::Result result = nullptr);

}  // namespace stonewal
