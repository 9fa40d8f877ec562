// Arenas as registered buffers.
//
// The kernel then pins an arena's pages once and not in every request. That pays where it would have to: direct I/O of
// large regions (one durable write of 256 KiB: 149.2 us in place of 156.6; two of 4 KiB: 191.8 and 191.8; see ring.cc).
// Buffered writes are copied anyway, and were slower (171.0 and 167.6). So an arena is registered when a second request of a
// direct file uses it, if it is large enough and the bounds allow.
//
// The registration hangs on the arena's Uint8Array as a wrapped native object: it is found by that identity and never by
// address, because memory that was freed and handed out again would otherwise be taken for the old, pinned pages. It ends
// when the array is collected, on the JavaScript thread, and a request in flight keeps the array from being collected.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ring_loop.h"

namespace stonewal {

// The index of the arena's registration with the ring, which this use of it may cause; -1: none.
int UseArena(napi_env env, const std::shared_ptr<RingLoop>& loop, napi_value arena);

}  // namespace stonewal
