#include "registered_arena.h"

#include "bindings.h"

namespace stonewal {

namespace {

constexpr size_t kMinBytes = size_t{64} << 10;
// The kernel takes no larger buffer than 1 GiB; pinned memory is taken from the rest of the machine, so less in all.
constexpr size_t kMaxPinnedBytes = size_t{64} << 20;

struct ArenaShare {
  std::weak_ptr<RingLoop> loop;
  size_t bytes;
  bool tried;
  int index;
};

void Collected(napi_env, void* data, void*) {
  const std::unique_ptr<ArenaShare> share(static_cast<ArenaShare*>(data));
  const std::shared_ptr<RingLoop> loop = share->loop.lock();
  if (share->index < 0 || !loop) return;
  loop->ring().UnregisterBuffer(share->index);
  loop->pinned_bytes -= share->bytes;
}

}  // namespace

int UseArena(napi_env env, const std::shared_ptr<RingLoop>& loop, napi_value arena) {
  View view;
  if (!ViewOf(env, arena, napi_uint8_array, &view)) return -1;
  const size_t bytes = view.length;
  if (bytes < kMinBytes || bytes > kMaxPinnedBytes) return -1;
  void* wrapped = nullptr;
  if (napi_unwrap(env, arena, &wrapped) != napi_ok) {
    std::unique_ptr<ArenaShare> share(new ArenaShare{loop, bytes, false, -1});
    // An array that can't be wrapped goes without.
    if (napi_wrap(env, arena, share.get(), &Collected, nullptr, nullptr) == napi_ok) {
      share.release();
      napi_type_tag_object(env, arena, HandleTag<ArenaShare>());
    }
    return -1;
  }
  // What another addon has wrapped says nothing to this one.
  bool ours = false;
  if (napi_check_object_type_tag(env, arena, HandleTag<ArenaShare>(), &ours) != napi_ok || !ours) return -1;
  ArenaShare& share = *static_cast<ArenaShare*>(wrapped);
  if (share.loop.lock() != loop) return -1;
  if (!share.tried && loop->pinned_bytes + bytes <= kMaxPinnedBytes) {
    share.tried = true;
    share.index = loop->ring().RegisterBuffer(view.data, bytes);
    if (share.index >= 0) loop->pinned_bytes += bytes;
  }
  return share.index;
}

}  // namespace stonewal
